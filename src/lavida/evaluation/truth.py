"""What is true of one benchmark video, for pictures and reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.evaluation.benchmarks import Benchmark, Video


@dataclass(frozen=True)
class Truth:
    """The annotation of one video, read when asked for."""

    benchmark: Benchmark
    video: Video

    def labels(self, frames: int | None = None) -> NDArray[np.uint8]:
        """`[frames]`, 1 where the frame is abnormal.

        Args:
            frames: how many were decoded; None is what the benchmark says.

        Raises:
            InputError: the annotation is of another length.
        """
        return self.benchmark.frame_labels(self.video, frames)

    def masks(self, frames: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
        """Abnormal pixels `[H, W]` of some frames by their number; empty where the benchmark has no pixel labels."""
        wanted = set(frames)
        if not wanted or not self.benchmark.has_pixel_labels:
            return {}
        found: dict[int, NDArray[np.bool_]] = {}
        for frame, mask in enumerate(self.benchmark.pixel_labels(self.video)):
            if frame in wanted:
                found[frame] = mask
            if len(found) == len(wanted):
                break
        return found


def find_video(benchmark: Benchmark, name: str) -> Video:
    """The video of this official name.

    Raises:
        InputError: the benchmark's folder has none.
    """
    for video in benchmark.videos:
        if video.name == name:
            return video
    names = ", ".join(video.name for video in benchmark.videos[:3])
    more = ", ..." if len(benchmark.videos) > 3 else ""
    raise InputError(f"no video {name} in {benchmark.name}; it has {names}{more}")
