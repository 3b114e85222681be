"""The configuration of the watch, as the page changes it: checked as `lavida watch` does, secrets left alone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from lavida.errors import InputError, first_line
from lavida.files import atomic_file
from lavida.live.address import HIDDEN, NETWORK, masked
from lavida.live.config import parse_config, read_text
from lavida.live.plan import WatchRequest
from lavida.live.regions import Regions, outlines
from lavida.serve.schemas import StreamEntry, StreamRequest

_SECRET = re.compile(r"\$\{\s*oc\.env:\s*([^,}\s]+)")
_INTERPOLATION = "${"
# so strict that FFmpeg and this agree on the host
_URL = re.compile(
    rf"(?P<scheme>{'|'.join(NETWORK)})://(?:(?P<login>[^/?#@\s\\]*)@)?"
    r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?(?P<rest>[/?][^#\s\\]*)?"
)
# of the file: what FFmpeg, too, takes for a login, or comes from the environment
_LOGIN = re.compile(r"(?:[^/?#@\s\\]|\$\{[^}]*\})*")
_NAME = re.compile(r"[\w.-]{1,100}")

Raw = dict[str, Any]


class WatchConfig:
    """A `watch.yaml` that may be changed; one that is not there yet is empty.

    Args:
        path: the file.
        allowed: hosts, or hosts with a port, of addresses that may be set beside those that stand in it.
        most: streams in it.

    Raises:
        InputError: a host that is none.
    """

    def __init__(self, path: Path, *, allowed: Sequence[str] = (), most: int = 64) -> None:
        self.path, self._most, self._lock = path.resolve(), most, Lock()
        self._allowed = [_host(text) for text in allowed]
        self._seen: tuple[tuple[int, ...] | None, str] = (None, "")

    def entries(self) -> dict[str, StreamEntry]:
        """The streams by their names. Raises InputError for a file that cannot be read."""
        raw = self._raw()
        return {name: _entry(entry, raw) for name, entry in raw["streams"].items()}

    def hide(self, text: str) -> str:
        """A text without the values of the environment that the file names, and without passwords in addresses."""
        text = masked(text)
        values = {os.environ.get(name, "") for name in _SECRET.findall(self._text_or_nothing())}
        for value in sorted(filter(None, values), key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text

    def change(self, name: str, asked: StreamRequest) -> None:
        """Add a stream or change one. Raises InputError for what `lavida watch` would refuse, or the server does."""
        with self._lock:
            raw = self._raw()
            if name not in raw["streams"]:
                self._check_new(name, asked, raw)
            entry = raw["streams"].setdefault(name, {})
            given = asked.model_dump(exclude_unset=True)
            known = _texts(raw.get("anomalies")) + _texts(entry.get("anomalies"))
            if any(_INTERPOLATION in word and word not in known for word in given.get("words") or []):
                raise InputError("words: ${ stands for what the page may not ask for; leave it out")
            if given.get("url") is not None:
                self._set_address(entry, given["url"], raw)
            for key in ("regions", "ignore"):
                if isinstance(entry.get(key), str) and not given.get(key):
                    given.pop(key, None)  # a picture, which the page does not show and so cannot mean to take away
            for key in ("words", "threshold", "regions", "ignore"):
                _set(entry, "anomalies" if key == "words" else key, given, key)
            if given.get("active") is not None:
                entry.pop("active", None)
                entry |= {} if given["active"] else {"active": False}
            self._write(raw)

    def remove(self, name: str) -> bool:
        """Take a stream out; whether it was there."""
        with self._lock:
            raw = self._raw()
            if raw["streams"].pop(name, None) is None:
                return False
            self._write(raw)
        return True

    def _check_new(self, name: str, asked: StreamRequest, raw: Raw) -> None:
        if not _NAME.fullmatch(name):
            raise InputError(f"'{name[:100]}' is no name; give letters, digits, dots and hyphens")
        if asked.url is None:
            raise InputError(f"no such stream: {name}; give the url of a new one")
        if len(raw["streams"]) >= self._most:
            raise InputError(f"{self._most} streams are watched at most; remove one")

    def _set_address(self, entry: Raw, given: str, raw: Raw) -> None:
        """Take an address that the file names already, whole, or one of an allowed host."""
        given, before = given.strip(), str(entry.get("url", ""))
        named = [each for each in (entry, *raw["streams"].values()) if each.get("url")]
        known = next((each for each in named if given in (each["url"], masked(each["url"]))), None)
        if known is not None:
            same = {key: known[key] for key in ("url", "only_host") if key in known}
            entry.pop("only_host", None)
            entry |= same
            return
        found = _URL.fullmatch(given)
        if _INTERPOLATION in given or found is None:
            raise InputError(
                "url: an address of the page is rtsp://, rtsps://, http:// or https:// with a host; others, files and "
                "devices stand in the file itself"
            )
        host, port = found["host"].lower(), found["port"]
        if not any(host == name and each in (None, port) for name, each in self._allowed):
            shown = host + (f":{port}" if port else "")
            raise InputError(f"url: {shown} is no host that this server may be told of; see --allow-streams")
        if HIDDEN in given:
            given = _with_login(given, found, before)
        entry |= {"url": given, "only_host": True}

    def _raw(self) -> Raw:
        """What stands in the file, with what it takes from the environment as it is written."""
        from omegaconf import OmegaConf

        text = self._text()
        try:
            content: Any = OmegaConf.to_container(OmegaConf.create(text or "{}"), resolve=False)
        except Exception as error:  # of YAML
            raise InputError(f"broken configuration: {self.path.name}; {first_line(error)}; mend it") from error
        if not isinstance(content, dict):
            raise InputError(f"broken configuration: {self.path.name}; give settings as key: value")
        streams = content.get("streams") or {}
        if isinstance(streams, list):
            names = parse_config(text, self.path).streams
            streams = dict(zip(names, streams, strict=True)) if len(names) == len(streams) else None
        if not isinstance(streams, dict) or not all(isinstance(name, str) for name in streams):
            raise InputError(f"{self.path.name}: streams: give name: address for each")
        named = {name: {"url": each} if isinstance(each, str) else each for name, each in streams.items()}
        if not all(isinstance(each, dict) for each in named.values()):
            raise InputError(f"{self.path.name}: streams: give an address, or its url and other settings")
        return content | {"streams": named}

    def _text(self) -> str:
        """The file, read when it has changed."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return ""
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._seen[0] != stamp:
            self._seen = (stamp, read_text(self.path))
        return self._seen[1]

    def _text_or_nothing(self) -> str:
        try:
            return self._text()
        except (InputError, OSError):
            return ""

    def _write(self, raw: Raw) -> None:
        from omegaconf import OmegaConf

        text = OmegaConf.to_yaml(OmegaConf.create(raw))
        try:
            if OmegaConf.to_container(OmegaConf.create(text), resolve=False) != raw:
                raise InputError(f"{self.path.name} cannot be written as it was read; change it in an editor")
            given = parse_config(text, self.path)
            if given.streams:
                WatchRequest(config=self.path).plan(given)
        except InputError as error:
            raise InputError(self.hide(str(error))) from None  # the chain would hold what is hidden here
        mode = stat.S_IMODE(self.path.stat().st_mode) if self.path.exists() else 0o600
        with atomic_file(self.path) as partial:
            partial.touch(mode=0o600)
            partial.write_text(text, encoding="utf-8")
            partial.chmod(mode)


