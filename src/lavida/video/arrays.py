"""Frames that a program already has: an array, pictures, or one after the other with their times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.errors import InputError
from lavida.video.pixels import resized
from lavida.video.sampling import FrameSampling, SampledSource, Timed, frames_of
from lavida.video.source import Frame, SourceInfo

NAME = Path("frames")  # what messages and results call them

Item = tuple[NDArray[np.uint8], float]  # RGB `[H, W, 3]`, and its time in seconds


class ArraySource(SampledSource):
    """Frames of one size from memory; see `Source`.

    Args:
        items: gives the frames with their times, from the first one, each time it is called.
        fps: frames a second, as is usual among them.
        count: how many there are; None if nobody knows.
    """

    def __init__(self, items: Callable[[], Iterator[Item]], *, fps: float, count: int | None) -> None:
        super().__init__()
        self._items = items
        first, _ = next(items(), (None, 0.0))
        if first is None:
            raise InputError("no frame: the array, list or iterable is empty; give at least one frame")
        height, width = _checked(first, 0, None).shape[:2]
        self.info = SourceInfo(NAME, NAME.name, width, height, fps, count)

    def _frames(
        self, sampling: FrameSampling, size: tuple[int, int], pair_size: tuple[int, int] | None
    ) -> Iterator[Frame]:
        # shown as pictures in a folder are: the same frames give the same scores
        return frames_of(
            self._timed(),
            sampling,
            rgb=lambda image: resized(Image.fromarray(image), size),
            gray=None if pair_size is None else lambda image: resized(Image.fromarray(image).convert("L"), pair_size),
            most_earlier=self.info.fps,  # an iterable may be far faster than it says, and its frames are in memory
        )

    def _timed(self) -> Iterator[Timed[NDArray[np.uint8]]]:
        shape, start, latest = (self.info.height, self.info.width), 0.0, -math.inf
        for index, (image, stamp) in enumerate(self._items()):
            if index == 0:
                start = float(stamp)
            time_s = float(stamp) - start
            if not (math.isfinite(time_s) and time_s >= latest):
                raise InputError(f"frame {index} has the time {stamp}: give seconds that never decrease")
            latest = time_s
            yield Timed(_checked(image, index, shape), time_s)


def _checked(image: Any, index: int, shape: tuple[int, int] | None) -> NDArray[np.uint8]:
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"frame {index} is {found}: give uint8 RGB [H, W, 3], or pictures of Pillow")
    if not image.size or (shape is not None and image.shape[:2] != shape):
        wanted = "at least one pixel" if shape is None else f"{shape[1]}x{shape[0]} as frame 0"
        raise InputError(f"frame {index} is {image.shape[1]}x{image.shape[0]}, not {wanted}; bring all to one size")
    return image


def array_source(frames: Any, *, fps: float) -> ArraySource:
    """A source from an array `[T, H, W, 3]`, a list of frames or pictures, or an iterable of `(frame, time_s)`.

    An iterator can be read once only: no overlay can be drawn of it.

    Raises:
        InputError: there is no frame, or it is none of these.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"frames a second must be positive: {fps:g}; try 25")
    if isinstance(frames, np.ndarray) or (isinstance(frames, Sequence) and not _is_timed(frames)):
        return ArraySource(
            lambda: ((frame, index / fps) for index, frame in enumerate(frames)), fps=fps, count=len(frames)
        )
    if isinstance(frames, Sequence):
        steps = np.diff([float(time_s) for _, time_s in frames])
        usual = float(np.median(steps[steps > 0])) if np.any(steps > 0) else 1 / fps
        return ArraySource(lambda: iter(frames), fps=1 / usual, count=len(frames))
    if isinstance(frames, Iterable):
        return ArraySource(_Once(frames), fps=fps, count=None)
    raise InputError(f"no source: {type(frames).__name__}; give a path, an array [T, H, W, 3], pictures, or frames")


def _is_timed(frames: Sequence[Any]) -> bool:
    return bool(frames) and isinstance(frames[0], tuple)


class _Once:
    """Looks at the first item without losing it, and gives all of them once."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items, self._asked = iter(items), 0
        self._first: list[Item] = []

    def __call__(self) -> Iterator[Item]:
        self._asked += 1
        if self._asked == 1:
            self._first = list(_one(self._items))
            return iter(self._first)
        if self._asked > 2:
            raise InputError("frames that come one by one cannot be read twice: save without overlay (overlay=False)")
        return chain(self._first, self._items)


def _one(items: Iterator[Item]) -> Iterator[Item]:
    for item in items:
        if not isinstance(item, tuple) or len(item) != 2:
            raise InputError(f"no frame with its time, but {type(item).__name__}: give (frame, time_s) one by one")
        yield item
        return
