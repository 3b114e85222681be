"""Jobs and their scores so far, in a database: what a restart must not lose."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lavida.database import import_sqlalchemy, settle_sqlite, sqlite_at
from lavida.errors import InputError, reason, writing_to

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

DATABASE = "lavida-serve.sqlite"
BUSY_MS = 10_000  # to wait for another writer
NEVER_ENDED = "it was started {} times and never came to an end; see the server's log, or try a shorter video"

State = Literal["queued", "running", "done", "failed", "cancelled"]
Seen = tuple[int, int]  # a video, as it was when it was analysed: its bytes, and when it was changed, in nanoseconds
Scores = dict[str, Any]  # of a clip: frames, times, scores `[T]`, category_scores `[T, K]`, masks as in `masks.json`


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One video and the words that are looked for in it; times are seconds since 1970.

    Attributes:
        id: random.
        name: of the video, as people call it.
        path: where it lies.
        uploaded: whether it is the server's own file, to be removed with its last job.
        plays: whether browsers play it as it is, at the times that the scores have.
        frames: scored so far.
        expected: the announced number of frames, often wrong.
        run: names one start of it: what an earlier one still reports does not count.
    """

    id: str
    name: str
    path: str
    uploaded: bool
    plays: bool
    width: int
    height: int
    fps: float
    expected: int | None
    anomalies: tuple[str, ...]
    threshold: float
    stride: int | None
    priority: int = 0
    state: State = "queued"
    message: str | None = None
    created: float = 0.0
    started: float | None = None
    reported: float | None = None
    finished: float | None = None
    frames: int = 0
    starts: int = 0
    run: str | None = None


