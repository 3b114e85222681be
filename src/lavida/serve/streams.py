"""What a `lavida watch` finds that writes to the same folder, read as it comes; and the watch itself, if it is ours."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as Part
from starlette.responses import FileResponse, Response

from lavida.errors import InputError
from lavida.live.address import masked
from lavida.live.latest import look_on, read_picture, read_scores, read_streams, reading
from lavida.live.records import seconds_of
from lavida.live.tables import DATABASE, SNAPSHOTS
from lavida.serve.faults import FAULTS
from lavida.serve.guard import Refused
from lavida.serve.schemas import (
    NewScores,
    StreamEntry,
    StreamEvent,
    StreamNow,
    StreamRequest,
    StreamsAnswer,
    StreamScores,
    WatchAnswer,
)
from lavida.serve.service import Service

if TYPE_CHECKING:
    from lavida.serve.watchfile import WatchConfig

MOST_OF_A_STREAM, MOST_EVENTS = 20, 500
SILENT_S = 20.0  # a watch that has written nothing for so long is gone
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The picture."}}
# A watch closes what a killed one left open when it opens its store; a reader must not.
_NEWEST = (
    "SELECT record, snapshot, snapshot_mask FROM (SELECT *, row_number() OVER (PARTITION BY stream ORDER BY start_wall "
    "DESC, id) AS place FROM events WHERE rowid > (SELECT max(rowid) FROM events) - 5000) WHERE place <= ? "
    "ORDER BY start_wall DESC, id LIMIT ?"
)
_COUNT = "SELECT stream, count(*), sum(phase != 'end') FROM events GROUP BY stream ORDER BY stream"
Name = Annotated[str, Part(min_length=1, max_length=100)]
Stream = Annotated[str, Query(min_length=1, max_length=300)]


def routes(service: Service) -> APIRouter:
    """The routes below `/api/streams`, and `/api/watch`."""
    router, data = APIRouter(prefix="/api", responses=FAULTS), service.settings.data

    @router.get("/streams")
    def list_streams() -> StreamsAnswer:
        """Streams of a `lavida watch` with the same `--data`, how they are, and the newest events of all."""
        look_on(data)
        return told(service)

    @router.get("/streams/scores")
    def list_scores(after: Annotated[int, Query(ge=0, le=2**60)] = 0, stream: Stream | None = None) -> NewScores:
        """The scores of the last minutes as they come, of all streams or of one."""
        with _read("scores"):
            last, rows = read_scores(data, after=after, stream=stream)
            words = {each["name"]: each["words"] for each in read_streams(data)[1] if stream in (None, each["name"])}
        streams = {name: StreamScores(times=[], scores=[], category_scores=[]) for name in words}
        for name, at, score, by_word in rows:
            if name in streams:
                streams[name].times.append(at)
                streams[name].scores.append(score)
                streams[name].category_scores.append([by_word.get(word) for word in words[name]])
        return NewScores(next=last, streams=streams)

    @router.get("/streams/picture", response_class=Response, responses=_JPEG)
    def get_newest_picture(stream: Stream) -> Response:
        """The newest picture of a stream."""
        with _read("pictures"):
            picture = read_picture(data, stream)
        if picture is None:
            raise Refused(404, "there is no picture of such a stream")
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})

    @router.get("/streams/pictures/{name}", response_class=Response, responses=_JPEG)
    def get_snapshot(name: Annotated[str, Part(pattern=r"^[\w-]{1,200}\.jpg$")]) -> Response:
        """A snapshot of an event."""
        path = data / SNAPSHOTS / name
        if not path.is_file() or path.is_symlink():
            raise Refused(404, "there is no such picture")
        return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})

    _add_changes(router, service)
    return router


def _add_changes(router: APIRouter, service: Service) -> None:
    @router.put("/streams/{name}")
    def change_stream(name: Name, asked: StreamRequest) -> StreamsAnswer:
        """Add a stream to the configuration, or change one; a watch that runs with it takes it within a second."""
        _config(service).change(name, asked)
        return told(service)

    @router.delete("/streams/{name}", status_code=204)
    def remove_stream(name: Name) -> None:
        """Take a stream out of the configuration."""
        if not _config(service).remove(name):
            raise Refused(404, "there is no such stream in the configuration")

    @router.post("/watch")
    def start_watch() -> StreamsAnswer:
        """Start to watch with the configuration, unless a watch runs with this data folder."""
        entries = _config(service).entries()
        if not any(entry.active for entry in entries.values()):
            raise InputError("no stream is active: add one, or start one")
        assert service.watcher is not None
        if not service.watcher.runs and _beats(service):
            raise Refused(409, "a watch runs already with this data folder; it was started elsewhere")
        service.check_disk()
        service.watcher.start()
        return told(service)

    @router.delete("/watch", status_code=204)
    def stop_watch() -> None:
        """End the watch that this server has started; events that go on are closed."""
        _config(service)
        assert service.watcher is not None
        if not service.watcher.runs and _beats(service):
            raise Refused(409, "the watch was started elsewhere; stop it there")
        service.watcher.stop()


def _config(service: Service) -> WatchConfig:
    if service.config is None:
        raise Refused(409, "the server may change no streams; start it with lavida serve --streams watch.yaml")
    return service.config


@contextmanager
def _read(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:  # a watch that is just making it
        raise Refused(503, f"the {what} of lavida watch cannot be read ({error})", retry_after=5) from error


def _beats(service: Service) -> bool:
    with _read("streams"):
        beat, _ = read_streams(service.settings.data)
    return _is_new(beat)


def _is_new(beat: float | None) -> bool:
    return beat is not None and abs(time.time() - beat) < SILENT_S  # later than now: the clock was ahead then


def told(service: Service) -> StreamsAnswer:
    """What is known of all streams."""
    data = service.settings.data
    counts, events = _events(data)
    with _read("streams"):
        beat, watched = read_streams(data)
    runs = _is_new(beat)
    watch, entries = _watch(service, runs)
    hide = masked if service.config is None else service.config.hide
    now = [_now(each, runs, hide) for each in watched if not each["gone"]]
    listed, pictures = {each.name for each in now}, {each["name"]: each["picture_at"] for each in watched}
    for name, entry in entries.items():
        if name not in listed:
            known = {"words": entry.words, "threshold": entry.threshold, "health": None, "score": None}
            known["picture_at"] = pictures.get(name)
            polygons = {"regions": entry.regions, "ignore": entry.ignore}
            now.append(_now({"name": name} | known | polygons, False, hide))
    for each in now:
        each.events, each.entry = counts.get(each.name, (0, 0))[0], entries.get(each.name)
        if each.entry is not None and not each.entry.active:
            each.state, each.message = "stopped", ""
    streams = {name: count for name, (count, _) in counts.items()}
    going_on = sum(each for _, each in counts.values())
    return StreamsAnswer(watch=watch, now=now, streams=streams, going_on=going_on, events=events)


def _watch(service: Service, runs: bool) -> tuple[WatchAnswer, dict[str, StreamEntry]]:
    config, watcher = service.config, service.watcher
    ours = watcher is not None and watcher.runs
    entries: dict[str, StreamEntry] = {}
    fault = None
    if config is not None:
        try:
            entries = config.entries()
        except InputError as error:
            fault = config.hide(str(error))
    answer = WatchAnswer(
        file=None if config is None else config.path.name,
        state="running" if runs else "starting" if ours else "none",
        ours=ours,
        message="" if watcher is None or config is None or runs else config.hide(watcher.message),
        allowed=list(service.settings.allow_streams),
        fault=fault,
    )
    return answer, entries


def _now(known: dict[str, Any], runs: bool, hide: Callable[[str], str]) -> StreamNow:
    health = (known["health"] if runs else None) or {}
    told = {name: health[name] for name in ("rate", "share", "dropped", "thinned", "held_back") if name in health}
    return StreamNow(
        **{name: known[name] for name in ("name", "threshold", "regions", "ignore", "picture_at")},
        words=[hide(word) for word in known["words"]],
        state=health.get("state", "starting" if runs else "not watched"),
        message=hide(health.get("message", "")),
        score=known["score"] if runs else None,
        health_at=seconds_of(health["wall"]) if health else None,
        **told,
    )


def _events(data: Path) -> tuple[dict[str, tuple[int, int]], list[StreamEvent]]:
    """Of each stream how many events it has had and how many go on; the newest ones of all."""
    with _read("events"):
        database = reading(data / DATABASE, table="outbox")
        if database is None:
            return {}, []
        with closing(database):
            rows = database.execute(_NEWEST, (MOST_OF_A_STREAM, MOST_EVENTS)).fetchall()
            counts = database.execute(_COUNT).fetchall()
    events = [_event(json.loads(record), mask or plain) for record, plain, mask in rows]
    return {name: (count, going_on) for name, count, going_on in counts}, events


def _event(record: dict[str, Any], picture: str | None) -> StreamEvent:
    return StreamEvent(
        id=record["id"],
        stream=record["stream"],
        going_on=record["phase"] != "end",
        category=record["category"],
        peak_score=record["peak_score"],
        start_wall=record["start_wall"],
        end_wall=record["end_wall"],
        picture=None if picture is None else picture.rsplit("/", 1)[-1],
    )
