"""Parts of a source that are sources themselves: a stretch of time, or a few frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.video.sampling import FrameSampling, with_next
from lavida.video.source import Frame, Source, SourceAround


class Stretch(SourceAround):
    """What a source shows from one moment to another. Frames are numbered from 0, times stay those of the source.

    Args:
        source: where to cut from.
        start_s: first moment, in seconds.
        end_s: the moment from which nothing is taken.

    Raises:
        InputError: the end is not after the start.
    """

    def __init__(self, source: Source, *, start_s: float = 0.0, end_s: float = math.inf) -> None:
        if not 0 <= start_s < end_s:
            raise InputError(f"no time from {start_s:g} s to {end_s:g} s; give a start of 0 or more and a later end")
        hint, fps = source.info.frames_hint, source.info.fps
        if hint is not None:
            hint = max(0, math.ceil(min(hint, end_s * fps)) - int(start_s * fps))
        super().__init__(source, info=replace(source.info, frames_hint=hint))
        self._start_s, self._end_s = start_s, end_s
        self.first = 0  # number in the source of frame 0 of the stretch, known once that has been read

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`; in a stretch from the very start the last frame carries an image only on the stride.

        Raises:
            InputError: the source cannot be read, or has no frame in the stretch.
        """
        self.first = -1  # known with the first frame
        # which frame comes first, and so which are analysed, is not known before it is there
        own = stride if self._start_s == 0 else 1
        sampling = None if self._start_s == 0 else FrameSampling(stride, fps=self.info.fps)
        for frame, after in with_next(self._within(own, size, pair_size)):
            if self.first < 0:
                self.first = frame.index
            index = frame.index - self.first
            keep = sampling is None or sampling.takes(index, frame.time_s, None if after is None else after.time_s)
            yield replace(frame, index=index) if keep else replace(frame, index=index, image=None, pair=None)
        if self.first < 0:
            raise InputError(
                f"no frame from {self._start_s:g} s to {self._end_s:g} s: {self.info.path}; choose a time in the video"
            )

    def _within(
        self, stride: int | None, size: tuple[int, int] | None, pair_size: tuple[int, int] | None
    ) -> Iterator[Frame]:
        for frame in self._source.read(stride=stride, size=size, pair_size=pair_size):
            if frame.time_s >= self._end_s:
                return
            if frame.time_s >= self._start_s:
                yield frame


class Excerpt(SourceAround):
    """A source in which only a few frames carry an image, whatever the stride; it ends with the last of them.

    Args:
        source: where to take them from.
        frames: their numbers.
    """

    def __init__(self, source: Source, frames: Iterable[int]) -> None:
        self._frames = frozenset(int(frame) for frame in frames)
        if not self._frames:
            raise ValueError("an excerpt needs at least one frame")
        super().__init__(source, info=replace(source.info, frames_hint=max(self._frames) + 1))
        # frames that share a stride spare the conversion of those between
        self._stride = math.gcd(*self._frames) or 1

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`; `stride` is not followed."""
        last = max(self._frames)
        for frame in self._source.read(stride=self._stride, size=size, pair_size=pair_size):
            yield frame if frame.index in self._frames else replace(frame, image=None, pair=None)
            if frame.index >= last:
                return


def read_frames(
    source: Source, frames: Iterable[int], *, size: tuple[int, int] | None = None
) -> dict[int, NDArray[np.uint8]]:
    """Pictures `[H, W, 3]` (RGB) of some frames by their number, without those that cannot be read.

    Raises:
        InputError: the source cannot be read.
    """
    wanted = set(frames)
    if not wanted:
        return {}
    read = Excerpt(source, wanted).read(stride=1, size=size)
    return {frame.index: frame.image for frame in read if frame.image is not None}


def analysed_frames(frames: int, *, stride: int) -> list[int]:
    """The frames of a video of `frames` frames that are analysed with this stride: 0, stride, ... and the last."""
    return sorted({*range(0, frames, stride), frames - 1})


def whole_clips(frames: Iterable[int], *, analysed: list[int], length: int) -> list[int]:
    """The analysed frames that the model saw in one clip with any of `frames`.

    A second look at just these gives what the first one gave, since no clip depends on another.

    Args:
        frames: the frames of interest, each of them analysed.
        analysed: all analysed frames of the video, ascending.
        length: of a clip.
    """
    place = {frame: index for index, frame in enumerate(analysed)}
    clips = sorted({place[frame] // length for frame in frames})
    return [frame for clip in clips for frame in analysed[clip * length : (clip + 1) * length]]
