"""What the engine asks of a benchmark: a list of videos, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lavida.evaluation.benchmarks.intervals import Interval, IntervalRule


@dataclass(frozen=True)
class Video:
    """One test video.

    Attributes:
        name: the official name; `scores/<name>.npz` is named after it.
        source: a video file or a folder of frames, as `lavida.video.decode.open_source` takes it.
        frames: how many labelled frames it has. Where the annotation does not tell (UBnormal, UCF-Crime,
            XD-Violence), the number that the video's header announces, which can be off by a few.
        categories: what counts as abnormal in it, in plain words.
    """

    name: str
    source: Path
    frames: int
    categories: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the complete test set consists of, as the literature reports it; None where nobody is sure."""

    videos: int
    frames: int | None = None
    abnormal_frames: int | None = None
    abnormal_videos: int | None = None


class Benchmark(Protocol):
    """A labelled set of test videos. Opening one checks its files; reading labels streams them.

    Attributes:
        name: the name on the command line, such as `ucsd-ped2`.
        categories: what counts as abnormal, in plain words.
        expected: what the complete test set consists of.
        videos: the test videos that are there, in official order.
        official_videos: how many test videos the full benchmark has.
        has_pixel_labels: whether any of `videos` has pixel labels.
        interval_rule: how the numbers of `intervals` name frames; None where labels are given frame by frame.
        notes: one line for each way in which the files deviate from the full benchmark.
    """

    name: str
    categories: tuple[str, ...]
    expected: Expected
    videos: list[Video]
    official_videos: int
    has_pixel_labels: bool
    interval_rule: IntervalRule | None
    notes: list[str]

    def frame_labels(self, video: Video, frames: int | None = None) -> NDArray[np.uint8]:
        """Labels `[frames]`, 1 where the frame is abnormal.

        Args:
            video: one of `videos`.
            frames: how many frames were decoded; None is `video.frames`.

        Raises:
            InputError: the annotation has another number of frames, or cannot be read.
        """
        ...

    def intervals(self, video: Video) -> tuple[Interval, ...] | None:
        """The abnormal stretches as the official file writes them; None where labels are given frame by frame."""
        ...

    def pixel_labels(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """One mask `[H, W]` for each frame in order, true where abnormal; nothing for a video without masks."""
        ...

    def tracks(self, video: Video) -> Iterator[NDArray[np.integer]]:
        """One map `[H, W]` for each frame in order: 0 is normal, n the n-th anomalous track; nothing without masks."""
        ...
