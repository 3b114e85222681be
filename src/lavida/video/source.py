"""What every source of frames offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lavida.video.pixels import Contrast


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame and its neighbour about 0.04 s earlier (`video.sampling.GAP_SECONDS`), both gray and small.

    Attributes:
        now: uint8 `[h, w]`.
        before: uint8 `[h, w]`; the frame after it at the start of a source, None if there is no other frame.
        seconds: from `before` to `now`, negative if it comes after.
    """

    now: np.ndarray
    before: np.ndarray | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a source.

    Attributes:
        index: from 0 in presentation order.
        time_s: seconds since the first frame, never decreasing.
        image: uint8 `[H, W, 3]`, RGB, upright; None for a frame that was not selected (or a damaged image).
        pair: the frame and its neighbour in gray, for its motion; None where not asked for or not selected.
        motion: float16 `[4, H/4, W/4]`, `video.motion.motion_field` of the pair, where it was computed ahead.
    """

    index: int
    time_s: float
    image: np.ndarray | None
    pair: Pair | None = None
    motion: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before it is read.

    Attributes:
        path: as given.
        stem: the name for its results.
        width: displayed pixels: upright, and square.
        height: displayed pixels.
        fps: frames a second: what is usual in this source; the time of each frame is `Frame.time_s`.
        frames_hint: the announced number of frames, often wrong: for progress bars only.
        contrast: how pictures of 16 bits are shown that use little of their range; None: as they are.
    """

    path: Path
    stem: str
    width: int
    height: int
    fps: float
    frames_hint: int | None
    contrast: Contrast | None = None


class Source(Protocol):
    """Frames in presentation order, as often as wanted.

    Attributes:
        info: size, rate and name.
        warnings: one line each on what a reading found (damage, missing time stamps); complete at its end.
        notes: one line each on what one may want to know and nothing is wrong with (other streams, files left out).
    """

    @property
    def info(self) -> SourceInfo: ...

    @property
    def warnings(self) -> list[str]: ...

    @property
    def notes(self) -> list[str]: ...

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """Yield every frame; only those that are analysed carry an image.

        Args:
            stride: frames 0, stride, 2 stride, ... and the last one; None: by time (`FrameSampling`).
            size: `(height, width)` of the images; the displayed size if None.
            pair_size: `(height, width)` of the gray pairs; no pairs if None.

        Raises:
            InputError: the source cannot be read, or nothing in it can be decoded.
            ValueError: `stride` is less than 1.
        """
        ...


class SourceAround:
    """A source that shows another one in its own way: what is known and told is that of the other."""

    def __init__(self, source: Source, *, info: SourceInfo | None = None) -> None:
        self._source = source
        self.info = info or source.info

    @property
    def warnings(self) -> list[str]:
        return self._source.warnings

    @property
    def notes(self) -> list[str]:
        return list(getattr(self._source, "notes", ()))  # own sources may have none
