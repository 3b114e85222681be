"""The time of a stream that breaks off and comes back: seconds since its first frame."""

from __future__ import annotations

import math

MOST_DRIFT_S = 5.0  # stamps further off than this from the clock on the wall are not believed
MOST_BACK_S = 0.2  # stamps that go back further than this begin anew, as those of a film that is sent again and again


class LiveClock:
    """By the stamps of frames, which are steadier than their arrival; by arrival where there are none or they jump.

    Example:
        >>> clock = LiveClock()
        >>> clock.begin()
        >>> clock.time_s(7.0, now=100.0), clock.time_s(7.04, now=100.3)  # the second one was late
        (0.0, 0.04)
        >>> clock.begin()  # the stream was away, its stamps start anew
        >>> clock.time_s(0.0, now=130.0)
        30.0
    """

    def __init__(self) -> None:
        self._start: float | None = None  # arrival of the first frame of all
        self._offset: float | None = None  # from stamps to times
        self._latest = 0.0

    def begin(self) -> None:
        """The stream has been opened, again or for the first time."""
        self._offset = None

    def time_s(self, stamp: float | None, *, now: float) -> float:
        """The time of the next frame, never before the last one; `now` is a steady clock's."""
        if self._start is None:
            self._start = now
        elapsed = now - self._start
        if stamp is None or not math.isfinite(stamp):
            time_s = elapsed
        else:
            if self._offset is None or abs(stamp + self._offset - elapsed) > MOST_DRIFT_S:
                self._offset = elapsed - stamp
            elif stamp + self._offset < self._latest - MOST_BACK_S:
                self._offset = max(elapsed, self._latest) - stamp
            time_s = round(stamp + self._offset, 6)
        self._latest = max(time_s, self._latest)
        return self._latest


class DueClock:
    """When the frames of a session are due by their stamps, the first one when it comes; anew where stamps jump.

    Example:
        >>> clock = DueClock()
        >>> clock.due_at(7.0, now=100.0), clock.due_at(7.04, now=100.3)
        (100.0, 100.04)
        >>> clock.due_at(3600.0, now=100.4), clock.due_at(0.0, now=100.5)
        (100.4, 100.5)
    """

    def __init__(self) -> None:
        self._begun, self._first, self._before = 0.0, 0.0, math.inf

    def begin(self) -> None:
        """The next frame is due when it comes."""
        self._before = math.inf

    def due_at(self, stamp: float, *, now: float) -> float:
        """By the steady clock that `now` is of; `stamp` in seconds."""
        if not -MOST_BACK_S <= stamp - self._before <= MOST_DRIFT_S:
            self._begun, self._first = now, stamp
        self._before = stamp
        return round(self._begun + stamp - self._first, 6)
