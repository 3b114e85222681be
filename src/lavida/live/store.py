"""What a watch keeps in its folder: events and an outbox in SQLite, and snapshots beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavida.errors import InputError, reason, writing_to
from lavida.live.outbox import Outbox
from lavida.live.pictures import Pictured, written
from lavida.live.records import Record, clock_time, seconds_of
from lavida.live.tables import DATABASE, SNAPSHOTS, Tables

if TYPE_CHECKING:
    from lavida.live.config import Clips

HOUR_S = 3600.0
MOST_IDS = 100  # of events that a digest names


@dataclass(frozen=True, slots=True)
class ClipWanted:
    """A clip that is to be cut; times are seconds since 1970."""

    event: str
    stream: str
    begin: float
    end: float
    due: float


class Store:
    """The folder of `--data`. May be used by several threads.

    Args:
        folder: is made.
        receivers: names of those that events are sent to, each with the phases that it is told of.
        unlimited: those among them that hear of every event.
        alerts_per_hour: how many events of a stream the others are told of within an hour; None: all.
        clips: how clips are cut; None: none are.

    Attributes:
        outbox: what is still to be sent.

    Raises:
        InputError: SQLAlchemy is not installed, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        receivers: Mapping[str, Sequence[str]] | None = None,
        unlimited: Collection[str] = (),
        alerts_per_hour: int | None = None,
        clips: Clips | None = None,
    ) -> None:
        self.folder, self._limit, self._clips = Path(folder), alerts_per_hour, clips
        with writing_to(folder):
            (self.folder / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
        self.tables = Tables(self.folder)
        self._sa, self._events = self.tables.sa, self.tables.events
        self.outbox = Outbox(self.tables, receivers or {}, unlimited=unlimited)

    def left_open(self, going_on: Collection[str], *, say: Callable[[str], object]) -> dict[str, Record]:
        """The events that were open when the process was killed, by their streams, for those that may go on.

        Others are closed with what was stored of them.

        Args:
            going_on: names of streams that are watched again.
            say: takes a line for people, of one that can be neither read nor closed.
        """
        events = self._events
        with self.tables.engine.begin() as connection:
            query = self._sa.select(events).where(events.c.phase != "end").order_by(events.c.start_wall.desc())
            rows = connection.execute(query).all()
        open_events: dict[str, Record] = {}
        for row in rows:
            try:
                record = json.loads(row.record)
                record.setdefault("latest_s", record["peak_s"])
                closed = _closed(record)
            except (ValueError, KeyError, TypeError, AttributeError):  # somebody has changed it by hand
                say(f"event {row.id} of {row.stream} cannot be read and is left as it is: {self.folder / DATABASE}")
                continue
            if row.stream in going_on and row.stream not in open_events:
                open_events[row.stream] = record
                continue
            try:
                self.keep(closed, None)
            except InputError as error:  # the next start may find room
                say(f"event {row.id} of {row.stream} stays open: {error}")
        return open_events

    def keep(self, record: Record, moment: Pictured | None) -> None:
        """Keep the newest record of an event, a snapshot of it, and letters for those who should know, in one step.

        Raises:
            InputError: the disk is full or cannot be written. Where only pictures cannot, the rest has been kept.
        """
        fault, pictures = None, dict[str, str]()
        try:
            with writing_to(self.folder / SNAPSHOTS):
                pictures = {} if moment is None else written(self.folder, record["id"], moment.jpegs(record))
        except InputError as error:
            fault = error
        try:
            with self.tables.engine.begin() as connection:
                self._keep_row(connection, record, pictures, now=time.time())
        except self._sa.exc.DBAPIError as error:
            raise InputError(f"cannot keep events: {self.folder} ({reason(error.orig or error)})") from error
        if fault is not None:
            raise fault

    def _keep_row(self, connection: Any, record: Record, pictures: dict[str, str], *, now: float) -> None:
        event, stream, phase, events = record["id"], record["stream"], record["phase"], self._events
        this = events.c.id == event
        known = connection.execute(self._sa.select(events).where(this)).first()
        alert_at = known.alert_at if known is not None else (now if self._has_room(connection, stream, now) else None)
        row = {"stream": stream, "phase": phase, "start_wall": record["start_wall"], "record": json.dumps(record)}
        row |= {**pictures, "alert_at": alert_at}
        if self._clips is not None and (known is None or known.clip is None):
            _, row["clip_due"] = _clip_ends(record, self._clips)
        new = self.tables.insert(events).values(id=event, **row)
        connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=row))
        kept = connection.execute(self._sa.select(events).where(this)).one()
        body, held_back = record | _pictures(kept), alert_at is None
        self.outbox.put(connection, f"{event}-{phase}", body, phase=phase, now=now, held_back=held_back)

    def _has_room(self, connection: Any, stream: str, now: float) -> bool:
        """Whether the limit of alerts lets another one of the stream through."""
        if self._limit is None:
            return True
        events = self._events
        query = self._sa.select(self._sa.func.count()).select_from(events)
        query = query.where(events.c.stream == stream, events.c.alert_at > now - HOUR_S)
        return int(connection.execute(query).scalar_one()) < self._limit

    def digest(self, *, now: float) -> list[Record]:
        """Tell of what the limit held back, once there is room again or an hour has passed; once an hour at most."""
        events, found = self._events, list[Record]()
        if self._limit is None:
            return found
        held = self._sa.and_(events.c.alert_at.is_(None), events.c.digest_at.is_(None), events.c.phase == "end")
        latest = self._sa.func.max(events.c.digest_at)
        with self.tables.engine.begin() as connection:
            rows = connection.execute(self._sa.select(events).where(held).order_by(events.c.start_wall)).all()
            for stream in dict.fromkeys(row.stream for row in rows):
                told = connection.execute(self._sa.select(latest).where(events.c.stream == stream)).scalar_one()
                of_stream = [row for row in rows if row.stream == stream]
                waited_s = now - seconds_of(of_stream[0].start_wall)
                if now - (told or 0.0) < HOUR_S or not (self._has_room(connection, stream, now) or waited_s > HOUR_S):
                    continue
                record = _digest(stream, [json.loads(row.record) for row in of_stream])
                ids = [row.id for row in of_stream]
                connection.execute(events.update().where(events.c.id.in_(ids)).values(digest_at=now))
                self.outbox.put(connection, f"digest-{ids[0]}", record, phase="digest", now=now)
                found.append(record)
        return found

    def clips_due(self, *, now: float) -> list[ClipWanted]:
        """The clips whose seconds have passed."""
        events, clips = self._events, self._clips
        if clips is None:
            return []
        with self.tables.engine.begin() as connection:
            query = self._sa.select(events).where(events.c.clip.is_(None), events.c.clip_due <= now)
            rows = connection.execute(query.order_by(events.c.clip_due)).all()
        return [
            ClipWanted(row.id, row.stream, *_clip_ends(json.loads(row.record), clips), row.clip_due) for row in rows
        ]

    def clip_made(self, event: str, path: str | None, *, now: float) -> None:
        """Note where the clip of an event is, None where there is none to be had, and tell those who want to know."""
        events = self._events
        this = events.c.id == event
        with self.tables.engine.begin() as connection:
            connection.execute(events.update().where(this).values(clip=path, clip_due=None))
            row = connection.execute(self._sa.select(events).where(this)).first()
            if row is not None and path is not None:
                body = json.loads(row.record) | {"phase": "clip", "clip": path} | _pictures(row)
                held_back = row.alert_at is None
                self.outbox.put(connection, f"{event}-clip", body, phase="clip", now=now, held_back=held_back)

    def events(self) -> list[dict[str, Any]]:
        """The latest record of every event, oldest first, with the paths of its pictures and clip below the folder."""
        query = self._sa.select(self._events).order_by(self._events.c.start_wall)
        with self.tables.engine.begin() as connection:
            rows = connection.execute(query).all()
        return [json.loads(row.record) | _pictures(row) | {"clip": row.clip} for row in rows]

    def close(self) -> None:
        """Let go of the database."""
        self.tables.engine.dispose()


