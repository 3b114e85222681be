"""When a stream is watched for events: hours of the week, by the clock of the machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from lavida.errors import InputError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
_LINE = re.compile(r"(?:([a-z, -]+?)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
HOW = "give days and hours, for example 'mon-fri 18:00-06:00'"


@dataclass(frozen=True)
class Schedule:
    """Hours of the week; none at all means always.

    Attributes:
        lines: such as `mon-fri 18:00-06:00` or `22:00-06:00` (of every day); hours that end before they begin go on
            into the next day.

    Raises:
        InputError: a line means nothing.

    Example:
        >>> Schedule(("sat,sun 08:00-20:00",)).active(datetime(2026, 11, 29, 9, 30))  # a Sunday
        True
    """

    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _ = self._minutes  # a fault is told at once

    @cached_property
    def _minutes(self) -> frozenset[int]:
        """Minutes of the week, 0 at midnight before Monday."""
        return frozenset(minute for line in self.lines for minute in _minutes_of(line))

    def active(self, moment: datetime) -> bool:
        """Whether events are told at this moment, in the time of the clock on the wall."""
        minute = moment.weekday() * DAY_MINUTES + moment.hour * 60 + moment.minute
        return not self.lines or minute in self._minutes


def _minutes_of(line: str) -> list[int]:
    found = _LINE.fullmatch(line.strip().lower())
    if found is None:
        raise InputError(f"schedule: '{line}' means nothing; {HOW}")
    days = _days_of(found[1] or "mon-sun", line)
    (first_hour, first_minute), (last_hour, last_minute) = ((int(found[i]), int(found[i + 1])) for i in (2, 4))
    begin, end = first_hour * 60 + first_minute, last_hour * 60 + last_minute
    if max(first_minute, last_minute) > 59 or begin >= DAY_MINUTES or end > DAY_MINUTES or begin == end:
        raise InputError(f"schedule: '{line}' has no such hours; {HOW}")
    end += DAY_MINUTES if end < begin else 0
    week = len(DAYS) * DAY_MINUTES
    return [(day * DAY_MINUTES + minute) % week for day in days for minute in range(begin, end)]


def _days_of(text: str, line: str) -> Sequence[int]:
    days: list[int] = []
    for part in re.split(r"[,\s]+", re.sub(r"\s*-\s*", "-", text.strip())):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise InputError(f"schedule: '{line}': '{part}' is no day; choose of {', '.join(DAYS)}")
        start, stop = DAYS.index(first), DAYS.index(last)
        days += [day % len(DAYS) for day in range(start, stop + 1 + (len(DAYS) if stop < start else 0))]
    return days
