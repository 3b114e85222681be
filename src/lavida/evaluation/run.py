"""The engine: one benchmark, one scorer, one protocol -> `metrics.json` and the scores of every video."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lavida import __version__
from lavida.errors import InputError
from lavida.evaluation.benchmarks import Benchmark, Video
from lavida.evaluation.metrics import FrameMetrics, PixelMetrics
from lavida.evaluation.protocols import STANDARD, Protocol
from lavida.evaluation.results import ResultFolder
from lavida.evaluation.scoring import Baseline, DetectorLike, ScoredFrame, baseline_frames, detector_frames
from lavida.progress import progress_bar


def evaluate(
    benchmark: Benchmark,
    *,
    detector: DetectorLike | None = None,
    baseline: Baseline | None = None,
    protocol: Protocol = STANDARD,
    videos: str | None = None,
    categories: Sequence[str] | None = None,
    out: Path | str,
) -> dict[str, Any]:
    """Scores the videos of a benchmark and writes `out/metrics.json` and `out/scores/<video>.npz`.

    Maps are consumed video by video, so memory does not grow with the benchmark. An earlier result in `out`
    is replaced only when all videos are done. Progress goes to stderr.

    Args:
        benchmark: the videos and their labels.
        detector: the model to measure; this or `baseline`.
        baseline: the trivial method to measure; this or `detector`.
        protocol: the named choices between scores and numbers.
        videos: a glob over official video names; None is all of them.
        categories: what the detector looks for instead of the benchmark's own categories.
        out: the folder to write to; made when missing.

    Returns:
        What `metrics.json` holds. Metrics lie in [0, 1]; None where the benchmark has no such labels.

    Raises:
        InputError: no video matches, scores and labels do not fit, or `out` cannot be written.
    """
    if (detector is None) == (baseline is None):
        raise ValueError("give either a detector or a baseline")

    if baseline is not None:
        frames_of = partial(baseline_frames, baseline)
    else:
        maps = benchmark.has_pixel_labels
        frames_of = partial(detector_frames, detector, stride=protocol.stride, pixel_maps=maps)

    selected = _select(benchmark, videos)
    if categories:
        selected = [replace(video, categories=tuple(categories)) for video in selected]
    tally = _Tally(protocol)
    with ResultFolder(Path(out)) as folder:
        started = time.perf_counter()
        _measure(benchmark, selected, frames_of=frames_of, tally=tally, folder=folder)
        seconds = time.perf_counter() - started
        result = {
            "benchmark": benchmark.name,
            "protocol": protocol.name,
            "model": (detector if baseline is None else baseline).name,
            "videos": len(selected),
            "frames": tally.frames,
            **tally.frame.compute(),
            **tally.pixel.compute(),
            "rbdc": None,
            "tbdc": None,
            "settings": {
                "scorer": "detector" if baseline is None else "baseline",
                "motion": getattr(detector, "motion", None),
                "categories": list(categories or benchmark.categories),
                "own_categories": not categories,
                **_settings(benchmark, selected, tally=tally, seconds=seconds),
            },
        }
        folder.publish(result)
    return result


@dataclass
class _Tally:
    """What has been measured so far."""

    protocol: Protocol
    frame: FrameMetrics = field(default_factory=FrameMetrics)
    pixel: PixelMetrics = field(default_factory=PixelMetrics)
    frames: int = 0
    analysed: int = 0
    pixel_frames: int = 0

    def add(self, frame: ScoredFrame, mask: NDArray[np.bool_] | None, *, video: str) -> None:
        self.frames += 1
        self.analysed += frame.analysed
        if frame.pixel_map is not None and mask is not None:
            self.pixel_frames += 1
            resize = self.protocol.resize
            self.pixel.update(resize(frame.pixel_map), resize(mask), video=video)


def _select(benchmark: Benchmark, pattern: str | None) -> list[Video]:
    selected = [v for v in benchmark.videos if pattern is None or fnmatchcase(v.name, pattern)]
    if not selected:
        names = [v.name for v in benchmark.videos]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InputError(f"no video of {benchmark.name} matches {pattern!r}; it has {shown or 'none'}")
    return selected


def _measure(
    benchmark: Benchmark,
    videos: list[Video],
    *,
    frames_of: Callable[..., Iterator[ScoredFrame]],
    tally: _Tally,
    folder: ResultFolder,
) -> None:
    console = Console(stderr=True)
    for note in benchmark.notes:
        console.print(f"{benchmark.name}: {note}", style="yellow", highlight=False)
    with progress_bar(benchmark.name, total=sum(v.frames for v in videos)) as advance:
        for video in videos:
            labels = benchmark.frame_labels(video)
            masks = benchmark.pixel_labels(video) if benchmark.has_pixel_labels else iter(())
            scores = []
            for frame in frames_of(video, progress=_Steps(advance, video.name)):
                tally.add(frame, next(masks, None), video=video.name)
                scores.append(frame.score)
            tally.frame.update(video.name, scores, labels)
            folder.write_scores(video.name, scores=np.array(scores, dtype=np.float32), labels=labels)


class _Steps:
    """Turns the count of frames done in one video into the steps that a progress bar takes."""

    def __init__(self, advance: Callable[[int, str], None], video: str) -> None:
        self._advance, self._video, self._done = advance, video, 0

    def __call__(self, done: int) -> None:
        self._advance(done - self._done, self._video)
        self._done = done


def _settings(benchmark: Benchmark, videos: list[Video], *, tally: _Tally, seconds: float) -> dict[str, Any]:
    """Everything a reader needs to repeat or to distrust the numbers."""
    return {
        "lavida": __version__,
        "protocol": {**asdict(tally.protocol), "pixel_size": list(tally.protocol.pixel_size)},
        "video_names": [v.name for v in videos],
        "official_videos": benchmark.official_videos,
        "notes": benchmark.notes,
        "analysed_frames": tally.analysed,
        "interpolated_frames": tally.frames - tally.analysed,
        "pixel_frames": tally.pixel_frames,
        "seconds": round(seconds, 3),
        "frames_per_second": round(tally.frames / max(seconds, 1e-9), 3),
    }
