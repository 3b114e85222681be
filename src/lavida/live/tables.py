"""The database of a watch: its tables, and how an older one gets the columns that have come since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavida.database import import_sqlalchemy, settle_sqlite, sqlite_at
from lavida.errors import InputError, reason

if TYPE_CHECKING:
    from sqlalchemy import Engine

DATABASE = "lavida.sqlite"
SNAPSHOTS = "snapshots"  # the folder of pictures beside it
BUSY_MS = 5000  # to wait for another writer


class Tables:
    """An open database.

    Args:
        folder: where it lies.

    Attributes:
        events: one row an event.
        outbox: one row for each thing that a receiver is to be told.

    Raises:
        InputError: SQLAlchemy is not installed, or the database cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        sa = self.sa = import_sqlalchemy(extra="live")
        metadata = sa.MetaData()
        self.events = sa.Table(
            "events",
            metadata,
            sa.Column("id", sa.String, primary_key=True),
            sa.Column("stream", sa.String, nullable=False),
            sa.Column("phase", sa.String, nullable=False),
            sa.Column("start_wall", sa.String, nullable=False),
            sa.Column("record", sa.Text, nullable=False),  # the latest one, as it was printed
            sa.Column("snapshot", sa.String),
            sa.Column("snapshot_mask", sa.String),
            sa.Column("clip", sa.String),
            # seconds since 1970
            sa.Column("clip_due", sa.Float),  # NULL: none is to be made
            sa.Column("alert_at", sa.Float),  # NULL: held back by the limit
            sa.Column("digest_at", sa.Float),  # when a digest told of it
            sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.text("0")),  # never removed
            sa.Index("events_clips", "clip_due"),
            sa.Index("events_alerts", "stream", "alert_at"),
        )
        self.outbox = sa.Table(
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
            sa.Index("outbox_waiting", "receiver", "delivered", "number"),
        )
        self.engine: Engine = sa.create_engine(sqlite_at(folder / DATABASE))
        settle_sqlite(self.engine, synchronous="FULL", busy_ms=BUSY_MS)
        try:
            self._check_own(folder / DATABASE)
            metadata.create_all(self.engine)
            self._add_columns()
        except sa.exc.DBAPIError as error:
            said = reason(error.orig or error)
            raise InputError(f"cannot keep events: {folder / DATABASE} ({said}); choose another --data") from error

    def _check_own(self, path: Path) -> None:
        """Raises InputError for a database of another program, before anything is changed in it."""
        inspector = self.sa.inspect(self.engine)
        there, own = set(inspector.get_table_names()), [self.events, self.outbox]
        if not there and not inspector.get_view_names():
            return
        known = self.events.name in there
        for table in own if known else []:
            if table.name in there:
                columns = {column["name"] for column in inspector.get_columns(table.name)}
                # what has come since the first version can be added: it may be empty, or has a default
                known &= all(each.name in columns or each.nullable or each.server_default for each in table.columns)
        if not known:
            raise InputError(f"a database of another program: {path}; choose another --data")

    def _add_columns(self) -> None:
        for table in (self.events, self.outbox):
            there = {column["name"] for column in self.sa.inspect(self.engine).get_columns(table.name)}
            for column in table.columns:
                if column.name not in there:
                    kind = self.sa.schema.CreateColumn(column).compile(self.engine)
                    with self.engine.begin() as connection:
                        connection.execute(self.sa.text(f"ALTER TABLE {table.name} ADD COLUMN {kind}"))

    def insert(self, table: Any) -> Any:
        """An insertion that may say what to do where the row is there already."""
        from sqlalchemy.dialects.sqlite import insert

        return insert(table)