def _entry(entry: Raw, raw: Raw) -> StreamEntry:
    threshold = entry.get("threshold", raw.get("threshold"))
    polygons: dict[str, list[list[list[float]]]] = {"regions": [], "ignore": []}
    for key in polygons:
        if isinstance(entry.get(key), list):  # else the path of a picture
            with suppress(InputError):  # said when the file is taken
                polygons[key] = outlines(Regions.of(entry[key], []).only)
    return StreamEntry(
        url=masked(entry.get("url", "")),
        active=entry.get("active", True) is not False,
        words=_texts(entry.get("anomalies") or raw.get("anomalies")),
        threshold=threshold if isinstance(threshold, int | float) else None,
        regions=polygons["regions"],
        ignore=polygons["ignore"],
    )


def _texts(given: Any) -> list[str]:
    return [str(each) for each in given] if isinstance(given, list) else [str(given)] if given else []


def _set(entry: Raw, field: str, given: Raw, key: str) -> None:
    if key in given:
        entry.pop(field, None)
        entry |= {field: given[key]} if given[key] or given[key] == 0 else {}


def _with_login(given: str, found: re.Match[str], before: str) -> str:
    """An address whose hidden login is that of the one before, if it goes to the same host."""
    old = re.match(r"[A-Za-z]+://(?:(?P<login>.*)@)?", before)  # as it is hidden: up to the last @
    login = old["login"] if old is not None else None
    rest = before[old.end() :] if old is not None else ""
    place = found["host"].lower() + (f":{found['port']}" if found["port"] else "")
    same = before.lower().startswith(f"{found['scheme']}://") and re.match(
        rf"{re.escape(place)}(?![:\w.-])", rest.lower()
    )
    if found["login"] == HIDDEN and login and _LOGIN.fullmatch(login) and same:
        head, tail = given.split(f"{HIDDEN}@", 1)
        given = f"{head}{login}@{tail}"
        if HIDDEN not in tail:
            return given
    raise InputError(f"url: give what is hidden as {HIDDEN} anew: it is kept for the same host, and a login only")


def _host(text: str) -> tuple[str, str | None]:
    """A host and its port, as `--allow-streams` has them."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.netloc != text or "@" in text or not _URL.fullmatch(f"http://{text}/"):
        raise InputError(f"not a host: {text}; give HOST or HOST:PORT")
    return (f"[{host}]" if ":" in host else host).lower(), (None if port is None else str(port))
