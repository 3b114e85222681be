"""The configuration file looked at while a watch runs: what has changed in it acts without a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lavida.errors import InputError
from lavida.live.config import WatchFile
from lavida.live.plan import Plan, WatchRequest
from lavida.live.receivers import receivers_of
from lavida.live.regions import picture_path

EVERY_S = 1.0

Stamp = tuple[int, int, int] | None


class Reload:
    """Gives the plan anew when the file, or a profile or picture that it names, has changed.

    Args:
        asked: names the file.
        given: what stood in it at the start.
        say: takes a line for people: what was taken, or why it was not.
    """

    def __init__(self, asked: WatchRequest, given: WatchFile, *, say: Callable[[str], object]) -> None:
        self._asked, self._say = asked, say
        self._started = given  # what receivers and limits are of
        self._named = given  # the profiles and pictures of which are looked at
        self._looked, self._stamps = time.monotonic(), self._stamps_now()

    def __call__(self) -> Plan | None:
        """The plan, if it has changed since the last time; a broken file is told of and changes nothing."""
        now, config = time.monotonic(), self._asked.config
        if config is None or now - self._looked < EVERY_S:
            return None
        self._looked, before = now, self._stamps
        self._stamps = stamps = self._stamps_now()
        if stamps == before:
            return None
        try:
            given = self._asked.read()
            # from now on also what it did not name before: a profile that is missing may come
            self._named = given
            self._stamps = self._stamps_now() | {config: stamps[config]}
            receivers_of(given, Path())
            plan = self._asked.plan(given)
        except InputError as error:
            self._say(f"the change is not taken: {error}")
            return None
        kept = ("webhooks", "mqtt", "notify", "alerts_per_hour", "clips", "keep")
        later = [key for key in kept if getattr(given, key) != getattr(self._started, key)]
        words = f"; {', '.join(later)}: after the next start" if later else ""
        streams = "1 stream is" if len(plan) == 1 else f"{len(plan)} streams are"
        self._say(f"{config} has changed, {streams} watched with it{words}")
        return plan

    def _stamps_now(self) -> dict[Path, Stamp]:
        entries, config = self._named.streams.values(), self._asked.config
        names = [self._asked.profile, self._named.profile, *(each.profile for each in entries)]
        paths = [config, *(None if name is None else Path(name) for name in names)]
        paths += [picture_path(given, config) for each in entries for given in (each.regions, each.ignore)]
        return {path: _stamp(path) for path in paths if path is not None}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:  # an editor may be about to put it back
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
