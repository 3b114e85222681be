"""Events sent to webhooks from the outbox: signed, tried again until they arrive, in order, under one key each."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from lavida.errors import InputError, reason, unknown
from lavida.live.address import masked
from lavida.live.store import Letter, Store

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0  # between tries
TIMEOUT_S, LOOK_S = 10.0, 0.5
PHASES = ("start", "end")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where events are sent.

    Attributes:
        url: http or https; never to be shown.
        secret: signs what is sent; None: nothing is signed.
        phases: of events that it is told of.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    phases: tuple[str, ...] = ("start", "end")

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Receiver:
        """As it stands in `watch.yaml`. Raises InputError for anything that no retry mends."""
        for key in settings:
            if key not in ("url", "secret", "phases"):
                raise unknown("setting of a webhook", key, ("url", "secret", "phases"))
        url, secret, phases = settings.get("url"), settings.get("secret"), settings.get("phases", ["start", "end"])
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise InputError(f"a webhook's url is not http or https: {masked(url)}")
        if urlsplit(url).username is not None:
            raise InputError(f"a login in a webhook's url is not sent: {masked(url)}; use its secret, or a token in it")
        if secret is not None and (not isinstance(secret, str) or not secret):
            raise InputError(f"a webhook's secret is no text: {masked(url)}")
        if not isinstance(phases, list) or not phases or not set(phases) <= set(PHASES):
            raise InputError(f"a webhook's phases: {phases}; choose of {', '.join(PHASES)}")
        return cls(url, secret, tuple(phases))

    @property
    def name(self) -> str:
        """What the outbox calls it: its address without passwords, told apart from others by a digest."""
        digest = hashlib.blake2s(self.url.encode(), digest_size=4).hexdigest()
        return f"{masked(self.url)}#{digest}"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `timestamp`, a full stop and the body, in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Courier:
    """A thread that empties the outbox of one receiver; a slow or dead one delays nobody else.

    Args:
        store: has the outbox.
        receiver: gets what is in it.
        first_wait_s: before the second try; doubled for each after it, up to five minutes.
    """

    def __init__(self, store: Store, receiver: Receiver, *, first_wait_s: float = FIRST_WAIT_S) -> None:
        self._store, self._receiver, self._first_wait_s = store, receiver, first_wait_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lavida-webhook", daemon=True)

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
                while (letter := self._store.due(self._receiver.name, now=time.time())) is not None:
                    self._deliver(letter)
            except Exception as error:  # of the database, such as a full disk: the next look may find it mended
                _log.warning("outbox: %s", masked(reason(error)))
            if stopping:
                return
            self._stop.wait(min(LOOK_S, self._first_wait_s))

    def _deliver(self, letter: Letter) -> None:
        try:
            self._send(letter)
        except (OSError, ValueError, HTTPException) as error:  # of the network, an answer of refusal, no HTTP at all
            wait_s = min(self._first_wait_s * 2**letter.tries, LONGEST_WAIT_S) if letter.tries < 32 else LONGEST_WAIT_S
            fault = masked(reason(error))
            self._store.failed(letter, fault, again_at=time.time() + wait_s)
            _log.warning("webhook %s: %s; tried again in %g s", masked(self._receiver.url), fault, wait_s)
            return
        self._store.delivered(letter, now=time.time())

    def _send(self, letter: Letter) -> None:
        body, timestamp = letter.body.encode(), str(int(time.time()))
        headers = {"Content-Type": "application/json", "Idempotency-Key": letter.key, "X-Lavida-Timestamp": timestamp}
        if self._receiver.secret is not None:
            headers["X-Lavida-Signature"] = f"sha256={signature(self._receiver.secret, timestamp, body)}"
        request = urllib.request.Request(self._receiver.url, body, headers, method="POST")
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(1024)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is signed for one address is not sent to another."""

    def redirect_request(self, *given: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)
