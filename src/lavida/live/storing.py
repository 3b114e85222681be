"""Events kept in a thread of its own, which codes pictures and writes the disk: no score waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lavida.errors import reason
from lavida.live.address import masked
from lavida.live.handover import Handover
from lavida.live.pictures import Pictured
from lavida.live.records import Record

LOOK_S = 0.25
SAID_AGAIN_S = 60.0  # a disk that stays full or slow is told of so often


class Storing:
    """The thread, and what waits for it.

    Args:
        keep: keeps one record; raises an error where not all of it can be kept.
        say: takes a line for people.
    """

    def __init__(self, keep: Callable[[Record, Pictured | None], None], *, say: Callable[[str], object]) -> None:
        self._keep, self._say = keep, say
        self._waiting, self._stop = Handover(), threading.Event()
        self._fault_said: float | None = None
        self._late_said: float | None = None
        self._thread = threading.Thread(target=self._run, name="lavida-storing", daemon=True)

    def start(self) -> None:
        """Begin to keep."""
        self._thread.start()

    def put(self, record: Record, moment: Pictured | None) -> None:
        """Keep an event soon; where too many pictures wait, without its picture."""
        if self._waiting.put(record, moment):
            return
        if self._again(self._late_said):
            self._late_said = time.monotonic()
            event = f"event {record['id']} of {record['stream']}"
            self._say(f"no picture of {event} is kept: the disk is too slow, as many as may are waiting")

    def close(self, *, patience_s: float) -> None:
        """Keep what waits, as far as that is done within the time, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)
        if left := len(self._waiting):
            self._say(f"{left} records of events are not kept: the disk was too slow to take them at the end")

    def _run(self) -> None:
        while not (self._stop.is_set() and not len(self._waiting)):
            for record, moment in self._waiting.take(1, timeout_s=LOOK_S):
                self._keep_one(record, moment)

    def _keep_one(self, record: Record, moment: Pictured | None) -> None:
        try:
            self._keep(record, moment)
        except Exception as error:  # of the disk, or of whatever codes and writes: the next event may fare better
            if self._again(self._fault_said):
                self._fault_said, said = time.monotonic(), masked(reason(error))
                self._say(f"not all of event {record['id']} of {record['stream']} is kept: {said}; scores go on")
            return
        if self._fault_said is not None:
            self._fault_said = None
            self._say("events are kept again")

    def _again(self, said: float | None) -> bool:
        return said is None or time.monotonic() - said > SAID_AGAIN_S
