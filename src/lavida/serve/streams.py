"""What a `lavida watch` has found that writes to the same folder: read as it comes, and never written."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as Part
from starlette.responses import FileResponse, Response

from lavida.live.pictures import SNAPSHOTS
from lavida.live.tables import DATABASE
from lavida.serve.answers import StreamEvent, StreamsAnswer
from lavida.serve.faults import FAULTS
from lavida.serve.guard import Refused

MOST_EVENTS = 100
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The picture."}}
# A watch closes what a killed one left open when it opens its store; a reader must not.
_NEWEST = "SELECT record, snapshot, snapshot_mask FROM events ORDER BY start_wall DESC, id LIMIT ?"
_COUNT = "SELECT stream, count(*), sum(phase != 'end') FROM events GROUP BY stream ORDER BY stream"


def routes(data: Path) -> APIRouter:
    """The routes below `/api/streams`.

    Args:
        data: the folder of the server, and of the watch.
    """
    router = APIRouter(prefix="/api/streams", responses=FAULTS)

    @router.get("")
    def list_streams() -> StreamsAnswer:
        """Streams of a `lavida watch` with the same `--data`, and their newest events; none where nobody watches."""
        return read_streams(data)

    @router.get("/pictures/{name}", response_class=Response, responses=_JPEG)
    def get_snapshot(name: Annotated[str, Part(pattern=r"^[\w-]{1,200}\.jpg$")]) -> Response:
        """A snapshot of an event."""
        path = data / SNAPSHOTS / name
        if not path.is_file() or path.is_symlink():
            raise Refused(404, "there is no such picture")
        return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})

    return router


def read_streams(data: Path) -> StreamsAnswer:
    """What stands in the database of a watch; nothing where there is none, or none that can be read now."""
    path = data / DATABASE
    if not path.is_file():
        return StreamsAnswer(streams={}, going_on=0, events=[])
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            rows = database.execute(_NEWEST, (MOST_EVENTS,)).fetchall()
            counts = database.execute(_COUNT).fetchall()
    except sqlite3.Error as error:  # a watch that is just making it
        raise Refused(503, f"the events of lavida watch cannot be read ({error})", retry_after=5) from error
    events = [_event(json.loads(record), mask or plain) for record, plain, mask in rows]
    return StreamsAnswer(
        streams={name: count for name, count, _ in counts},
        going_on=sum(each for *_, each in counts),
        events=events,
    )


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
