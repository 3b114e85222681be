"""What each stream is like now: newest scores, health and a picture in a small database, for whoever looks on."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections import deque
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavida.errors import reason
from lavida.live.records import Record, seconds_of

if TYPE_CHECKING:
    from lavida.live.plan import Plan, WatchSettings
    from lavida.live.stream import LiveFrame

LATEST = "latest.sqlite"
LOOKED = "latest.looked"  # touched by whoever looks
EVERY_S, SELDOM_S = 1.0, 5.0  # how often it is written while somebody looks, and else, which is kind to flash memory
PICTURE_S, SELDOM_PICTURE_S = 3.0, 60.0  # between two pictures of a stream
LOOKS_S, TOUCH_S = 60.0, 10.0  # so long after the last touch somebody still looks; so often it is enough to touch
KEPT_S, MOST_KEPT = 600.0, 200_000  # scores of all streams: how old, how many
MOST_WAITING = 20_000  # scores that wait for a disk that hangs
PICTURE_WIDTH, JPEG_QUALITY = 640, 80
LEAVE_S = 5.0
VERSION = 1  # of the tables
_TABLES = """
CREATE TABLE IF NOT EXISTS watch (one INTEGER PRIMARY KEY CHECK (one = 1), beat REAL, over INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS streams (name TEXT PRIMARY KEY, place INTEGER NOT NULL, settings TEXT NOT NULL,
    health TEXT, score REAL, picture BLOB, picture_at REAL, gone_at REAL);
CREATE TABLE IF NOT EXISTS scores (number INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, at REAL NOT NULL,
    score REAL NOT NULL, by_word TEXT NOT NULL);
"""
_log = logging.getLogger(__name__)


class Latest:
    """Takes what a watch tells, and writes it in a thread of its own: every second while somebody looks.

    Nothing in it has to outlive a power cut, so that no disk is waited for; where it cannot be written it is left out.

    Args:
        folder: where the database lies.
        every_s: how often it is written while somebody looks.
    """

    def __init__(self, folder: Path, *, every_s: float = EVERY_S) -> None:
        self.path, self._looked, self._every_s = folder / LATEST, folder / LOOKED, every_s
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lavida-latest", daemon=True)
        self._database: sqlite3.Connection | None = None
        self._settings: dict[str, str] = {}
        self._changed = False  # the settings, since they were written
        self._scores: deque[tuple[str, float, float, str]] = deque(maxlen=MOST_WAITING)
        self._health: dict[str, str] = {}
        self._frames: dict[str, LiveFrame] = {}
        self._pictured: dict[str, float] = {}
        self._fault: str | None = None

    def start(self, plan: Plan) -> None:
        """Begin to write, of the streams of a plan."""
        self.follow(plan)
        self._thread.start()

    def follow(self, plan: Plan) -> None:
        """Tell of the streams of another plan; what is known of streams that it lacks goes after a while."""
        with self._lock:
            self._settings = {name: json.dumps(_told(planned.settings)) for name, planned in plan.items()}
            self._changed = True
            self._pictured = {name: at for name, at in self._pictured.items() if name in plan}

    def tell(self, record: Record) -> None:
        """Take a record of a watch."""
        stream = record["stream"]
        with self._lock:
            if record["type"] == "score":
                by_word = json.dumps(record["scores"])
                self._scores.append((stream, seconds_of(record["wall"]), record["score"], by_word))
            elif record["type"] == "health":
                self._health[stream] = json.dumps(record)

    def look(self, stream: str, live: LiveFrame) -> None:
        """Take the newest frame of a stream; only some become pictures."""
        self._frames[stream] = live

    def close(self) -> None:
        """Write the last of it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)
        if not self._thread.is_alive():  # else its disk hangs
            self.write(now=time.time(), over=True)
            if self._database is not None:
                self._database.close()

    def _run(self) -> None:
        written = -SELDOM_S
        while not self._stop.wait(self._every_s):
            if self._somebody_looks(time.time()) or time.monotonic() - written >= SELDOM_S:
                written = time.monotonic()
                self.write(now=time.time())

    def _somebody_looks(self, now: float) -> bool:
        try:
            return now - self._looked.stat().st_mtime < LOOKS_S
        except OSError:
            return False

    def write(self, *, now: float, over: bool = False) -> None:
        """Write what has come; a fault is logged once, and what could not be written is left out."""
        with self._lock:
            scores, self._scores = list(self._scores), deque(maxlen=MOST_WAITING)
            health, self._health = self._health, {}
            settings, self._changed = (self._settings if self._changed else None), False
        try:
            self._write(scores, health, settings, now=now, over=over)
        except (sqlite3.Error, OSError) as error:
            with self._lock:  # the newest state is wanted, however late
                self._health = health | self._health
                self._changed = self._changed or settings is not None
            self._renew(error)
            if self._fault != (said := reason(error)):
                self._fault = said
                _log.warning("the newest scores are not kept for the page: %s (%s)", self.path, said)
        else:
            self._fault = None

    def _renew(self, error: Exception) -> None:
        """After a fault begin with a new connection, and where the file itself is broken with a new file."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            for ending in ("", "-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{self.path}{ending}").unlink(missing_ok=True)
            with self._lock:
                self._changed = True

    def _write(
        self,
        scores: list[tuple[str, float, float, str]],
        health: dict[str, str],
        settings: dict[str, str] | None,
        *,
        now: float,
        over: bool,
    ) -> None:
        if self._database is None:
            self._database = _opened(self.path)
        with self._database as database:  # one transaction
            if settings is not None:
                database.execute("CREATE TEMP TABLE IF NOT EXISTS known (name TEXT)")
                database.execute("DELETE FROM known")
                database.executemany("INSERT INTO known VALUES (?)", [(name,) for name in settings])
                gone = "gone_at IS NULL AND name NOT IN (SELECT name FROM known)"
                database.execute(f"UPDATE streams SET gone_at = ? WHERE {gone}", (now,))
                database.executemany(
                    "INSERT INTO streams (name, place, settings) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                    "SET place = excluded.place, settings = excluded.settings, gone_at = NULL",
                    [(name, place, told) for place, (name, told) in enumerate(settings.items())],
                )
            database.executemany("INSERT INTO scores (stream, at, score, by_word) VALUES (?, ?, ?, ?)", scores)
            told = [(record, name) for name, record in health.items()]
            database.executemany("UPDATE streams SET health = ? WHERE name = ?", told)
            newest = {stream: (score, stream) for stream, _, score, _ in scores}
            database.executemany("UPDATE streams SET score = ? WHERE name = ?", newest.values())
            for name, picture in self._pictures(now):
                database.execute("UPDATE streams SET picture = ?, picture_at = ? WHERE name = ?", (picture, now, name))
            database.execute("DELETE FROM streams WHERE gone_at < ?", (now - KEPT_S,))
            database.execute("DELETE FROM scores WHERE at < ?", (now - KEPT_S,))
            database.execute("DELETE FROM scores WHERE number <= (SELECT max(number) FROM scores) - ?", (MOST_KEPT,))
            database.execute("INSERT OR REPLACE INTO watch VALUES (1, ?, ?)", (now, over))

    def _pictures(self, now: float) -> list[tuple[str, bytes]]:
        found, every_s = [], PICTURE_S if self._somebody_looks(now) else SELDOM_PICTURE_S
        for name in [name for name in list(self._frames) if not 0 <= now - self._pictured.get(name, 0) < every_s]:
            picture = _jpeg(self._frames.pop(name))
            self._pictured[name] = now
            found += [(name, picture)] if picture is not None else []
        return found


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=1, check_same_thread=False)
    try:
        for line in ("journal_mode=WAL", "synchronous=OFF", "journal_size_limit=4194304"):
            database.execute(f"PRAGMA {line}")
        if database.execute("PRAGMA user_version").fetchone() != (VERSION,):  # of another lavida: nothing of worth
            for table in ("watch", "streams", "scores"):
                database.execute(f"DROP TABLE IF EXISTS {table}")
        database.executescript(f"{_TABLES} PRAGMA user_version = {VERSION};")
    except BaseException:
        database.close()
        raise
    return database


def _jpeg(live: LiveFrame) -> bytes | None:
    """The frame in the shape in which it is displayed."""
    if live.frame.image is None:
        return None
    import cv2

    from lavida.live.pictures import jpeg

    height, width = live.size
    size = (min(width, PICTURE_WIDTH), max(1, round(height * min(width, PICTURE_WIDTH) / width)))
    try:
        picture = cv2.resize(live.frame.image, size, interpolation=cv2.INTER_AREA)
        return jpeg(picture, quality=JPEG_QUALITY)
    except (OSError, cv2.error):
        return None


def _told(settings: WatchSettings) -> dict[str, Any]:
    from lavida.live.regions import outlines

    return {
        "words": list(settings.categories),
        "threshold": settings.events.threshold,
        "regions": outlines(settings.regions.only),
        "ignore": outlines(settings.regions.ignore),
    }


def reading(path: Path, *, table: str) -> sqlite3.Connection | None:
    """A database of a watch, to be read alone and closed.

    Args:
        path: of the database.
        table: the last one that is made.

    Returns:
        None where there is no such database, or one that is just being made.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if not path.is_file():
        return None
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None:
            return database
    except BaseException:
        database.close()
        raise
    database.close()
    return None