class Store:
    """The database of a server; may be used by several threads, and by its worker process at the same time.

    Args:
        data: the folder of the server, where SQLite lies unless another database is named.
        database: SQLAlchemy's URL.

    Attributes:
        faults: what every method raises while the database does not answer.

    Raises:
        InputError: SQLAlchemy is not installed, or the database cannot be opened.
    """

    def __init__(self, data: Path, *, database: str | None = None) -> None:
        sa = import_sqlalchemy(extra="serve")
        with writing_to(data):
            data.mkdir(parents=True, exist_ok=True)
        self._sa, metadata = sa, sa.MetaData()
        # not DBAPIError: what is wrong with a statement is a defect, which would come again and again
        self.faults: tuple[type[Exception], ...] = (
            sa.exc.OperationalError,
            sa.exc.InterfaceError,
            sa.exc.InternalError,
            sa.exc.TimeoutError,
        )
        kinds: dict[str, Any] = {"plays": sa.Boolean, "uploaded": sa.Boolean, "anomalies": sa.Text, "message": sa.Text}
        kinds |= dict.fromkeys(("width", "height", "expected", "stride", "priority", "frames", "starts"), sa.Integer)
        kinds |= dict.fromkeys(("fps", "threshold", "created", "started", "reported", "finished"), sa.Double)
        columns: list[Any] = [sa.Column(name, kinds.get(name, sa.String)) for name in _NAMES if name != "id"]
        self._jobs = sa.Table("jobs", metadata, sa.Column("id", sa.String, primary_key=True), *columns)
        self._clips = sa.Table(
            "clips",
            metadata,
            sa.Column("job", sa.String, primary_key=True),
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("scores", sa.Text, nullable=False),
        )
        # tables of their own: a database of an earlier lavida gets them, and it takes one that has them
        self._seen = sa.Table(
            "seen_videos",
            metadata,
            sa.Column("job", sa.String, primary_key=True),
            sa.Column("bytes", sa.BigInteger, nullable=False),
            sa.Column("modified_ns", sa.BigInteger, nullable=False),
        )
        self._leftovers = sa.Table(
            "leftovers",
            metadata,
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("place", sa.Text, nullable=False),
        )
        self._engine = self._opened(database or sqlite_at(data / DATABASE), metadata)

    def _opened(self, url: str | URL, metadata: Any) -> Engine:
        shown = "the database"  # its address may hold a password
        try:
            engine: Engine = self._sa.create_engine(url, pool_pre_ping=True)
            shown = engine.url.render_as_string(hide_password=True)
            if engine.dialect.name == "sqlite":
                if engine.url.database in (None, "", ":memory:"):
                    raise InputError("SQLite in memory is not seen by the process that works on the jobs: name a file")
                settle_sqlite(engine, synchronous="NORMAL", busy_ms=BUSY_MS)
            metadata.create_all(engine)
            self._check_columns(engine, metadata, shown)
        except (self._sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            fault = reason(getattr(error, "orig", None) or error)
            if shown == "the database":
                fault = "its address is not understood, or its driver is not installed"
            raise InputError(f"cannot keep jobs: {shown} ({fault}); check --database and --data") from error
        return engine

    def _check_columns(self, engine: Engine, metadata: Any, shown: str) -> None:
        """Refuse the tables of another lavida, or of another program, before anything is written to them."""
        inspector = self._sa.inspect(engine)
        for table in metadata.sorted_tables:
            there, known = {each["name"] for each in inspector.get_columns(table.name)}, set(table.columns.keys())
            if there != known:
                differs = ", ".join(sorted(there ^ known))
                raise InputError(
                    f"{shown} is that of a newer or older lavida, or of something else (its table {table.name} differs "
                    f"in {differs}): give another --data or --database, or install the lavida that made it"
                )

    def add(self, job: Job) -> Job:
        """Put a job into the queue; gives it back with its time."""
        values = asdict(job) | {"anomalies": json.dumps(job.anomalies), "created": time.time()}
        with self._engine.begin() as connection:
            connection.execute(self._jobs.insert().values(**values))
            connection.execute(self._leftovers.delete().where(self._leftovers.c.place == job.path))
            return self._one(connection, job.id)

    def get(self, id: str) -> Job | None:
        """A job, or None if there is none."""
        with self._engine.begin() as connection:
            row = connection.execute(self._sa.select(self._jobs).where(self._jobs.c.id == id)).mappings().first()
        return None if row is None else _job(row)

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        query = self._sa.select(self._jobs).order_by(self._jobs.c.created.desc(), self._jobs.c.id)
        with self._engine.begin() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def count(self, *states: State) -> int:
        """How many jobs are in one of these states, or in any."""
        query = self._sa.select(self._sa.func.count()).select_from(self._jobs)
        if states:
            query = query.where(self._jobs.c.state.in_(states))
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def ahead(self, job: Job) -> int:
        """How many jobs are worked on before a queued one."""
        c = self._jobs.c
        earlier = (c.priority > job.priority) | ((c.priority == job.priority) & (c.created < job.created))
        query = self._sa.select(self._sa.func.count()).select_from(self._jobs)
        query = query.where((c.state == "running") | ((c.state == "queued") & earlier))
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def claim(self) -> Job | None:
        """Start the queued job of the highest priority, the oldest of those; None if nothing is queued."""
        c, now = self._jobs.c, time.time()
        query = self._sa.select(c.id).where(c.state == "queued").order_by(c.priority.desc(), c.created, c.id).limit(1)
        with self._engine.begin() as connection:
            id = connection.execute(query).scalar()
            if id is None:
                return None
            values = {"state": "running", "run": uuid.uuid4().hex, "started": now, "reported": now, "frames": 0}
            change = self._jobs.update().where(c.id == id, c.state == "queued")
            taken = connection.execute(change.values(**values, message=None, starts=c.starts + 1)).rowcount
            if not taken:  # cancelled meanwhile
                return None
            connection.execute(self._clips.delete().where(self._clips.c.job == id))
            return self._one(connection, id)

    def report(self, job: Job, number: int, scores: Scores) -> bool:
        """Keep the scores of clip `number` of a running job. False: it was cancelled or removed, and should end."""
        frames = int(scores["frames"][-1]) + 1
        with self._engine.begin() as connection:
            if not self._change(connection, job, frames=frames, reported=time.time()):
                return False
            connection.execute(self._clips.insert().values(job=job.id, number=number, scores=json.dumps(scores)))
        return True

    def alive(self, job: Job) -> bool:
        """Say that a job is still worked on. False: it should end."""
        with self._engine.begin() as connection:
            return self._change(connection, job, reported=time.time())

    def finish(self, job: Job, state: State, *, message: str | None = None, frames: int | None = None) -> bool:
        """End a running job. False: it has been ended by others."""
        counted = {} if frames is None else {"frames": frames, "expected": frames}
        with self._engine.begin() as connection:
            return self._change(connection, job, state=state, message=message, finished=time.time(), **counted)

    def _change(self, connection: Connection, job: Job, **values: Any) -> bool:
        c = self._jobs.c
        change = self._jobs.update().where(c.id == job.id, c.run == job.run, c.state == "running")
        return bool(connection.execute(change.values(**values)).rowcount)

    def cancel(self, id: str) -> bool:
        """End a job that is queued or running; its worker notices. False: it is neither."""
        c = self._jobs.c
        change = self._jobs.update().where(c.id == id, c.state.in_(("queued", "running")))
        with self._engine.begin() as connection:
            return bool(connection.execute(change.values(state="cancelled", finished=time.time())).rowcount)

    def remove(self, id: str, *, leaves: Sequence[Path] = ()) -> None:
        """Forget a job and its scores; what it leaves behind is kept in mind, see `leftovers`."""
        with self._engine.begin() as connection:
            connection.execute(self._clips.delete().where(self._clips.c.job == id))
            connection.execute(self._seen.delete().where(self._seen.c.job == id))
            connection.execute(self._jobs.delete().where(self._jobs.c.id == id))
            for place in leaves:
                connection.execute(self._leftovers.insert().values(place=str(place)))

    def may_be_left(self, place: Path) -> None:
        """Keep a file in mind that no job has yet: should the server end now, the next one removes it."""
        with self._engine.begin() as connection:
            connection.execute(self._leftovers.insert().values(place=str(place)))

    def leftovers(self) -> list[Path]:
        """Files and folders of jobs that are gone, or never were."""
        with self._engine.begin() as connection:
            return [Path(place) for place in connection.execute(self._sa.select(self._leftovers.c.place)).scalars()]

    def forget_leftovers(self, *, but: Sequence[Path] = ()) -> None:
        """They have been removed, but those that could not be."""
        stay = self._leftovers.c.place.in_([str(place) for place in but])
        with self._engine.begin() as connection:
            connection.execute(self._leftovers.delete().where(~stay))

    def keep_seen(self, id: str, seen: Seen) -> None:
        """Keep which video a job is about."""
        with self._engine.begin() as connection:
            connection.execute(self._seen.delete().where(self._seen.c.job == id))
            connection.execute(self._seen.insert().values(job=id, bytes=seen[0], modified_ns=seen[1]))

    def seen(self, id: str) -> Seen | None:
        """Which video a job is about; None where that was not kept."""
        c = self._seen.c
        with self._engine.begin() as connection:
            row = connection.execute(self._sa.select(c.bytes, c.modified_ns).where(c.job == id)).first()
        return None if row is None else (int(row[0]), int(row[1]))

    def running(self) -> Job | None:
        """The job that is worked on; the latest one, as others can only have been left behind."""
        c = self._jobs.c
        query = self._sa.select(self._jobs).where(c.state == "running").order_by(c.started.desc()).limit(1)
        with self._engine.begin() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _job(row)

    def fail_waiting(self, message: str) -> None:
        """Fail whatever is queued, for nobody can work on it."""
        change = self._jobs.update().where(self._jobs.c.state == "queued")
        with self._engine.begin() as connection:
            connection.execute(change.values(state="failed", message=message, finished=time.time()))

    def start_again(self, *, tries: int) -> None:
        """Queue what is running while nobody works; what has been started so often and never ended has failed."""
        c, running = self._jobs.c, self._jobs.update().where(self._jobs.c.state == "running")
        given_up = {"state": "failed", "message": NEVER_ENDED.format(tries), "finished": time.time()}
        with self._engine.begin() as connection:
            connection.execute(running.where(c.starts >= tries).values(**given_up))
            connection.execute(running.where(c.starts < tries).values(state="queued", run=None))

    def scores(self, id: str, *, after: int = 0) -> list[Scores]:
        """The scores of a job's clips from clip number `after` on, in order."""
        c = self._clips.c
        query = self._sa.select(c.scores).where(c.job == id, c.number >= after).order_by(c.number)
        with self._engine.begin() as connection:
            return [json.loads(text) for text in connection.execute(query).scalars()]

    def uses(self, path: str) -> int:
        """How many jobs are about the video at this place."""
        query = self._sa.select(self._sa.func.count()).select_from(self._jobs).where(self._jobs.c.path == path)
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def _one(self, connection: Connection, id: str) -> Job:
        return _job(connection.execute(self._sa.select(self._jobs).where(self._jobs.c.id == id)).mappings().one())

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


_NAMES: Sequence[str] = [each.name for each in fields(Job)]


def _job(row: Mapping[Any, Any]) -> Job:
    return Job(**{**row, "anomalies": tuple(json.loads(row["anomalies"]))})
