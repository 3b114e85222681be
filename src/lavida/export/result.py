"""The result folder of one detection: what stands in its files, how they are written and read."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from lavida.errors import UNREADABLE, InputError, one_line
from lavida.export.names import ANALYSIS, CANDIDATES, EVENTS, FRAMES, LABELS, MASKS, OVERLAY, RUN, TIMELINE
from lavida.export.timeline import write_timeline
from lavida.files import atomic_folder, check_target
from lavida.timing import StageClock
from lavida.video.pixels import Contrast
from lavida.video.source import Source, SourceInfo

if TYPE_CHECKING:
    from lavida.detection import Detection, Event, Mask


class SegmentationRecord(TypedDict):
    """A mask as COCO's compressed run lengths, column by column; `size` is height, width in displayed pixels."""

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
    """`run.json`."""

    source: str  # the path as given
    model: str  # `nano`, or the folder or hub id of the model
    categories: list[str]  # what was looked for
    # stride (null: by time), threshold, analysed_size (height, width), motion, smoothing, device, runtime, precision
    settings: dict[str, Any]
    versions: dict[str, str]  # of lavida and what ran the model
    width: int  # displayed pixels
    height: int
    fps: float  # frames a second, as is usual in this source
    frames: int
    analysed_frames: int
    stage_ms: dict[str, float]  # milliseconds by stage
    export_ms: dict[str, float]  # milliseconds by kind of file
    frames_per_second: float  # of the video, by seconds of the analysis
    peak_memory_mb: float | None  # of the process
    peak_gpu_memory_mb: float | None  # null without a GPU
    contrast: list[int] | None  # the values of 16 bits that are shown as black and white; null: all of them
    warnings: list[str]  # what is wrong with the source, one line each
    notes: list[str]  # what one may want to know of the source or of the words, one line each


