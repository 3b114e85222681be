"""One benchmark, one scorer, one protocol -> `metrics.json` and the scores of every video."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lavida import __version__, parallel
from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import Benchmark, Video, some_names
from lavida.evaluation.measure import VideoMeasure, start_measuring
from lavida.evaluation.metrics import FrameMetrics, PixelMetrics
from lavida.evaluation.protocols import STANDARD, Protocol
from lavida.evaluation.regions import RegionCounts, region_metrics
from lavida.evaluation.results import ResultFolder
from lavida.evaluation.scorers import Baseline, DetectorLike, Scorer
from lavida.timing import Progress, untold

_logger = logging.getLogger(__name__)

StartMeasuring = Callable[..., Callable[[Video], VideoMeasure]]  # `start_measuring` but for `progress`


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Where videos are measured."""

    count: int | None = None  # how many at a time; None lets Ray choose, and is one without Ray
    ray: str | None = None  # None, `local`, or the address of a cluster, as `lavida.parallel.run` takes it

    @property
    def is_this_process(self) -> bool:
        return self.ray is None and self.count in (None, 1)

    def run(
        self, videos: Sequence[Video], start: StartMeasuring
    ) -> Iterable[tuple[Video, VideoMeasure | parallel.Failure]]:
        """Each video with its measure, in the order in which they are done; see `lavida.parallel.run`."""
        return parallel.run(videos, start, workers=self.count, ray=self.ray)


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

    Maps are consumed frame by frame: memory does not grow but for a few numbers a frame. An earlier result is replaced
    only when all videos are done.

    Args:
        benchmark: the videos and their labels.
        detector: the model to measure; this, `baseline` or `start_scorer`.
        baseline: the trivial method to measure.
        start_scorer: loads either in each worker; several workers need it. It is pickled then.
        protocol: the named choices between scores and numbers.
        videos: a glob over official video names; None is all of them.
        categories: what the detector looks for instead of the benchmark's own categories.
        out: the folder to write to, made when missing; several machines share it if maps are saved.
        save_maps: also write `out/maps/<video>.npy` and `<video>.mask.npy`, as they were measured.
        workers: where they are measured.
        resume_key: of the weights: measures of an interrupted evaluation with it are taken over; None starts anew.
        progress: told the benchmark, the frames done, of how many, and the video.

    Returns:
        What `metrics.json` holds. Metrics lie in [0, 1]; None where the benchmark has no such labels.

    Raises:
        InputError: no video matches or counts, a video cannot be measured, or `out` cannot be written.
    """
    scorers: list[Scorer] = [scorer for scorer in (detector, baseline) if scorer is not None]
    if len(scorers) + (start_scorer is not None) != 1:
        raise ValueError("give either a detector or a baseline or start_scorer")
    if start_scorer is None and not workers.is_this_process:
        raise ValueError("several workers load the scorer themselves: give start_scorer")
    protocol = protocol.on(benchmark.name)
    selected = _select(benchmark, videos, categories)
    for note in benchmark.notes:
        _logger.warning("%s: %s", benchmark.name, note)
    key = None
    if resume_key is not None:  # and all else that a measure depends on
        sources = [[v.name, str(v.source), v.frames, *v.categories, benchmark.state(v)] for v in selected]
        key = json.dumps([__version__, resume_key, benchmark.name, protocol.settings(), sources, save_maps])
    tally = Tally(protocol)
    with ResultFolder(Path(out), key=key) as folder:
        start = partial(
            start_measuring,
            benchmark,
            start_scorer or (lambda: scorers[0]),
            protocol,
            maps_to=folder.maps.resolve() if save_maps else None,
        )
        started = time.perf_counter()
        _measure_all(selected, start, tally, folder, workers, partial(progress, benchmark.name))
        seconds = time.perf_counter() - started
        result = tally.result(benchmark, selected, own_categories=not categories, seconds=seconds)
        for measure in tally.counted(selected):
            folder.write_scores(measure.video, scores=measure.scores, labels=measure.labels)
        folder.publish(result)
    return result


def _select(benchmark: Benchmark, pattern: str | None, categories: Sequence[str] | None) -> list[Video]:
    selected = [v for v in benchmark.videos if pattern is None or fnmatchcase(v.name, pattern)]
    if not selected:
        raise InputError(f"no video of {benchmark.name} matches {pattern!r}; it has {some_names(benchmark)}")
    return [replace(video, categories=tuple(categories)) for video in selected] if categories else selected


def _measure_all(
    videos: list[Video],
    start: StartMeasuring,
    tally: "Tally",
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
    for measure in _measured(workers.run(waiting, start)):
        folder.add(measure)
        tally.add(measure)
        done += measure.read
        tell(done, total, measure.video)


def _measured(results: Iterable[tuple[Video, VideoMeasure | parallel.Failure]]) -> Iterator[VideoMeasure]:
    """The measures. Raises InputError for the first video that cannot be measured, RuntimeError for a defect."""
    for video, measure in results:
        if not isinstance(measure, parallel.Failure):
            yield measure
        elif measure.defect is not None:
            raise RuntimeError(f"{video.name}: {measure.defect}")
        else:
            raise InputError(measure.reason if video.name in measure.reason else f"{video.name}: {measure.reason}")


class Tally:
    """Adds up measures, in any order. Keeps the scores, labels and latencies of every frame, and no more than that."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._measures: dict[str, VideoMeasure] = {}
        self._resumed: set[str] = set()
        self._pixels = PixelMetrics(average_precision=protocol.average_precision)
        self._regions: RegionCounts | None = None

    def add(self, measure: VideoMeasure, *, resumed: bool = False) -> None:
        """Adds one video; `resumed`: it was measured by an earlier, interrupted run."""
        if measure.pixels is not None:
            self._pixels.merge(measure.pixels)
        if measure.regions is not None:
            self._regions = measure.regions if self._regions is None else self._regions + measure.regions
        self._measures[measure.video] = replace(measure, pixels=None, regions=None)
        if resumed:
            self._resumed.add(measure.video)

    def counted(self, videos: Sequence[Video]) -> list[VideoMeasure]:
        """What those of the videos gave that the protocol does not skip, in their order; scores and labels only."""
        measures = (self._measures[video.name] for video in videos)
        return [measure for measure in measures if measure.skipped is None]

    def result(
        self, benchmark: Benchmark, videos: Sequence[Video], *, own_categories: bool, seconds: float
    ) -> dict[str, Any]:
        """What `metrics.json` holds, `videos` being all that were added, in the order in which they are averaged.

        Raises:
            InputError: the protocol skips every video.
        """
        counted, protocol = self.counted(videos), self._protocol
        if not counted:
            first = self._measures[videos[0].name]
            raise InputError(
                f"no video is left: {first.video} is skipped because {first.skipped}; "
                "choose other videos or another protocol"
            )
        scorer = counted[0].scorer
        frame_metrics = FrameMetrics(
            average_precision=protocol.average_precision,
            auc_padding=protocol.auc_padding,
            macro_padding=protocol.macro_padding,
        )
        for measure in counted:
            frame_metrics.update(measure.video, measure.scores, measure.labels)
        return {
            "benchmark": benchmark.name,
            "protocol": protocol.name,
            "model": scorer.name,
            "videos": len(counted),
            "frames": _frames(counted),
            **frame_metrics.compute(),
            **self._pixels.compute(),
            **region_metrics(self._regions),
            "settings": {
                "scorer": scorer.kind,
                "motion": scorer.motion,
                "categories": list(videos[0].categories),
                "own_categories": own_categories,
                "lavida": __version__,
                "headline": protocol.headline,
                "protocol": {"name": protocol.name, **protocol.settings()},
                "video_names": [measure.video for measure in counted],
                "official_videos": benchmark.official_videos,
                "notes": benchmark.notes,
                **self._coverage(videos, counted),
                "resumed_videos": len(self._resumed),
                "speed": self._speed(counted, seconds=seconds),
            },
        }

    def _coverage(self, videos: Sequence[Video], counted: Sequence[VideoMeasure]) -> dict[str, Any]:
        """Everything a reader needs to know of what the numbers are made from."""
        frames, analysed = _frames(counted), sum(m.analysed for m in counted)
        measures = [(video, self._measures[video.name]) for video in videos]
        return {
            "skipped_videos": {m.video: m.skipped for _, m in measures if m.skipped is not None},
            "dropped_frames": sum(m.read for m in counted) - frames,
            "decoded_frames": {m.video: m.read for video, m in measures if m.read != video.frames},
            "analysed_frames": analysed,
            "interpolated_frames": frames - analysed,
            "pixel_frames": sum(m.pixel_frames for m in counted),
        }

    def _speed(self, measures: Sequence[VideoMeasure], *, seconds: float) -> dict[str, Any]:
        """Wall clock of this run with labels and metrics; latencies are those of the scorer alone, of all runs."""
        latencies = np.concatenate([measure.latencies for measure in measures]) * 1000
        now, spent = [m for m in measures if m.video not in self._resumed], max(seconds, 1e-9)
        return {
            "seconds": round(seconds, 3),
            "frames_per_second": round(_frames(now) / spent, 3),
            "analysed_frames_per_second": round(sum(m.analysed for m in now) / spent, 3),
            "latency_ms_mean": round(float(latencies.mean()), 3),
            "latency_ms_p95": round(float(np.percentile(latencies, 95)), 3),
        }


def _frames(measures: Sequence[VideoMeasure]) -> int:
    return sum(len(measure.scores) for measure in measures)
