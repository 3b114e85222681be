"""What stands before every request: who asks, from which page, how much is sent; and the headers of every answer."""

from __future__ import annotations

import logging
import time
from collections import deque
from http.cookies import CookieError, SimpleCookie
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lavida.errors import one_line
from lavida.serve.settings import ServeSettings
from lavida.serve.tokens import hashed, is_known

log = logging.getLogger(__name__)
DEFECT = "a defect of lavida; the server's log has more"
COOKIE = "lavida_token"
OPEN = {"/", "/api/health", "/api/session", "/docs"}  # tell nothing of anybody's videos
STATIC = "/static/"
SAFE = {"GET", "HEAD", "OPTIONS"}
FORM_BYTES = 64 * 2**10  # of a form around an upload
SMALL_BODY = 4 * 2**20  # what anything but an upload may send
MOST_CLIENTS, MINUTE_S = 10_000, 60
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, one_line(message), retry_after

    def answer(self) -> JSONResponse:
        """One line of JSON."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"message": self.message}, self.status, headers)


class Door:
    """Knows the tokens, and who tries many wrong ones.

    Args:
        tokens: their hashes; None: nobody needs one.
        tries: wrong tokens in a minute from one address, before it has to wait.
    """

    def __init__(self, tokens: tuple[str, ...] | None, *, tries: int) -> None:
        self.is_open, self._tokens, self._tries = tokens is None, tokens or (), tries
        self._wrong: dict[str, deque[float]] = {}

    def check(self, token: str, scope: Scope) -> None:
        """Refuse a wrong token, and whoever tries many."""
        client = (scope.get("client") or ("", 0))[0]
        now, wrong = time.monotonic(), self._wrong.get(client, deque())
        while wrong and now - wrong[0] > MINUTE_S:
            wrong.popleft()
        if len(wrong) >= self._tries:
            raise Refused(429, "too many wrong tokens; wait a minute", retry_after=MINUTE_S)
        if is_known(token, self._tokens):
            self._wrong.pop(client, None)
            return
        wrong.append(now)
        self._wrong.pop(client, None)
        self._wrong[client] = wrong  # behind the others: the first one is the one that has been quiet for longest
        if len(self._wrong) > MOST_CLIENTS:
            del self._wrong[next(iter(self._wrong))]
        raise Refused(401, "the token is not known here")


class RateLimit:
    """How much is asked with one token in a minute.

    Args:
        most: requests in all.
        most_jobs: those of them that make jobs.
    """

    def __init__(self, *, most: int, most_jobs: int) -> None:
        self._most, self._most_jobs = most, most_jobs
        self._counts: dict[tuple[str, bool], int] = {}
        self._began = time.monotonic()

    def check(self, token: str, *, makes_job: bool) -> None:
        """Refuse what is too much in this minute."""
        now = time.monotonic()
        if now - self._began >= MINUTE_S:
            self._counts, self._began = {}, now
        for kind, most in ((False, self._most), (True, self._most_jobs)):
            if kind and not makes_job:
                continue
            count = self._counts[token, kind] = self._counts.get((token, kind), 0) + 1
            if count > most:
                rest = max(1, round(MINUTE_S - (now - self._began)))
                what = "new jobs" if kind else "requests"
                raise Refused(429, f"more than {most} {what} in a minute; wait a moment", retry_after=rest)


class Guard:
    """The middleware of the server.

    Args:
        app: what it stands before.
        settings: of the server.
        door: who may pass.
    """

    def __init__(self, app: ASGIApp, *, settings: ServeSettings, door: Door) -> None:
        self._app, self._settings, self._door = app, settings, door
        self._pace = RateLimit(most=settings.limits.requests, most_jobs=settings.limits.new_jobs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith(STATIC):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check_host(headers)
            self._check_page(headers, scope)
            self._check_token(headers, scope)
            await self._app(scope, self._bounded(headers, scope, receive), answer)
        except Refused as refused:
            if not begun:
                await refused.answer()(scope, receive, answer)
        except ClientDisconnect:  # in the middle of what it sent: nobody waits for an answer
            return
        except Exception:
            log.exception("%s %s", scope["method"], scope["path"])
            if begun:
                raise
            await Refused(500, DEFECT).answer()(scope, receive, answer)

    def _check_host(self, headers: Headers) -> None:
        """Another name for this machine's own address is a page of the web that had its name point here."""
        if not self._settings.is_local or not self._door.is_open:
            return
        name = _parts(f"//{headers.get('host', '')}").hostname
        if name not in ("localhost", "127.0.0.1", "::1", self._settings.host):
            raise Refused(421, "this server is called 127.0.0.1 or localhost; open it by that name")

    def _check_page(self, headers: Headers, scope: Scope) -> None:
        """No other page may have a browser ask here."""
        origin, host = headers.get("origin"), headers.get("host", "")
        site = headers.get("sec-fetch-site")
        foreign = origin is not None and _parts(origin).netloc.lower() != host.lower()
        changes = scope["method"] not in SAFE
        navigates = headers.get("sec-fetch-mode") == "navigate" and not changes and scope["path"] in OPEN
        if site in ("cross-site", "same-site") and not navigates:
            raise Refused(403, "another page may not ask here")
        # a browser says where a change comes from; a program has no cookie
        if changes and (foreign or (origin is None and site is None and COOKIE in headers.get("cookie", ""))):
            raise Refused(403, "another page may not change anything here")

    def _check_token(self, headers: Headers, scope: Scope) -> None:
        path = scope["path"]
        if self._door.is_open or path in OPEN or path.startswith(STATIC):
            return
        token = given_token(headers)
        if token is None:
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN")
        self._door.check(token, scope)
        self._pace.check(hashed(token), makes_job=_makes_job(scope))

    def _bounded(self, headers: Headers, scope: Scope, receive: Receive) -> Receive:
        """What is sent, up to the limit, whatever its header announces."""
        most = self._settings.limits.upload + FORM_BYTES if _makes_job(scope) else SMALL_BODY
        too_large = Refused(413, f"too much is sent; at most {most // 2**20} MB are taken", retry_after=None)
        announced = headers.get("content-length", "0")
        if not announced.isdigit() or int(announced) > most:
            raise too_large
        got = 0

        async def take() -> Message:
            nonlocal got
            message = await receive()
            if message["type"] == "http.request":
                got += len(message.get("body", b""))
                if got > most:
                    raise too_large
            return message

        return take


def _parts(address: str) -> SplitResult:
    """The parts of an address; none of one that is broken."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _makes_job(scope: Scope) -> bool:
    return scope["path"] == "/api/jobs" and scope["method"] == "POST"


def given_token(headers: Headers) -> str | None:
    """The token of a request: of a program in its header, of the page in its cookie."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
