"""Abnormal stretches as the official files write them, and the rule that turns their numbers into frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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
