"""What the databases of `watch` and `serve` share: SQLAlchemy when it is needed, and SQLite that survives kills."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavida.errors import needed

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine


def import_sqlalchemy(*, extra: str) -> Any:
    """The module. Raises InputError, with the extra of lavida that brings it, where it is not installed."""
    return needed("sqlalchemy", extra=extra)


def sqlite_at(path: Path) -> URL:
    """The address of a file of SQLite, whatever its path holds: a `?` would end it in one that is written out."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path))


def settle_sqlite(engine: Engine, *, synchronous: str, busy_ms: int) -> None:
    """A kill at any moment leaves a whole database, and a writer does not stop readers.

    Args:
        engine: of SQLite, not yet connected.
        synchronous: `FULL` keeps each change over a power cut, `NORMAL` may lose the latest.
        busy_ms: how long to wait for another writer.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def settle(connection: Any, record: object) -> None:
        for line in ("journal_mode=WAL", f"synchronous={synchronous}", f"busy_timeout={busy_ms}"):
            connection.execute(f"PRAGMA {line}")
