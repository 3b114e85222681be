"""`watch.yaml`: streams, words and settings in a file instead of on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lavida.errors import InputError, first_line, reason, unknown
from lavida.events import MERGE_GAP_S
from lavida.live.address import masked, parse_all
from lavida.settings import check_settings, setting

MOST_BYTES = 255  # of a file's name
_QUOTED = r"'(?!<)[^']{5,}'"  # what YAML quotes of the file; "'<scalar>'" and "'\\t'" say what is wrong


@dataclass
class StreamEntry:
    """What may stand below a stream's name; what is None is that of the file.

    Attributes:
        url: the address.
        active: whether it is watched.
        only_host: neither redirects nor playlists, which could lead to another host.
        anomalies: words for this stream instead of those for all.
        regions: where events count: polygons, x and y from 0 to 1, or the path of a picture; none: everywhere.
        ignore: where they do not.
        schedule: see `lavida.live.schedule.Schedule`.
        blur: words for what no picture shows.
    """

    url: str = ""
    active: bool = True
    only_host: bool = False
    anomalies: list[str] | None = None
    threshold: float | None = setting(None, least=0, most=1)
    min_length_s: float | None = setting(None, least=0)
    merge_gap_s: float | None = setting(None, least=0)
    cool_down_s: float | None = setting(None, least=0)
    profile: str | None = None
    regions: Any = field(default_factory=list)
    ignore: Any = field(default_factory=list)
    schedule: list[str] | None = None
    blur: list[str] | None = None


@dataclass
class Keep:
    """How much of what was found stays on the disk; the oldest goes first."""

    days: float | None = setting(None, least=0.001)
    gigabytes: float | None = setting(None, least=0.001)


@dataclass
class Clips:
    """The seconds kept before and after an event, and how much of each stream is held for them.

    Attributes:
        unblurred: clips are also made of streams whose pictures are blurred, which they are not.
    """

    before_s: float = setting(5.0, least=0, most=600)
    after_s: float = setting(5.0, least=0, most=600)
    longest_s: float = setting(120.0, least=1, most=3600)
    megabytes: float = setting(256.0, least=1, most=1_000_000)
    unblurred: bool = False


@dataclass
class WatchFile:
    """What may stand in `watch.yaml`; see `docs/watch.md`.

    Attributes:
        streams: addresses by the names of their streams, or a list of addresses.
        anomalies: what counts as abnormal.
        blur: words for what no picture shows.
        webhooks: where events are sent; see `lavida.live.webhook.Webhook`.
        mqtt: a broker; see `lavida.live.mqtt.Broker`.
        notify: people who are told; see `lavida.live.notify.Notified`.
        alerts_per_hour: how many events of a stream are sent on within an hour; the others come as a digest.
        clips: None: no clips.
    """

    streams: dict[str, StreamEntry] = field(default_factory=dict)
    anomalies: list[str] = field(default_factory=list)
    blur: list[str] = field(default_factory=list)
    threshold: float | None = setting(None, least=0, most=1)
    min_length_s: float | None = setting(None, least=0)
    merge_gap_s: float = setting(MERGE_GAP_S, least=0)
    cool_down_s: float | None = setting(None, least=0)
    update_s: float = setting(5.0, least=0)
    health_s: float = setting(10.0, least=0.1)
    profile: str | None = None
    schedule: list[str] = field(default_factory=list)
    alerts_per_hour: int | None = setting(None, least=1)
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    mqtt: dict[str, Any] | None = None
    notify: list[Any] = field(default_factory=list)
    keep: Keep = field(default_factory=Keep)
    clips: Clips | None = None

    @property
    def sends(self) -> bool:
        """Whether anybody is told of events."""
        return bool(self.webhooks or self.notify) or self.mqtt is not None


def read_config(path: Path) -> WatchFile:
    """The settings in a file. Raises InputError for a file that cannot be read, or a setting that means nothing."""
    return parse_config(read_text(path), path)


def read_text(path: Path) -> str:
    """What stands in the file. Raises InputError for one that cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the configuration cannot be read: {path}; {reason(error)}; check its path") from error


