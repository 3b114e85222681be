"""What has been measured so far, video after video in any order, and the numbers that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lavida import __version__
from lavida.errors import InputError
from lavida.evaluation.benchmarks import Benchmark, Video
from lavida.evaluation.measure import VideoMeasure
from lavida.evaluation.metrics import FrameMetrics, PixelMetrics
from lavida.evaluation.protocols import Protocol
from lavida.evaluation.regions import RegionCounts, region_metrics


class Tally:
    """Adds up measures. Keeps the scores, labels and latencies of every frame, and no more than that."""

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
        self._measures[measure.video] = measure.without_counts()
        if resumed:
            self._resumed.add(measure.video)

    def counted(self, videos: Sequence[Video]) -> list[VideoMeasure]:
        """What those of the videos gave that the protocol does not skip, in their order; scores and labels only."""
        measures = (self._measures[video.name] for video in videos)
        return [measure for measure in measures if measure.skipped is None]

    def result(
        self, benchmark: Benchmark, videos: Sequence[Video], *, own_categories: bool, seconds: float
    ) -> dict[str, Any]:
        """What `metrics.json` holds.

        Args:
            benchmark: where the videos belong.
            videos: all that were added, in the order in which they are listed and averaged.
            own_categories: whether the detector looked for the benchmark's own categories.
            seconds: how long this run took.

        Raises:
            InputError: the protocol skips every video.
        """
        measures, counted = [self._measures[video.name] for video in videos], self.counted(videos)
        if not counted:
            raise InputError(
                f"no video is left: {measures[0].video} is skipped because {measures[0].skipped}; "
                "choose other videos or another protocol"
            )
        protocol, scorer = self._protocol, counted[0].scorer
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
                **_coverage(benchmark, videos, measures, counted),
                "resumed_videos": len(self._resumed),
                "speed": self._speed(counted, seconds=seconds),
            },
        }

    def _speed(self, measures: Sequence[VideoMeasure], *, seconds: float) -> dict[str, Any]:
        """Wall clock of this run with labels and metrics; latencies are those of the scorer alone, of all runs."""
        latencies = np.concatenate([measure.latencies for measure in measures]) * 1000
        now = [measure for measure in measures if measure.video not in self._resumed]
        return {
            "seconds": round(seconds, 3),
            "frames_per_second": round(_frames(now) / max(seconds, 1e-9), 3),
            "analysed_frames_per_second": round(sum(m.analysed for m in now) / max(seconds, 1e-9), 3),
            "latency_ms_mean": round(float(latencies.mean()), 3),
            "latency_ms_p95": round(float(np.percentile(latencies, 95)), 3),
        }


def _frames(measures: Sequence[VideoMeasure]) -> int:
    return sum(len(measure.scores) for measure in measures)


def _coverage(
    benchmark: Benchmark,
    videos: Sequence[Video],
    measures: Sequence[VideoMeasure],
    counted: Sequence[VideoMeasure],
) -> dict[str, Any]:
    """Everything a reader needs to know of what the numbers are made from."""
    frames, analysed = _frames(counted), sum(m.analysed for m in counted)
    pairs = zip(measures, videos, strict=True)
    return {
        "video_names": [measure.video for measure in counted],
        "official_videos": benchmark.official_videos,
        "notes": benchmark.notes,
        "skipped_videos": {m.video: m.skipped for m in measures if m.skipped is not None},
        "dropped_frames": sum(m.read for m in counted) - frames,
        "decoded_frames": {measure.video: measure.read for measure, video in pairs if measure.read != video.frames},
        "analysed_frames": analysed,
        "interpolated_frames": frames - analysed,
        "pixel_frames": sum(m.pixel_frames for m in counted),
    }