def read_streams(folder: Path) -> tuple[float | None, list[dict[str, Any]]]:
    """When a watch has last written, in seconds since 1970, None if it has ended; and its streams in their order.

    Returns:
        For each stream `name`, `words`, `threshold`, `regions`, `ignore`, `health` (its record or None), `score` (the
        newest or None), `picture_at`, and `gone`: it was watched until lately.

    Raises:
        sqlite3.Error: it cannot be read now.
    """
    database = reading(folder / LATEST, table="scores")
    if database is None:
        return None, []
    with closing(database):
        row = database.execute("SELECT beat FROM watch WHERE NOT over").fetchone()
        query = "SELECT name, settings, health, score, picture_at, gone_at FROM streams ORDER BY place"
        rows = database.execute(query).fetchall()
    streams = [
        {"name": name, "health": health and json.loads(health), "score": score, "picture_at": at}
        | {"gone": gone_at is not None}
        | json.loads(settings)
        for name, settings, health, score, at, gone_at in rows
    ]
    return (row[0] if row else None), streams


def look_on(folder: Path) -> None:
    """Tell a watch that somebody looks; it writes more often then."""
    place = folder / LOOKED
    with suppress(OSError):  # it is seen a little later
        if not place.exists() or time.time() - place.stat().st_mtime >= TOUCH_S:
            place.touch()


