"""What stands in the result files, for type checkers and readers of JSON."""

from __future__ import annotations

from typing import Any, TypedDict


class SegmentationRecord(TypedDict):
    """A mask as COCO's compressed run lengths.

    Attributes:
        size: height and width in displayed pixels.
        counts: run lengths, column by column.
    """

    size: list[int]
    counts: str


class MaskRecord(TypedDict):
    """One entry of `masks.json` and of `candidates.json.gz`."""

    frame: int
    category: str
    score: float
    segmentation: SegmentationRecord


class EventRecord(TypedDict):
    """One entry of `events.json`; times in seconds, `end_s` exclusive, `box` is x, y, w, h at `peak_s` or null."""

    start_s: float
    end_s: float
    peak_s: float
    peak_score: float
    category: str
    box: list[float] | None


class RunRecord(TypedDict, total=False):
    """`run.json`.

    Attributes:
        source: the path as given.
        model: `nano`, or the folder or hub id of the model.
        categories: what was looked for.
        settings: `stride` (null: by time), `threshold`, `analysed_size` (height, width), `motion`, `device`,
            `precision`.
        versions: of lavida and torch.
        width: displayed pixels.
        height: displayed pixels.
        fps: frames a second, as is usual in this source.
        frames: how many there are.
        analysed_frames: how many of them were analysed.
        stage_ms: milliseconds by stage.
        export_ms: milliseconds by kind of file.
        frames_per_second: frames of the video by seconds of the analysis.
        peak_memory_mb: of the process.
        peak_gpu_memory_mb: null without a GPU.
        contrast: the values of 16 bits that are shown as black and white; null: all of them.
        warnings: what is wrong with the source, one line each.
        notes: what one may want to know of it, one line each.
    """

    source: str
    model: str
    categories: list[str]
    settings: dict[str, Any]
    versions: dict[str, str]
    width: int
    height: int
    fps: float
    frames: int
    analysed_frames: int
    stage_ms: dict[str, float]
    export_ms: dict[str, float]
    frames_per_second: float
    peak_memory_mb: float | None
    peak_gpu_memory_mb: float | None
    contrast: list[int] | None
    warnings: list[str]
    notes: list[str]
