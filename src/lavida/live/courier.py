"""The outbox emptied, one thread for each receiver: in order, tried again until it arrives, under one key each."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

from lavida.errors import InputError, reason, unknown
from lavida.live.address import masked
from lavida.live.outbox import Letter, Outbox

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0  # between tries
LOOK_S = 0.5
PHASES = ("start", "end", "clip", "digest")
USUAL_PHASES = ("start", "end", "digest")
_log = logging.getLogger(__name__)


class NotDelivered(Exception):
    """What was sent has not arrived; its text is for people and holds no password."""


class Receiver(Protocol):
    """Somebody who is told of events.

    Attributes:
        name: what the outbox calls it, without passwords; the same after every start.
        phases: what it is told of.
        longest_wait_s: between two tries.
    """

    @property
    def name(self) -> str: ...

    @property
    def phases(self) -> tuple[str, ...]: ...

    @property
    def longest_wait_s(self) -> float: ...

    def send(self, letter: Letter) -> None:
        """Raises NotDelivered, or an error of the network, if it has not arrived for sure."""
        ...


def name_of(shown: str, url: str) -> str:
    """An address without passwords, told apart from others by a digest."""
    return f"{shown}#{hashlib.blake2s(url.encode(), digest_size=4).hexdigest()}"


def check_keys(given: Iterable[str], what: str, known: tuple[str, ...]) -> None:
    """Raises InputError for a setting of a receiver that does not exist."""
    for key in given:
        if key not in known:
            raise unknown(f"setting of {what}", masked(key), known)


def checked_phases(given: Any, what: str, *, usual: tuple[str, ...] = USUAL_PHASES) -> tuple[str, ...]:
    """What a receiver is told of. Raises InputError for what is no list of phases."""
    if given is None:
        return usual
    if not isinstance(given, list) or not given or not all(each in PHASES for each in given):
        raise InputError(f"phases of {what}: {given}; choose of {', '.join(PHASES)}")
    return tuple(given)


class Courier:
    """A thread that empties the outbox of one receiver; a slow or dead one delays nobody else.

    Args:
        outbox: what is to be sent.
        receiver: gets what is in it for it.
        first_wait_s: before the second try; doubled for each after it, up to the receiver's longest.
    """

    def __init__(self, outbox: Outbox, receiver: Receiver, *, first_wait_s: float = FIRST_WAIT_S) -> None:
        self._outbox, self._receiver, self._first_wait_s = outbox, receiver, first_wait_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lavida-courier", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, *, patience_s: float = 2.0) -> None:
        """Give what is due a last chance, and end; what does not arrive now is sent after the next start."""
        self._stop.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        while True:
            stopping = self._stop.is_set()
            try:
                while (letter := self._due()) is not None:
                    self._deliver(letter)
            except Exception as error:  # of the database, such as a full disk: the next look may find it mended
                _log.warning("outbox: %s", masked(reason(error)))
            if stopping:
                return
            self._stop.wait(min(LOOK_S, self._first_wait_s))

    def _due(self) -> Letter | None:
        receiver = self._receiver
        return self._outbox.due(receiver.name, now=time.time(), longest_wait_s=receiver.longest_wait_s)

    def _deliver(self, letter: Letter) -> None:
        try:
            self._receiver.send(letter)
        except Exception as error:  # of the network, an answer of refusal, or of whatever library sends it
            longest_s = self._receiver.longest_wait_s
            wait_s = min(self._first_wait_s * 2**letter.tries, longest_s) if letter.tries < 32 else longest_s
            fault = masked(reason(error))
            self._outbox.failed(letter, fault, again_at=time.time() + wait_s)
            _log.warning("%s: %s; tried again in %g s", self._receiver.name, fault, wait_s)
            return
        self._outbox.delivered(letter, now=time.time())