def read_scores(
    folder: Path, *, after: int, stream: str | None = None
) -> tuple[int, list[tuple[str, float, float, dict[str, float]]]]:
    """Scores from behind number `after` on, and the number of the last one, 0 where there is none at all.

    Args:
        folder: of the watch.
        after: 0 for all.
        stream: only those of this one.

    Returns:
        Stream, seconds since 1970, score, and score by word of each.

    Raises:
        sqlite3.Error: it cannot be read now.
    """
    database = reading(folder / LATEST, table="scores")
    if database is None:
        return 0, []
    with closing(database):
        (last,) = database.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
        query = "SELECT stream, at, score, by_word FROM scores WHERE number > ? AND stream = coalesce(?, stream)"
        rows = database.execute(f"{query} AND number <= ? ORDER BY number", (after, stream, last)).fetchall()
    return int(last), [(name, at, score, json.loads(by_word)) for name, at, score, by_word in rows]


def read_picture(folder: Path, stream: str) -> bytes | None:
    """The newest picture of a stream, a JPEG. Raises sqlite3.Error: it cannot be read now."""
    database = reading(folder / LATEST, table="scores")
    if database is None:
        return None
    with closing(database):
        row = database.execute("SELECT picture FROM streams WHERE name = ?", (stream,)).fetchone()
    return row[0] if row else None
