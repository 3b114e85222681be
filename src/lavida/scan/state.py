"""What a source is at one moment, by which a later look tells whether it is still the same."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lavida.errors import InputError
from lavida.scan.addresses import file_system, is_remote
from lavida.scan.media import suffix
from lavida.video.picture_file import IMAGE_SUFFIXES

# how file systems of fsspec call what tells two contents apart, and the time of the last change
CHECKSUMS = tuple("ETag etag md5Hash md5Checksum Content-MD5 sha blob_id CRC checksum".split())
TIMES = tuple(
    "mtime LastModified Last-Modified last_modified updated modified modificationTime last_write_time created".split()
)
FIRST_MS = 1e11  # as seconds it is the year 5138: a larger number counts milliseconds
SPECIAL = {
    "pipe": stat.S_ISFIFO,
    "socket": stat.S_ISSOCK,
    "device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
}


@dataclass(frozen=True, slots=True)
class State:
    """Size and time of change of a video file, or of all the pictures in a folder; None: its address does not tell."""

    bytes: int | None = None
    # differs when the content does: the ETag or checksum where the file system has one, else the time of change; of a
    # folder a digest of the pictures' names, sizes and stamps
    stamp: str | None = None
    changed: float | None = None  # seconds since 1970 at the last change
    pictures: int | None = None  # how many, of a folder

    @property
    def token(self) -> str:
        """16 hexadecimal digits, the same as long as the content is."""
        return _digest([self.bytes, self.stamp, self.pictures], size=8)

    def recent(self, settle_s: float) -> float | None:
        """How many seconds ago it changed, if that is less than `settle_s`; else None.

        A time ahead of the clock here by less than that counts as now; one further ahead is a recorder's wrong clock
        and says nothing.
        """
        if self.changed is None:
            return None
        age_s = time.time() - self.changed
        return max(0.0, age_s) if abs(age_s) < settle_s else None

    def to_json(self) -> dict[str, Any]:
        """As it is kept beside a result."""
        about = {"bytes": self.bytes, "changed": _iso(self.changed), "stamp": self.stamp, "pictures": self.pictures}
        return {name: value for name, value in about.items() if value is not None}


UNKNOWN = State()


def state_of(address: str) -> State:
    """The state of a file or of a folder of images now; UNKNOWN if it is not there or cannot be looked at."""
    return _remote_state(address) if is_remote(address) else _local_state(address)


def special_kind(path: str) -> str | None:
    """What it is, of a local path that can be read only once: a pipe, a socket or a device."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return next((kind for kind, is_kind in SPECIAL.items() if is_kind(mode)), None)


def refuse_special(path: str) -> None:
    """Raises InputError for a local path that can be read only once."""
    if kind := special_kind(path):
        raise InputError(f"a {kind} cannot be read twice: {path}; save what comes from it to a file first")


def listed_state(info: Mapping[str, Any]) -> State:
    """The state of a file by what a file system of fsspec tells of it."""
    changed = next((time_s for name in TIMES if (time_s := _seconds(info.get(name))) is not None), None)
    checksum = next((str(value) for name in CHECKSUMS if (value := info.get(name))), None)
    if checksum is not None:  # listings and single answers of one store differ in the quotes
        return State(info.get("size"), checksum.removeprefix("W/").strip('"'), changed)
    return State(info.get("size"), None if changed is None else str(int(changed * 1000)), changed)


def folder_state(pictures: Iterable[tuple[str, State]]) -> State:
    """The state of a folder of images, by the name and the state of each."""
    known = sorted(pictures, key=lambda picture: os.fsencode(picture[0]))
    listed = [[os.fsencode(name).hex(), state.bytes, state.stamp] for name, state in known]
    times = [state.changed for _, state in known if state.changed is not None]
    total = sum(state.bytes or 0 for _, state in known)
    return State(total, _digest(listed, size=16), max(times, default=None), len(known))


def _local_state(path: str) -> State:
    try:
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                frames = [entry for entry in entries if is_frame(entry.name) and _is_file(entry)]
            return folder_state((entry.name, _known(entry.stat())) for entry in frames)
        return _known(os.stat(path))
    except (OSError, ValueError):  # a name may hold what no path can
        return UNKNOWN


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself, or to where one may not look, is no frame of the others
        return False


def _remote_state(address: str) -> State:
    system, path = file_system(address)
    try:
        system.invalidate_cache(path)
        info = system.info(path)
        if info["type"] != "directory":
            return listed_state(info)
        listed = ((posixpath.basename(entry["name"]), entry) for entry in system.ls(path, detail=True))
        return folder_state((name, listed_state(entry)) for name, entry in listed if is_frame(name))
    except Exception:  # each file system raises its own; fetching the video will tell
        return UNKNOWN


def is_frame(name: str) -> bool:
    """Whether it is the name of an image that counts as a frame of its folder; moving pictures do, once it is one."""
    return suffix(name) in IMAGE_SUFFIXES and not name.startswith(".")


def _known(found: os.stat_result) -> State:
    milliseconds = found.st_mtime_ns // 10**6  # finer digits get lost on some network disks
    return State(found.st_size, str(milliseconds), found.st_mtime)


def _seconds(value: Any) -> float | None:
    """Seconds since 1970, from any form in which file systems tell a time; None if there is none."""
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, int | float) and value > 0:
        return value / 1000 if value > FIRST_MS else float(value)
    return None


def _parsed(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text)
        except (ValueError, TypeError):
            continue
    return None


def _iso(seconds: float | None) -> str | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # a damaged disk tells of the year 60000
        return None


def _digest(value: Any, *, size: int) -> str:
    return hashlib.blake2s(json.dumps(value).encode(), digest_size=size).hexdigest()
