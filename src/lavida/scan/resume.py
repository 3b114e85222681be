"""What a scan finds in its data set: whose it is, which videos are finished or have changed, which ended a process."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from lavida.errors import InputError
from lavida.scan.addresses import partition, printable, takes_many
from lavida.scan.dataset import BEGUN, EVENTS, FRAMES, METADATA_KEY, SOURCE, DataSet, Result
from lavida.scan.state import UNKNOWN, State, state_of
from lavida.scan.store import Store
from lavida.scan.videos import Video

_log = logging.getLogger(__name__)

# what a second run must share with the first: results of two kinds in one data set would not tell which is which
IDENTITY = {"root": "root", "model_sha256": "model", "categories": "categories", "settings": "settings"}
LONGEST_VALUE = 80  # characters
TRIES = 3  # of a video during which the process died
AT_ONCE = 16  # requests to a disk or an object store


def claim(data: DataSet, identity: Mapping[str, Any], *, overwrite: bool) -> None:
    """Refuse a data set of another scan; begin again if asked to. Raises InputError."""
    before = data.read_run()
    if before is None:
        if not data.store.is_empty():
            raise InputError(f"the folder holds no scan: {data.store.address}; empty it or choose another --out")
        return
    if overwrite:
        data.clear()
        return
    for name, shown in IDENTITY.items():
        if before.get(name) != identity[name]:
            was, now = _shown(before.get(shown)), _shown(identity[shown])
            change = f"{was}, now {now}" if was != now else f"{now} has changed"
            raise InputError(
                f"{data.store.address} holds a scan with other {shown} ({change}); "
                "choose another --out, or --overwrite to begin again"
            )
    data.store.tidy()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {'default' if part is None else part}" for name, part in value.items())
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def unfinished(data: DataSet, videos: Sequence[Video]) -> list[Video]:
    """Those of the videos that have to be scored, in order.

    Results of versions that kept no states are brought up to date. A video that cannot be looked at any more, or
    whose address tells nothing of its content, counts as finished if it has results.
    """
    results = data.results()
    scored = {key: video for video in videos if (key := partition(video.name)) in results}
    known = [(video, results[key].tokens) for key, video in scored.items()]
    at_once = all(takes_many(video.address) for video in scored.values())
    states = dict(zip(scored, _mapped(_look, known, at_once=at_once), strict=True))
    untold = [scored[key].name for key, state in states.items() if state == UNKNOWN]
    if untold:
        example = f"of {len(untold)} finished videos, for example {printable(untold[0])}"
        _log.info("cannot tell what has changed %s: gone, or nothing is told of them; their results stay", example)
    current = {key for key, result in results.items() if _is_current(result, states.get(key, UNKNOWN))}
    older = [key for key, result in results.items() if key in current and not result.tokens]
    current -= _adopt(data, older, scored, states)
    todo = [(key, video) for video in videos if (key := partition(video.name)) not in current]
    return [replace(video, outdated=key in results) for key, video in todo]


def _look(known: tuple[Video, set[str]]) -> State:
    video, tokens = known
    if video.state is not None and video.state.token in tokens:
        return video.state
    return state_of(video.address)  # what a listing tells may be less than that


def _is_current(result: Result, state: State) -> bool:
    if len(result.tokens) > 1:  # two workers wrote at once
        return False
    if state == UNKNOWN:
        return True
    if result.tokens:
        return state.token in result.tokens
    return state.changed is None or result.written is None or state.changed <= result.written


def _adopt(data: DataSet, keys: Sequence[str], videos: Mapping[str, Video], states: Mapping[str, State]) -> set[str]:
    """Give results of earlier versions the column and the state that they lack; the keys of those that are damaged."""
    if not keys:
        return set()
    _log.info("%d results of an earlier version are brought up to date: a column %s, a state", len(keys), SOURCE)

    def adopt(key: str) -> bool:
        name = printable(videos[key].name) if key in videos else None
        return _bring_up_to_date(data, key, name, states.get(key, UNKNOWN))

    done = _mapped(adopt, keys, at_once=data.store.takes_many)
    return {key for key, is_whole in zip(keys, done, strict=True) if not is_whole}


def _bring_up_to_date(data: DataSet, key: str, name: str | None, state: State) -> bool:
    try:
        tables = {kind: data.read_table(kind, key) for kind in (EVENTS, FRAMES)}
        name = name or json.loads(tables[FRAMES].schema.metadata[METADATA_KEY])["video"]
    except InputError:  # the store, not this result
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return False
    for kind, table in tables.items():
        if SOURCE not in table.column_names:
            data.write_table(kind, key, table, source=name)
    data.write_state(key, state)  # last: until then it is looked at again
    return True


def _mapped(function: Callable[[Any], Any], items: Sequence[Any], *, at_once: bool) -> list[Any]:
    if not at_once:
        return list(map(function, items))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(function, items))


class CrashLedger:
    """Notes in the store which video is being scored, and on how many of its tries the process died.

    A damaged video can crash a decoder in native code, and no exception tells of that. Ray has other workers to go on
    with; a scan in one process has to remember what it was doing. A kill from outside or a power cut looks the same,
    which is why a video gets several tries, the last of all.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._deaths: dict[str, int] = json.loads(store.read(BEGUN) or b"{}")

    def sort(self, videos: Sequence[Video]) -> tuple[list[Video], dict[str, str]]:
        """The videos to score, those with deaths behind the others; and those that are given up, with the reason."""
        given_up = [video for video in videos if self._count(video) >= TRIES]
        tried = sorted((video for video in videos if self._count(video) < TRIES), key=self._count)
        # those given up are forgotten: the next scan may try them again, mended or with another version
        self._deaths = {partition(video.name): n for video in tried if (n := self._count(video))}
        reason = f"the process died {TRIES} times while scoring it; check that it plays, or convert it to H.264 in MP4"
        return tried, {video.name: reason for video in given_up}

    def watch(self, videos: Sequence[Video]) -> Generator[Video]:
        """Pass the videos on; each counts as a death until the next one is asked for."""
        for video in videos:
            key = partition(video.name)
            self._note(key, 1)
            try:
                yield video
            except GeneratorExit:  # Ctrl-C, or the run ended for another reason
                self._note(key, -1)
                raise
            del self._deaths[key]
        self._store.remove(BEGUN)

    def _note(self, key: str, more: int) -> None:
        self._deaths[key] = self._deaths.get(key, 0) + more
        deaths = {key: count for key, count in self._deaths.items() if count}
        self._store.write(BEGUN, json.dumps(deaths).encode())

    def _count(self, video: Video) -> int:
        return self._deaths.get(partition(video.name), 0)
