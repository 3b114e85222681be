"""How much of what was found stays on the disk: the oldest events go first, those that are to be kept stay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lavida.live.clips import CLIPS
from lavida.live.config import Keep
from lavida.live.records import clock_time
from lavida.live.store import Store
from lavida.live.tables import SNAPSHOTS

DAY_S, GIGABYTE = 86400.0, 1e9
PARTIAL_S = 3600.0  # what a kill left half-written is that old
FILES = ("snapshot", "snapshot_mask", "clip")


def sweep(store: Store, keep: Keep, *, now: float) -> int:
    """Remove events that are over, with their pictures and clips, until the limits hold.

    Files go first: on a full disk the database can forget nothing before there is room again.

    Args:
        store: what is kept.
        keep: the limits.
        now: seconds since 1970.

    Returns:
        How many events were removed.
    """
    _clear_partial(store.folder, now)
    sa, events, gone = store.tables.sa, store.tables.events, list[str]()
    query = sa.select(events).where(events.c.phase == "end", events.c.kept.is_(sa.false()))
    with store.tables.engine.begin() as connection:
        rows = connection.execute(query.order_by(events.c.start_wall)).all()
    oldest = None if keep.days is None else clock_time(max(now - keep.days * DAY_S, 0))
    most = None if keep.gigabytes is None else keep.gigabytes * GIGABYTE
    total = _size(store.folder) if most is not None else 0
    for row in rows:
        files = [store.folder / name for name in map(partial(getattr, row), FILES) if name]
        # files without a row were removed on a full disk, which could not be told of the row then
        lost = bool(files) and not any(file.exists() for file in files)
        if not (lost or (oldest is not None and row.start_wall < oldest) or (most is not None and total > most)):
            break
        total -= _remove(files)
        gone.append(row.id)
    if gone:
        with store.tables.engine.begin() as connection:
            connection.execute(events.delete().where(events.c.id.in_(gone)))
    store.outbox.forget(now=now)
    return len(gone)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for name in (SNAPSHOTS, CLIPS) for path in _files(folder / name))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _remove(files: Sequence[Path]) -> int:
    """Remove files; how large they were."""
    removed = 0
    for path in files:
        if path.exists():
            removed += path.stat().st_size
            path.unlink()
    return removed


def _clear_partial(folder: Path, now: float) -> None:
    for name in (SNAPSHOTS, CLIPS):
        for path in _files(folder / name):
            if path.name.startswith(".lavida-") and now - path.stat().st_mtime > PARTIAL_S:
                path.unlink(missing_ok=True)