def write_result(
    detection: Detection,
    target: Path,
    *,
    overlay: bool = True,
    source: Source | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write every file of a detection into `target` in one atomic step; see `Detection.save`.

    `run.json` is `detection.run` with `export_ms` added: the milliseconds each kind of file took.
    """
    from lavida.export.frames import frames_table  # 8 MB, of which a detection has no need
    from lavida.parquet import to_parquet

    check_result(target, source=detection.info.path)
    target = Path(target).resolve()
    spent = StageClock()
    with atomic_folder(target, replaces=FRAMES) as folder:
        with spent.stage("tables"):
            (folder / FRAMES).write_bytes(to_parquet(frames_table(detection)))
            # no time in its header: the same result gives the same bytes
            candidates = mask_rows(detection.candidates).encode()
            (folder / CANDIDATES).write_bytes(gzip.compress(candidates, mtime=0))
        _write_events(detection, detection.events(), folder, spent)
        if overlay:
            from lavida.export.overlay import write_overlay  # PyAV and a font, which scans do without

            with spent.stage("overlay"):
                write_overlay(detection, folder / OVERLAY, source=source, progress=progress)
        _write_run({**_run(detection), "export_ms": spent.milliseconds()}, folder)
        if (target / LABELS).is_file():  # somebody's work: a new run does not undo it
            shutil.copy2(target / LABELS, folder / LABELS)
    return target


def rewrite_events(detection: Detection, events: Sequence[Event], target: Path) -> None:
    """Replace `events.json`, `masks.json` and `timeline.png` of a result in one atomic step; the overlay stays.

    Raises:
        InputError: the folder cannot be written, or holds no result.
    """
    with atomic_folder(target, replaces=FRAMES) as folder:
        _write_events(detection, events, folder, StageClock())
        _write_run(_run(detection), folder)
        for file in (file for file in target.iterdir() if not (folder / file.name).exists()):
            try:
                os.link(file, folder / file.name)
            except OSError:  # a disk without hard links
                shutil.copy2(file, folder / file.name)


def _write_events(detection: Detection, events: Sequence[Event], folder: Path, spent: StageClock) -> None:
    """What depends on the threshold."""
    with spent.stage("tables"):
        (folder / EVENTS).write_text(_rows(event.to_json() for event in events), encoding="utf-8")
        (folder / MASKS).write_text(mask_rows(detection.masks), encoding="utf-8")
        _write_analysis(detection, folder / ANALYSIS)
    with spent.stage("timeline"):
        write_timeline(detection, folder / TIMELINE, events)


def mask_rows(masks: Iterable[Mask]) -> str:
    """JSON of masks, ordered by frame: COCO compressed RLE at display size."""
    return _rows(mask.to_json() for mask in sorted(masks, key=lambda mask: mask.frame))


def _rows(rows: Iterable[Mapping[str, Any]]) -> str:
    # one line a row: readable, and still small for thousands of masks
    return "[" + ",".join(f"\n {json.dumps(row, allow_nan=False)}" for row in rows) + "\n]\n"


def _write_analysis(detection: Detection, path: Path) -> None:
    """What the model said of each analysed frame, and what is needed to cut events anew.

    `frames` int64 `[S]`, `times` float64 `[S]`, `scores` float32 `[S]`, `category_scores` float32 `[S, K]`,
    `categories` text `[K]`, `threshold`, `size` (height, width), `fps`, `stem`.
    """
    info = detection.info
    np.savez_compressed(
        path,
        frames=detection.sampled,
        times=detection.times[detection.sampled],
        scores=detection.sampled_scores,
        category_scores=detection.sampled_category_scores,
        categories=np.array(detection.categories),
        threshold=np.float64(detection.threshold),
        size=np.array([info.height, info.width]),
        fps=np.float64(info.fps),
        stem=np.array(info.stem),
    )


def _run(detection: Detection) -> dict[str, Any]:
    info, settings = detection.info, {**detection.run.get("settings", {}), "threshold": detection.threshold}
    about = {"source": str(info.path), "width": info.width, "height": info.height, "fps": info.fps}
    return {**about, **detection.run, "settings": settings}


def _write_run(run: dict[str, Any], folder: Path) -> None:
    (folder / RUN).write_text(json.dumps(plain(run), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """The same in JSON's types; what JSON cannot say (NaN, infinity) becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def read_result(folder: Path) -> Detection:
    """See `Detection.load`."""
    from lavida.detection import Detection, Mask
    from lavida.parquet import table_in

    if not (folder / FRAMES).exists():
        raise InputError(f"no result of lavida detect: {folder}; give a folder that it wrote")
    if not (folder / ANALYSIS).exists():
        raise InputError(f"the result is of an older lavida, without {ANALYSIS}: {folder}; run lavida detect again")
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        path, contrast = Path(run["source"]), run.get("contrast")
        candidates = json.loads(gzip.decompress((folder / CANDIDATES).read_bytes()))
        times = table_in(folder / FRAMES)["time_s"].to_numpy()
        with np.load(folder / ANALYSIS, allow_pickle=False) as saved:
            height, width = (int(side) for side in saved["size"])
            stem, fps = str(saved["stem"]), float(saved["fps"])
            info = SourceInfo(path, stem, width, height, fps, len(times), contrast and Contrast(*contrast))
            return Detection(
                info=info,
                categories=tuple(str(name) for name in saved["categories"]),
                times=times,
                sampled=saved["frames"],
                sampled_scores=saved["scores"],
                sampled_category_scores=saved["category_scores"],
                threshold=float(saved["threshold"]),
                candidates=[Mask.from_json(row) for row in candidates],
                run=run,
            )
    except UNREADABLE as error:
        raise InputError(f"the result is damaged: {folder} ({one_line(error)}); run lavida detect again") from error


def check_result(target: Path, *, source: Path) -> None:
    """Refuse before the analysis a folder that `write_result` would refuse after it; nothing is made.

    Raises:
        InputError: it holds something else than the result of a detection, or the source, or cannot be written.
    """
    target, source = Path(target).resolve(), Path(source).resolve()
    if target == source or target in source.parents:
        raise InputError(f"the source lies in its own result folder: {target}; choose another folder")
    check_target(target, replaces=FRAMES)
