"""What the evaluation asks of a benchmark: a list of videos, and their labels, by frame or by interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError


class Interval(NamedTuple):
    """An abnormal stretch in the numbers of the official file; what they count, an `IntervalRule` says."""

    start: int
    end: int


def paired(fields: Sequence[str]) -> tuple[Interval, ...]:
    """Intervals from the fields `start end start end ...` of a line; a pair of -1 stands for none.

    Raises:
        ValueError: they are no such numbers; the message says so in a few words.
    """
    try:
        numbers = [int(field) for field in fields]
    except ValueError:
        raise ValueError("frame numbers that are none") from None
    if not numbers or len(numbers) % 2:
        raise ValueError("frame numbers that do not pair up")
    intervals = [Interval(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    intervals = [interval for interval in intervals if interval != (-1, -1)]
    if any(not 0 <= start <= end for start, end in intervals):
        raise ValueError("a stretch that ends before it starts")
    return tuple(intervals)


@dataclass(frozen=True, kw_only=True)
class IntervalRule:
    """How the numbers of an interval name frames.

    Attributes:
        first_number: the number of a video's first frame, 0 or 1.
        end_inclusive: whether the frame of the end number is abnormal itself.
    """

    first_number: int
    end_inclusive: bool

    def labels(self, intervals: Iterable[Interval], frames: int | None = None) -> NDArray[np.uint8]:
        """Labels `[frames]`, 1 within the intervals; what lies beyond the video is cut off.

        Args:
            intervals: in any order, they may overlap.
            frames: how many frames the video has; None is as many as the intervals reach.
        """
        spans = [self.span(interval) for interval in intervals]
        labels = np.zeros(max((end for _, end in spans), default=0) if frames is None else frames, dtype=np.uint8)
        for start, end in spans:
            labels[start:end] = 1
        return labels

    def span(self, interval: Interval) -> tuple[int, int]:
        """The interval as an index of its first frame, from 0, and one behind its last."""
        # number 0 where counting starts at 1 means the first frame, as in the official UCF-Crime script
        return max(0, interval.start - self.first_number), interval.end - self.first_number + self.end_inclusive


FROM_ONE_INCLUSIVE = IntervalRule(first_number=1, end_inclusive=True)
FROM_ZERO_INCLUSIVE = IntervalRule(first_number=0, end_inclusive=True)
FROM_ZERO_EXCLUSIVE = IntervalRule(first_number=0, end_inclusive=False)


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


class Truth(NamedTuple):
    """The annotation of one video, read when asked for."""

    benchmark: Benchmark
    video: Video

    def labels(self, frames: int | None = None) -> NDArray[np.uint8]:
        """As `Benchmark.frame_labels`."""
        return self.benchmark.frame_labels(self.video, frames)

    def masks(self, frames: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
        """Abnormal pixels `[H, W]` of some frames by their number; empty where the benchmark has no pixel labels."""
        wanted = set(frames)
        if not wanted or not self.benchmark.has_pixel_labels:
            return {}
        masks = zip(range(max(wanted) + 1), self.benchmark.pixel_labels(self.video), strict=False)
        return {frame: mask for frame, mask in masks if frame in wanted}


def find_video(benchmark: Benchmark, name: str) -> Video:
    """The video of this official name. Raises InputError where the benchmark's folder has none."""
    for video in benchmark.videos:
        if video.name == name:
            return video
    names = ", ".join(video.name for video in benchmark.videos[:3])
    more = ", ..." if len(benchmark.videos) > 3 else ""
    raise InputError(f"no video {name} in {benchmark.name}; it has {names}{more}")
