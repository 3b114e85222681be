"""Records on their way from the thread that scores to one that keeps or sends them, which may be slower."""

from __future__ import annotations

import threading
from collections import deque

from lavida.live.pictures import Pictured
from lavida.live.records import Record

MOST_PICTURES = 16
MOST_RECORDS = 2048  # then only what begins and ends events is taken: what comes after it says the rest again

Handed = tuple[Record, Pictured | None]


class Handover:
    """A queue that never makes the one wait who puts something in, and is bounded all the same."""

    def __init__(self) -> None:
        self._bell, self._waiting, self._pictures = threading.Condition(), deque[Handed](), 0

    def put(self, record: Record, moment: Pictured | None = None) -> bool:
        """Add a record; whether its picture, if it has one, has found room."""
        with self._bell:
            if len(self._waiting) >= MOST_RECORDS and record.get("phase") not in ("start", "end"):
                return moment is None
            fits = moment is None or self._pictures < MOST_PICTURES
            self._pictures += fits and moment is not None
            self._waiting.append((record, moment if fits else None))
            self._bell.notify()
            return fits

    def take(self, most: int, *, timeout_s: float) -> list[Handed]:
        """The oldest ones, as soon as there is any; none after the time."""
        with self._bell:
            self._bell.wait_for(lambda: self._waiting, timeout_s)
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._pictures -= sum(moment is not None for _, moment in taken)
            return taken

    def __len__(self) -> int:
        return len(self._waiting)
