"""One process of `lavida watch --ray`: watches its part of the streams, and says what it has seen when it is asked."""

from __future__ import annotations

import logging
import pickle
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from lavida.errors import reason
from lavida.live.handover import MOST_RECORDS, Handover
from lavida.live.pictures import Pictured
from lavida.live.plan import Plan
from lavida.live.records import Record
from lavida.live.scorer import Scorer
from lavida.live.watch import Watch
from lavida.live.watched import unseen

ANSWER_S = 0.25  # an answer comes so soon, though there may be nothing in it
ALONE_S = 60.0  # nobody has asked for so long: the streams are watched by others
LEAVE_S = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker watches from now on.

    Attributes:
        number: rises with each part that the worker is given.
        plan: its streams.
        earlier: the records of events that were open when streams of the part were watched last.
    """

    number: int
    plan: Plan
    earlier: Mapping[str, Record]


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker has seen since it was asked last.

    Attributes:
        part: the number of the part that it follows.
        ended: streams of the part of which nothing comes any more.
        records: each with the event's pictures as JPEG by the names of their fields, where it has any.
    """

    part: int
    ended: frozenset[str]
    records: list[tuple[Record, Mapping[str, bytes] | None]]


class Worker:
    """Watches in a thread of its own, so that it answers while a clip is scored. The model is loaded once, by `start`.

    Args:
        start_scorer: pickled; gives the scorer.
        pictures: whether somebody keeps them.
    """

    def __init__(self, start_scorer: bytes, *, pictures: bool) -> None:
        self._start_scorer, self._pictures = start_scorer, pictures
        self._told, self._stop = Handover(), threading.Event()
        self._given: Part | None = None
        self._stands = 0, frozenset[str]()
        self._fault: BaseException | None = None
        self._asked = time.monotonic()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load the model and begin. Raises InputError where it cannot be loaded."""
        scorer = pickle.loads(self._start_scorer)()
        self._asked = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(scorer,), name="lavida-worker", daemon=True)
        self._thread.start()

    def turn(self, part: Part | None) -> Told:
        """Take another part, if there is one, and say what has been seen since the last turn; raise what went wrong."""
        self._asked = time.monotonic()
        if part is not None:
            self._given = part
        if self._fault is not None:
            raise self._fault
        return self._answer(ANSWER_S)

    def finish(self) -> Told:
        """Stop, and say what was left to say."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(LEAVE_S)
        return self._answer(0.0)

    def _answer(self, timeout_s: float) -> Told:
        stands, records = self._stands, self._told.take(MOST_RECORDS, timeout_s=timeout_s)
        return Told(*stands, [(record, _pictures(record, seen)) for record, seen in records])

    def _run(self, scorer: Scorer) -> None:
        watching = Watch(scorer, tell=self._tell, seen=self._seen if self._pictures else unseen)
        try:
            while not self._stop.is_set():
                if time.monotonic() - self._asked > ALONE_S:
                    raise TimeoutError(f"nobody asked for {ALONE_S:g} s")
                part = self._given
                if part is not None and part.number != self._stands[0]:
                    watching.follow(part.plan, part.earlier)
                    self._stands = part.number, frozenset()
                watching.step()
                self._stands = self._stands[0], watching.ended
        except BaseException as error:  # told by the next turn
            self._fault = error
        finally:
            watching.finish()

    def _tell(self, record: Record) -> None:
        if record["type"] != "event" or not self._pictures:
            self._told.put(record)

    def _seen(self, record: Record, moment: Pictured | None) -> None:
        self._told.put(record, moment)


def _pictures(record: Record, seen: Pictured | None) -> Mapping[str, bytes] | None:
    try:
        return None if seen is None else seen.jpegs(record)
    except OSError as error:  # it cannot be coded, which is no reason to lose the record
        _log.warning("picture of event %s: %s", record["id"], reason(error))
        return None