def parse_config(text: str, path: Path) -> WatchFile:
    """The settings in the text of a file. Raises InputError, which names the file, for one that means nothing."""
    from omegaconf import OmegaConf

    try:
        # environment variables, so that no password has to stand in the file: ${oc.env:CAMERA_PASSWORD}
        content: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    except Exception as error:  # of YAML
        raise InputError(f"broken configuration: {path}; {_said(error)}; mend it") from error
    if not isinstance(content, dict):
        raise InputError(f"broken configuration: {path}; give settings as key: value")
    _check_keys(WatchFile, content, str(path))
    content["streams"] = _named(content.get("streams") or {}, path)
    for key, kind in (("keep", Keep), ("clips", Clips)):
        if content.get(key) is not None:
            content[key] = _filled(kind, content[key], f"{path}: {key}")
    content = {key: value for key, value in content.items() if value is not None}
    settings: WatchFile = _filled(WatchFile, content, str(path))
    _check_lists(settings, path)
    check_settings(settings, where=f"{path}: ")
    return settings


def _said(error: Exception) -> str:
    """What is wrong with a file, and where. What stands there is not shown, as it may be a password."""
    if type(error).__name__ == "GrammarParseError":  # of OmegaConf
        return "what stands behind a ${ means nothing, as ${oc.env:NAME} would"
    if isinstance(error, AssertionError):  # it asserts that there is a mapping or a list
        return "give settings as key: value"
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if not problem or mark is None:
        return masked(first_line(error))
    return f"line {mark.line + 1}: {masked(re.sub(_QUOTED, '...', problem))}"


def _check_keys(kind: type, content: Any, where: str) -> None:
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    if not isinstance(content, dict):
        raise InputError(f"{where}: give {', '.join(known)} as key: value")
    for key in content:
        if key not in known:
            raise unknown("setting", f"{masked(key)} in {where}", known)


def _filled(kind: type, content: Any, where: str) -> Any:
    """An instance of a dataclass from a mapping. Raises InputError for a key that it does not know."""
    _check_keys(kind, content, where)
    return kind(**content)


def _named(streams: Any, path: Path) -> dict[str, StreamEntry]:
    if isinstance(streams, list) and all(isinstance(each, str) for each in streams):
        return {name: StreamEntry(address.url) for name, address in parse_all(streams).items()}
    if not isinstance(streams, dict) or not all(isinstance(name, str) for name in streams):
        raise InputError(f"{path}: streams: give name: address for each")
    return {name: _entry(name, given, path) for name, given in streams.items()}


def _entry(name: str, given: Any, path: Path) -> StreamEntry:
    # a folder is called so
    if not re.fullmatch(r"[\w.-]{1,100}", name) or not name.strip("."):
        how = "give up to 100 letters, digits, dots and hyphens, and not dots alone"
        raise InputError(f"{path}: streams: '{masked(name)}' is no name; {how}")
    if (size := len(name.encode())) > MOST_BYTES:
        raise InputError(f"{path}: streams: '{name}' takes {size} bytes, too many for the name of a folder; shorten it")
    where = f"{path}: streams: {name}"
    entry: StreamEntry = StreamEntry(given) if isinstance(given, str) else _filled(StreamEntry, given, where)
    if not isinstance(entry.url, str) or not entry.url:
        raise InputError(f"{where}: give an address, or its url and other settings")
    check_settings(entry, where=f"{where}: ")
    for key in ("anomalies", "schedule", "blur"):
        if getattr(entry, key) is not None:
            _check_texts(getattr(entry, key), f"{where}: {key}")
    return entry


def _check_texts(given: Any, where: str) -> None:
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise InputError(f"{where}: give a list of texts")


def _check_lists(settings: WatchFile, path: Path) -> None:
    for key in ("anomalies", "schedule", "blur"):
        _check_texts(getattr(settings, key), f"{path}: {key}")
    if not isinstance(settings.webhooks, list) or not all(isinstance(each, dict) for each in settings.webhooks):
        raise InputError(f"{path}: webhooks: give a list of receivers, each with a url")
    if not isinstance(settings.notify, list):
        raise InputError(f"{path}: notify: give a list of addresses")
    if settings.mqtt is not None and not isinstance(settings.mqtt, dict):
        raise InputError(f"{path}: mqtt: give a url and other settings as key: value")
