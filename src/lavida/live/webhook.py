"""Events posted to webhooks, signed."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lavida.errors import InputError
from lavida.live.address import masked
from lavida.live.courier import LONGEST_WAIT_S, USUAL_PHASES, check_keys, checked_phases, name_of
from lavida.live.outbox import Letter

TIMEOUT_S = 10.0
_SENT = re.compile(r"[!-~]+")  # ASCII without blanks


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events are posted; a `lavida.live.courier.Receiver`.

    Attributes:
        url: http or https; never to be shown.
        secret: signs what is sent; None: nothing is signed.
        phases: of events that it is told of.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    phases: tuple[str, ...] = USUAL_PHASES
    longest_wait_s: float = LONGEST_WAIT_S

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Webhook:
        """As it stands in `watch.yaml`. Raises InputError for anything that no retry mends."""
        check_keys(settings, "a webhook", ("url", "secret", "phases"))
        url, secret = settings.get("url"), settings.get("secret")
        try:
            parts = urlsplit(url if isinstance(url, str) else "")
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # of brackets and ports; its text may hold the password
            usable = False
        if not isinstance(url, str) or not usable:
            raise InputError(f"a webhook's url is not http or https: {masked(url)}")
        if not _SENT.fullmatch(url):
            raise InputError(f"a webhook's url has letters that cannot be sent: {masked(url)}; write them with %")
        if parts.username is not None:
            raise InputError(f"a login in a webhook's url is not sent: {masked(url)}; use its secret, or a token in it")
        if secret is not None and (not isinstance(secret, str) or not secret):
            raise InputError(f"a webhook's secret is no text: {masked(url)}")
        return cls(url, secret, checked_phases(settings.get("phases"), "a webhook"))

    @property
    def name(self) -> str:
        """What the outbox calls it."""
        return name_of(masked(self.url), self.url)

    def send(self, letter: Letter) -> None:
        """Post it. Raises OSError, ValueError or HTTPException if the answer is not one of success."""
        body, timestamp = letter.body.encode(), str(int(time.time()))
        headers = {"Content-Type": "application/json", "Idempotency-Key": letter.key, "X-Lavida-Timestamp": timestamp}
        if self.secret is not None:
            headers["X-Lavida-Signature"] = f"sha256={signature(self.secret, timestamp, body)}"
        request = urllib.request.Request(self.url, body, headers, method="POST")
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(1024)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `timestamp`, a full stop and the body, in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is signed for one address is not sent to another."""

    def redirect_request(self, *given: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)
