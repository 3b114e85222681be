"""One benchmark, one scorer, one protocol -> `metrics.json` and the scores of every video."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from lavida import __version__
from lavida import parallel as engine
from lavida.errors import InputError
from lavida.evaluation.benchmarks import Benchmark, Video
from lavida.evaluation.measure import VideoMeasure, start_measuring
from lavida.evaluation.protocols import STANDARD, Protocol
from lavida.evaluation.results import ResultFolder
from lavida.evaluation.scorers import Baseline, DetectorLike, Progress, Scorer, untold
from lavida.evaluation.tally import Tally

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Where videos are measured.

    Attributes:
        count: how many at a time; None lets Ray choose, and is one without Ray.
        ray: None, `local`, or the address of a cluster, as `lavida.engine.run` takes it.
    """

    count: int | None = None
    ray: str | None = None

    @property
    def is_this_process(self) -> bool:
        return self.ray is None and self.count in (None, 1)


def evaluate(
    benchmark: Benchmark,
    *,
    detector: DetectorLike | None = None,
    baseline: Baseline | None = None,
    start_scorer: Callable[[], Scorer] | None = None,
    protocol: Protocol = STANDARD,
    videos: str | None = None,
    categories: Sequence[str] | None = None,
    out: Path | str,
    save_maps: bool = False,
    workers: Workers = Workers(),
    resume_key: str | None = None,
    progress: Progress = untold,
) -> dict[str, Any]:
    """Scores the videos of a benchmark and writes `out/metrics.json` and `out/scores/<video>.npz`.

    Maps are consumed frame by frame, so memory grows neither with a video nor with the benchmark, but for a few
    numbers a frame. An earlier result in `out` is replaced only when all videos are done.

    Args:
        benchmark: the videos and their labels.
        detector: the model to measure; this, `baseline` or `start_scorer`.
        baseline: the trivial method to measure.
        start_scorer: loads either in each worker; several workers need it. It is pickled then.
        protocol: the named choices between scores and numbers.
        videos: a glob over official video names; None is all of them.
        categories: what the detector looks for instead of the benchmark's own categories.
        out: the folder to write to; made when missing. Several machines must share it if maps are saved.
        save_maps: also write `out/maps/<video>.npy` and `<video>.mask.npy`, as they were measured.
        workers: where videos are measured.
        resume_key: says which weights the scorer has. Measures of an interrupted evaluation with the same key and
            the same settings are taken from `out`; None starts anew.
        progress: told the benchmark, the frames done, of how many, and the video.

    Returns:
        What `metrics.json` holds. Metrics lie in [0, 1]; None where the benchmark has no such labels.

    Raises:
        InputError: no video matches or counts, a video cannot be measured, or `out` cannot be written.
    """
    given = [scorer for scorer in (detector, baseline, start_scorer) if scorer is not None]
    if len(given) != 1:
        raise ValueError("give either a detector or a baseline or start_scorer")
    if start_scorer is None and not workers.is_this_process:
        raise ValueError("several workers load the scorer themselves: give start_scorer")
    protocol = protocol.on(benchmark.name)
    selected = _select(benchmark, videos, categories)
    for note in benchmark.notes:
        _logger.warning("%s: %s", benchmark.name, note)
    key = None if resume_key is None else _whole_key(resume_key, benchmark, protocol, selected, save_maps)
    tally = Tally(protocol)
    with ResultFolder(Path(out), key=key) as folder:
        start = partial(
            start_measuring,
            benchmark,
            start_scorer or (lambda: given[0]),
            protocol,
            maps_to=folder.maps.resolve() if save_maps else None,
        )
        started = time.perf_counter()
        _measure_all(
            selected, start, tally=tally, folder=folder, workers=workers, tell=partial(progress, benchmark.name)
        )
        seconds = time.perf_counter() - started
        result = tally.result(benchmark, selected, own_categories=not categories, seconds=seconds)
        for measure in tally.counted(selected):
            folder.write_scores(measure.video, scores=measure.scores, labels=measure.labels)
        folder.publish(result)
    return result


def _select(benchmark: Benchmark, pattern: str | None, categories: Sequence[str] | None) -> list[Video]:
    selected = [v for v in benchmark.videos if pattern is None or fnmatchcase(v.name, pattern)]
    if not selected:
        names = [v.name for v in benchmark.videos]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InputError(f"no video of {benchmark.name} matches {pattern!r}; it has {shown or 'none'}")
    return [replace(video, categories=tuple(categories)) for video in selected] if categories else selected


def _whole_key(resume_key: str, benchmark: Benchmark, protocol: Protocol, videos: list[Video], save_maps: bool) -> str:
    """Everything that a measure depends on, as text."""
    sources = [[v.name, str(v.source), v.frames, *v.categories] for v in videos]
    return json.dumps([__version__, resume_key, benchmark.name, protocol.settings(), sources, save_maps])


def _measure_all(
    videos: list[Video],
    start: Callable[..., Callable[[Video], VideoMeasure]],
    *,
    tally: Tally,
    folder: ResultFolder,
    workers: Workers,
    tell: Callable[[int, int, str], object],
) -> None:
    """Measures what an interrupted evaluation has not, and adds all to the tally."""
    waiting, done, total = [], 0, sum(video.frames for video in videos)
    for video in videos:
        if (measure := folder.finished(video.name)) is None:
            waiting.append(video)
        else:
            tally.add(measure, resumed=True)
            done += video.frames
    if len(waiting) < len(videos):
        measured = len(videos) - len(waiting)
        _logger.warning("%d of %d videos were measured before an interruption", measured, len(videos))
    if workers.is_this_process:
        start = partial(start, progress=lambda video, frames: tell(done + frames, total, video.name))
    for measure in _measured(waiting, start, workers):
        folder.add(measure)
        tally.add(measure)
        done += measure.read
        tell(done, total, measure.video)


def _measured(
    videos: list[Video], start: Callable[[], Callable[[Video], VideoMeasure]], workers: Workers
) -> Iterator[VideoMeasure]:
    """In the order in which they are done. Raises InputError for the first video that cannot be measured."""
    for video, measure in engine.run(videos, start, workers=workers.count, ray=workers.ray):
        if isinstance(measure, engine.Failure):
            if measure.defect is not None:
                raise RuntimeError(f"{video.name}: {measure.defect}")
            raise InputError(measure.reason if video.name in measure.reason else f"{video.name}: {measure.reason}")
        yield measure
