"""What a watch keeps in its folder: events and an outbox in SQLite, and snapshots beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lavida.database import import_sqlalchemy, settle_sqlite
from lavida.errors import InputError, reason, writing_to
from lavida.files import atomic_file
from lavida.live.records import Record

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from lavida.live.watch import Moment

DATABASE, SNAPSHOTS = "lavida.sqlite", "snapshots"
MASK_COLOUR, MASK_SHARE = (255, 40, 40), 0.45
JPEG_QUALITY = 90
BUSY_MS = 5000  # to wait for another writer


@dataclass(frozen=True, slots=True)
class Letter:
    """One thing to be delivered to one receiver.

    Attributes:
        number: in the outbox.
        key: the same for every try, and for nothing else.
        body: JSON.
        tries: so far.
    """

    number: int
    key: str
    body: str
    tries: int


class Store:
    """The folder of `--data`. May be used by several threads.

    Args:
        folder: is made.
        receivers: names of those that events are sent to, each with the phases that it is told of.

    Raises:
        InputError: SQLAlchemy is not installed, or the folder cannot be written.
    """

    def __init__(self, folder: Path, *, receivers: dict[str, Sequence[str]] | None = None) -> None:
        sa = import_sqlalchemy(extra="live")
        self.folder, self._receivers = Path(folder), receivers or {}
        with writing_to(folder):
            (self.folder / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
        self._sa, metadata = sa, sa.MetaData()
        self._events = sa.Table(
            "events",
            metadata,
            sa.Column("id", sa.String, primary_key=True),
            sa.Column("stream", sa.String, nullable=False),
            sa.Column("phase", sa.String, nullable=False),
            sa.Column("start_wall", sa.String, nullable=False),
            sa.Column("record", sa.Text, nullable=False),  # the latest one, as it was printed
            sa.Column("snapshot", sa.String),
            sa.Column("snapshot_mask", sa.String),
        )
        self._outbox = sa.Table(
            "outbox",
            metadata,
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("receiver", sa.String, nullable=False),
            sa.Column("key", sa.String, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            sa.Column("tries", sa.Integer, nullable=False, default=0),
            sa.Column("due", sa.Float, nullable=False),  # seconds since 1970
            sa.Column("delivered", sa.Float),
            sa.Column("fault", sa.String),
            sa.UniqueConstraint("receiver", "key"),
        )
        self._engine = self._opened(metadata)
        self._close_left_open()

    def _opened(self, metadata: Any) -> Engine:
        engine: Engine = self._sa.create_engine(f"sqlite:///{self.folder / DATABASE}")
        settle_sqlite(engine, synchronous="FULL", busy_ms=BUSY_MS)
        try:
            metadata.create_all(engine)
        except self._sa.exc.DBAPIError as error:
            place = self.folder / DATABASE
            raise InputError(
                f"cannot keep events: {place} ({reason(error.orig or error)}); choose another --data"
            ) from error
        return engine

    def _close_left_open(self) -> None:
        """Events that were going on when the process was killed end with what was stored of them."""
        with self._engine.begin() as connection:
            rows = connection.execute(self._sa.select(self._events).where(self._events.c.phase != "end")).all()
        for row in rows:
            record = json.loads(row.record)
            end_s, end_wall = record["peak_s"], record["wall"]
            self.keep(record | {"phase": "end", "end_s": end_s, "end_wall": end_wall, "interrupted": True}, None)

    def keep(self, record: Record, moment: Moment | None) -> None:
        """Keep the newest record of an event, a snapshot of it, and letters for those who should know, in one step.

        Raises:
            InputError: the disk is full or cannot be written.
        """
        event = record["id"]
        pictures = {} if moment is None else self._snapshots(event, record, moment)
        row = {"stream": record["stream"], "phase": record["phase"], "start_wall": record["start_wall"]}
        row |= {"record": json.dumps(record), **pictures}
        from sqlalchemy.dialects.sqlite import insert

        try:
            with self._engine.begin() as connection:
                new = insert(self._events).values(id=event, **row)
                connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=row))
                kept = connection.execute(self._sa.select(self._events).where(self._events.c.id == event)).one()
                for receiver, phases in self._receivers.items():
                    if record["phase"] in phases:
                        body = record | {"snapshot": kept.snapshot, "snapshot_mask": kept.snapshot_mask}
                        key = f"{event}-{record['phase']}"
                        letter = insert(self._outbox).values(
                            receiver=receiver, key=key, body=json.dumps(body), tries=0, due=time.time()
                        )
                        connection.execute(letter.on_conflict_do_nothing())
        except self._sa.exc.DBAPIError as error:
            raise InputError(f"cannot keep events: {self.folder} ({reason(error.orig or error)})") from error

    def _snapshots(self, event: str, record: Record, moment: Moment) -> dict[str, str]:
        """Pictures of the first frame told of, and later of the peak, where it is that frame."""
        if record["phase"] != "start" and record["peak_s"] != moment.live.frame.time_s:
            return {}
        plain = moment.live.frame.image
        if plain is None:
            return {}
        drawn, (height, width) = plain.astype(np.float32), plain.shape[:2]
        for mask in moment.masks:
            area = cv2.resize(mask.pixels.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
            drawn[area] += MASK_SHARE * (np.array(MASK_COLOUR, np.float32) - drawn[area])
        names = {"snapshot": f"{SNAPSHOTS}/{event}.jpg", "snapshot_mask": f"{SNAPSHOTS}/{event}-mask.jpg"}
        for name, picture in zip(names.values(), (plain, drawn.astype(np.uint8)), strict=True):
            with atomic_file(self.folder / name) as partial:
                done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                if not done:
                    raise OSError("the picture cannot be coded")
                partial.write_bytes(data.tobytes())
        return names

    def events(self) -> list[dict[str, Any]]:
        """The latest record of every event, oldest first, with the paths of its snapshots below the folder."""
        query = self._sa.select(self._events).order_by(self._events.c.start_wall)
        with self._engine.begin() as connection:
            rows = connection.execute(query).all()
        return [json.loads(r.record) | {"snapshot": r.snapshot, "snapshot_mask": r.snapshot_mask} for r in rows]

    def due(self, receiver: str, *, now: float) -> Letter | None:
        """The oldest letter to a receiver that should be sent now; a later one never overtakes it."""
        box = self._outbox.c
        query = self._sa.select(self._outbox).where(box.receiver == receiver, box.delivered.is_(None))
        with self._engine.begin() as connection:
            row = connection.execute(query.order_by(box.number).limit(1)).first()
        if row is None or row.due > now:
            return None
        return Letter(row.number, row.key, row.body, row.tries)

    def delivered(self, letter: Letter, *, now: float) -> None:
        """Note that it has arrived."""
        self._note(letter, tries=letter.tries + 1, delivered=now, fault=None)

    def failed(self, letter: Letter, fault: str, *, again_at: float) -> None:
        """Note that it has not arrived, and when it should be sent again."""
        self._note(letter, tries=letter.tries + 1, due=again_at, fault=fault)

    def _note(self, letter: Letter, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._outbox.update().where(self._outbox.c.number == letter.number).values(**values))

    def waiting(self) -> int:
        """How many letters have not arrived yet."""
        query = self._sa.select(self._sa.func.count()).where(self._outbox.c.delivered.is_(None))
        with self._engine.begin() as connection:
            return int(connection.execute(query.select_from(self._outbox)).scalar_one())

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