def _closed(record: Record) -> Record:
    """The record of an event that was open at a kill, as it ends where it does not go on."""
    end_s = record["latest_s"]
    end_wall = clock_time(seconds_of(record["start_wall"]) + end_s - record["start_s"])
    return record | {"phase": "end", "end_s": end_s, "end_wall": end_wall, "interrupted": True}


def _pictures(row: Any) -> dict[str, str | None]:
    return {"snapshot": row.snapshot, "snapshot_mask": row.snapshot_mask}


def _digest(stream: str, records: Sequence[Record]) -> Record:
    categories: dict[str, int] = {}
    for record in records:
        categories[record["category"]] = categories.get(record["category"], 0) + 1
    highest = max(records, key=lambda record: float(record["peak_score"]))
    return {
        "type": "digest",
        "stream": stream,
        "held_back": len(records),
        "categories": categories,
        "peak_score": highest["peak_score"],
        "first_wall": records[0]["start_wall"],
        "last_wall": records[-1]["end_wall"],
        "ids": [record["id"] for record in records[:MOST_IDS]],
        "wall": clock_time(time.time()),
    }


def _clip_ends(record: Record, clips: Clips) -> tuple[float, float]:
    """From when until when a clip of an event goes, as far as it is known; it is cut when the end has passed."""
    start = seconds_of(record["start_wall"])
    longest = start + clips.longest_s
    end = longest if record["end_wall"] is None else min(seconds_of(record["end_wall"]) + clips.after_s, longest)
    return start - clips.before_s, end
