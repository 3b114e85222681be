"""Everything that is done with events beside printing them: kept in a folder, sent on, cleared away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

from lavida.errors import InputError, reason
from lavida.files import locked
from lavida.live.address import masked
from lavida.live.config import WatchFile
from lavida.live.courier import Courier, Receiver
from lavida.live.records import Record
from lavida.live.store import Store
from lavida.live.watched import Moment
from lavida.live.webhook import Webhook

LOCK = ".lavida-watch.lock"
EVERY_S, SWEEP_S = 1.0, 60.0
SAID_AGAIN_S = 60.0  # a disk that stays full is told of so often
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
        self._say, self._given = say, given
        self._fault_said: float | None = None
        receivers = receivers_of(given, folder)
        with ExitStack() as stack:
            if not stack.enter_context(locked(folder / LOCK, wait=False)):
                raise InputError(f"another lavida watch keeps its events there: {folder}; choose another --data")
            phases = {receiver.name: receiver.phases for receiver in receivers}
            self.store = Store(folder, receivers=phases, alerts_per_hour=given.alerts_per_hour, clips=given.clips)
            stack.callback(self.store.close)
            for receiver in receivers:
                courier = Courier(self.store.outbox, receiver)
                courier.start()
                stack.callback(courier.stop)
            self._stop, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)
            self._stack = stack.pop_all()
        self._thread.start()

    def left_open(self, going_on: Collection[str]) -> dict[str, Record]:
        """See `Store.left_open`."""
        return self.store.left_open(going_on)

    def seen(self, record: Record, moment: Moment | None) -> None:
        """Keep an event; a full disk costs what would be kept, not the watch."""
        try:
            self.store.keep(record, moment)
        except InputError as error:
            now = time.monotonic()
            if self._fault_said is None or now - self._fault_said > SAID_AGAIN_S:
                self._fault_said = now
                self._say(f"not all of event {record['id']} of {record['stream']} is kept: {error}; scores go on")
            return
        if self._fault_said is not None:
            self._fault_said = None
            self._say("events are kept again")

    def close(self) -> None:
        """Give what is due a last chance, and let go of the folder."""
        self._stop.set()
        self._thread.join(5.0)
        self._stack.close()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self.store.digest(now=time.time())
            except Exception as error:  # of the database or the disk: the next round may find it mended
                _log.warning("keeping: %s", masked(reason(error)))


def receivers_of(given: WatchFile, folder: Path) -> Sequence[Receiver]:
    """All who are told of events. Raises InputError for one that means nothing."""
    return [Webhook.of(each) for each in given.webhooks]
