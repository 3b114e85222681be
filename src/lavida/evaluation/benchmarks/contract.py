"""What the engine asks of a benchmark: a list of videos, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Video:
    """One test video.

    Attributes:
        name: the official name; `scores/<name>.npz` is named after it.
        source: a video file or a folder of frames, as `lavida.video.decode.open_source` takes it.
        frames: how many labelled frames it has.
        categories: what counts as abnormal in it, in plain words.
    """

    name: str
    source: Path
    frames: int
    categories: tuple[str, ...]


class Benchmark(Protocol):
    """A labelled set of test videos. Opening one checks its files; reading labels streams them.

    Attributes:
        name: the name on the command line, such as `ucsd-ped2`.
        categories: what counts as abnormal, in plain words.
        videos: the test videos that are there, in official order.
        official_videos: how many test videos the full benchmark has.
        has_pixel_labels: whether `pixel_labels` may be called.
        notes: one line for each way in which the files deviate from the full benchmark.
    """

    name: str
    categories: tuple[str, ...]
    videos: list[Video]
    official_videos: int
    has_pixel_labels: bool
    notes: list[str]

    def frame_labels(self, video: Video) -> NDArray[np.uint8]:
        """Labels `[frames]`, 1 where the frame is abnormal."""
        ...

    def pixel_labels(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """One mask `[H, W]` for each frame in order, true where abnormal."""
        ...
