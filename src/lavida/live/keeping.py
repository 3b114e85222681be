"""Everything that is done with events beside printing them: kept in a folder, sent on, cleared away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from lavida.errors import InputError, reason, writing_to
from lavida.files import locked
from lavida.live.address import masked
from lavida.live.clips import Cutter
from lavida.live.config import WatchFile
from lavida.live.courier import Courier
from lavida.live.latest import Latest
from lavida.live.pictures import Pictured
from lavida.live.plan import Plan
from lavida.live.receivers import receivers_of
from lavida.live.records import Record
from lavida.live.retention import sweep
from lavida.live.session import Tape
from lavida.live.store import Store
from lavida.live.storing import Storing
from lavida.live.stream import LiveFrame

LOCK = ".lavida-watch.lock"
EVERY_S, SWEEP_S, LEAVE_S = 1.0, 60.0, 5.0
_log = logging.getLogger(__name__)


class Keeping:
    """The folder of `--data` and all receivers, while a watch runs.

    Args:
        folder: is made.
        given: receivers, limits, what stays.
        say: takes a line for people.

    Raises:
        InputError: the folder cannot be used, or another watch uses it; a receiver means nothing.
    """

    def __init__(self, folder: Path, given: WatchFile, *, say: Callable[[str], object]) -> None:
        self._keep, self._swept = given.keep, 0.0
        receivers, self.publisher = receivers_of(given, folder)
        self._say = say
        with ExitStack() as stack:
            if not stack.enter_context(_alone(folder)):
                raise InputError(f"another lavida watch keeps its events there: {folder}; choose another --data")
            self.store = Store(
                folder,
                receivers={receiver.name: receiver.phases for receiver in receivers},
                unlimited=[] if self.publisher is None else [self.publisher.name],  # a sensor shows what is
                alerts_per_hour=given.alerts_per_hour,
                clips=given.clips,
            )
            stack.callback(self.store.close)
            self.cutter = None if given.clips is None else Cutter(self.store, given.clips)
            if self.publisher is not None:
                stack.callback(self.publisher.close)
            for receiver in receivers:
                courier = Courier(self.store.outbox, receiver)
                courier.start()
                stack.callback(courier.stop)
            self._latest = Latest(folder)
            stack.callback(self._latest.close)
            self._storing = Storing(self.store.keep, say=say)
            self._storing.start()
            self._stop, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)
            self._stack = stack.pop_all()

    def start(self, plan: Plan) -> dict[str, Record]:
        """Begin to tell of the streams of a plan; the events that were open at a kill and may go on, by stream."""
        lasting = [name for name, planned in plan.items() if planned.address.kind != "file"]
        open_events = self.store.left_open(lasting, say=self._say)
        self._latest.start(plan)
        if self.cutter is not None:
            self.cutter.follow(plan)
        if self.publisher is not None:
            self.publisher.follow(plan, open_events)
            self.publisher.start()
        self._thread.start()
        return open_events

    def follow(self, plan: Plan) -> None:
        """Tell of the streams of another plan."""
        self._latest.follow(plan)
        if self.cutter is not None:
            self.cutter.follow(plan)
        if self.publisher is not None:
            self.publisher.follow(plan)

    def tape(self, stream: str) -> Tape | None:
        """What keeps the packets of a stream for clips."""
        return None if self.cutter is None else self.cutter.ring(stream).recorder()

    def tell(self, record: Record) -> None:
        """Take a record that is printed."""
        self._latest.tell(record)
        if self.publisher is not None:
            self.publisher.tell(record)

    def look(self, stream: str, live: LiveFrame) -> None:
        """Take the newest frame of a stream."""
        self._latest.look(stream, live)

    def seen(self, record: Record, moment: Pictured | None) -> None:
        """Keep an event soon; a full or slow disk costs what would be kept, not the watch."""
        self._storing.put(record, moment)

    def close(self) -> None:
        """Cut the last clips, give what is due a last chance, and let go of the folder."""
        self._storing.close(patience_s=LEAVE_S)
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)
        self._work(last=True)  # what has no clip now has one after the next start, if the ring still holds it
        self._stack.close()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._work()

    def _work(self, *, last: bool = False) -> None:
        now, work = time.time(), list[Callable[[], object]]()
        if abs(now - self._swept) >= SWEEP_S:
            self._swept = now
            work.append(partial(sweep, self.store, self._keep, now=now))  # first: it may make room for the others
        work.append(partial(self.store.digest, now=now))
        if self.cutter is not None:
            work.append(partial(self.cutter.work, now=now, last=last))
        for each in work:
            try:
                each()
            except Exception as error:  # of the database or the disk: the next round may find it mended
                _log.warning("keeping: %s", masked(reason(error)))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process keeps its events there while the block runs."""
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, wait=False) as alone:
        yield alone
