"""Which frames of a source are analysed: by time, or every N-th."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

LONGEST_GAP_S = 0.2  # between analysed frames: at least five a second
_ROUNDING_S = 1e-6

T = TypeVar("T")


def default_stride(fps: float) -> int:
    """The largest stride that still analyses at least five frames a second at a constant rate."""
    return max(1, int(fps // 5))


def check_stride(stride: int | None) -> None:
    """Raises ValueError for less than 1."""
    if stride is not None and stride < 1:
        raise ValueError(f"stride is at least 1, not {stride}")


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
    """

    def __init__(self, stride: int | None, *, fps: float) -> None:
        check_stride(stride)
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
        taken = self._chosen is None or next_s is None or self._too_late(index + 1, next_s)
        if taken:
            self._chosen = index, time_s
        return taken

    def _too_late(self, index: int, time_s: float) -> bool:
        """Whether a frame would come too late after the latest one that was chosen."""
        count, gap = index - self._chosen[0], time_s - self._chosen[1]
        if gap > LONGEST_GAP_S + _ROUNDING_S:
            return True
        # rounded time stamps may make the gap look shorter than it is; shared ones hide it
        steady = gap <= 0 or abs(gap - count * self._step) < self._step / 2
        return steady and count > self._usual


def with_next(items: Iterable[T]) -> Iterator[tuple[T, T | None]]:
    """Each item with the one after it, None behind the last; one item is held back."""
    iterator = iter(items)
    held = next(iterator, None)
    while held is not None:
        following = next(iterator, None)
        yield held, following
        held = following
