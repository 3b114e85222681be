"""Which frames of a source are analysed, by time or every N-th, and with which other one each is paired."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lavida.errors import one_line
from lavida.video.source import Frame, Pair, SourceInfo

LONGEST_GAP_S = 0.2  # between analysed frames: at least five a second
GAP_SECONDS = 0.04  # between the two frames of a pair, about
EARLIER = 4  # frames kept for pairs, at least: a varying rate can be far over its mean for a while
_ROUNDING_S = 1e-6

T = TypeVar("T")


def default_stride(fps: float) -> int:
    """The largest stride that still analyses at least five frames a second at a constant rate."""
    return max(1, int(fps // 5))


def steady_stride(chosen: Sequence[int]) -> int | None:
    """The stride at which these frames lie, the last one apart; None where they do not lie at one."""
    steps = {after - before for before, after in itertools.pairwise(chosen[:-1])}
    if len(chosen) == 2:
        steps = {chosen[1] - chosen[0]}
    return int(steps.pop()) if len(steps) == 1 else None


class FrameSampling:
    """Chooses frames in presentation order.

    With a stride: frames 0, stride, 2 stride, ... By time: as few as leave no gap of more than 0.2 s, and every frame
    where the frames themselves are further apart; at a constant rate this is every `default_stride`-th. The last frame
    is always chosen.

    Args:
        stride: None to choose by time.
        fps: frames a second, on average.

    Raises:
        ValueError: the stride is less than 1.
    """

    def __init__(self, stride: int | None, *, fps: float) -> None:
        if stride is not None and stride < 1:
            raise ValueError(f"stride is at least 1, not {stride}")
        self._stride, self._usual, self._step = stride, default_stride(fps), 1 / fps
        self._chosen: tuple[int, float] | None = None  # the latest one: number and time

    def takes(self, index: int, time_s: float, next_s: float | None) -> bool:
        """Whether to analyse this frame.

        Args:
            index: its number; every frame is asked about once, in order.
            time_s: its time.
            next_s: the time of the frame after it; None at the end.
        """
        if self._stride is not None:
            return next_s is None or index % self._stride == 0
        taken = self._chosen is None or next_s is None or self._too_late(index + 1, next_s, *self._chosen)
        if taken:
            self._chosen = index, time_s
        return taken

    def _too_late(self, index: int, time_s: float, chosen: int, chosen_s: float) -> bool:
        """Whether a frame would come too late after the latest one that was chosen."""
        count, gap = index - chosen, time_s - chosen_s
        if gap > LONGEST_GAP_S + _ROUNDING_S:
            return True
        # rounded time stamps may make the gap look shorter than it is; shared ones hide it
        steady = gap <= 0 or abs(gap - count * self._step) < self._step / 2
        return steady and count > self._usual


class Timed(NamedTuple, Generic[T]):
    """A picture in any form, unconverted, and its time in seconds since the first one."""

    picture: T
    time_s: float


def frames_of(
    timed: Iterable[Timed[T]],
    sampling: FrameSampling,
    *,
    rgb: Callable[[T], NDArray[np.uint8] | None],
    gray: Callable[[T], NDArray[np.uint8] | None] | None,
    most_earlier: float = EARLIER,
) -> Iterator[Frame]:
    """The frames of a source, those that are analysed with an image.

    Args:
        timed: all of them, in order.
        sampling: tells which are analysed.
        rgb: gives the image, `[H, W, 3]`, of one that is; None where it cannot be read.
        gray: gives one frame of a pair, `[h, w]`, of those that are analysed, before `rgb`, and of those about 0.04 s
            before them (at the start: the next one). None: no pairs.
        most_earlier: how many are kept for this, whatever their times.
    """
    earlier: deque[Timed[T]] = deque(maxlen=max(EARLIER, round(most_earlier)))
    # one is held back: only the one after it tells whether it is analysed, and whether it is the last
    for index, ((picture, time_s), after) in enumerate(with_next(timed)):
        image = pair = None
        if sampling.takes(index, time_s, None if after is None else after.time_s):
            now = None if gray is None else gray(picture)
            image = rgb(picture)
            if gray is not None and now is not None:
                other = min(earlier, key=lambda other: abs(time_s - other.time_s - GAP_SECONDS), default=after)
                pair = Pair(now, None, 0.0) if other is None else Pair(now, gray(other.picture), time_s - other.time_s)
        yield Frame(index, time_s, image, pair)
        if gray is not None:
            earlier.append(Timed(picture, time_s))
        while len(earlier) > 1 and time_s - earlier[1].time_s >= GAP_SECONDS:
            earlier.popleft()


def with_next(items: Iterable[T]) -> Iterator[tuple[T, T | None]]:
    """Each item with the one after it, None behind the last; one item is held back."""
    iterator = iter(items)
    held = next(iterator, None)
    while held is not None:
        following = next(iterator, None)
        yield held, following
        held = following


class SampledSource(ABC):
    """A `Source` whose frames are chosen and paired here; what a reading finds is told once."""

    info: SourceInfo

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`; what cannot be read is passed over and ends in one warning."""
        sampling = FrameSampling(stride, fps=self.info.fps)
        return self._frames(sampling, size or (self.info.height, self.info.width), pair_size)

    @abstractmethod
    def _frames(
        self, sampling: FrameSampling, size: tuple[int, int], pair_size: tuple[int, int] | None
    ) -> Iterator[Frame]: ...

    def _warn(self, line: str) -> None:
        if (line := one_line(line)) not in self.warnings:  # a second reading finds the same
            self.warnings.append(line)

    def _note(self, line: str) -> None:
        if (line := one_line(line)) not in self.notes:
            self.notes.append(line)
