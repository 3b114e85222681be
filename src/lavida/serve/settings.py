"""What a server is told at its start, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lavida.live.profile import Profile

GIGABYTE = 2**30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server takes.

    Attributes:
        upload: bytes of one video.
        waiting: jobs that are queued or running; one more is refused until there is room.
        kept: jobs in all.
        disk: bytes below the data folder.
        free: bytes that stay free on its disk.
        length_s: of a video.
        side: displayed pixels of its longer side.
        memory: bytes of address space of a process that decodes.
        look_s: to open a video or fetch one frame; a process that takes longer is ended.
        film_s: to write a copy or an overlay.
        job_memory: bytes that a job may take beyond what the model takes.
        job_s: seconds that a job may take.
        silent_s: without news from a job that is worked on.
        tries: starts of a job that never ends, before it is given up.
        labels: verdicts of one job.
        streams: that the page may have watched.
        wrong_tokens: in a minute from one address, before it has to wait.
        requests: in a minute with one token, before it has to wait.
        new_jobs: of those.
    """

    upload: int = 2 * GIGABYTE
    waiting: int = 50
    kept: int = 1000
    disk: int = 50 * GIGABYTE
    free: int = GIGABYTE
    length_s: float = 6 * 3600.0
    side: int = 8192
    memory: int = 6 * GIGABYTE
    look_s: int = 30
    film_s: int = 3600
    job_memory: int = 6 * GIGABYTE
    job_s: float = 24 * 3600.0
    silent_s: float = 300.0
    tries: int = 3
    labels: int = 10_000
    streams: int = 64
    wrong_tokens: int = 10
    requests: int = 3000
    new_jobs: int = 120


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """One server.

    Attributes:
        data: its folder.
        folder: videos below it can be chosen by path; None: only uploads.
        host: the address that it listens at.
        port: its port.
        database: SQLAlchemy's URL; None: SQLite in `data`.
        model: what `lavida.load` takes.
        device: what `lavida.load` takes.
        streams: the configuration of the watch, which the page may change; None: it may not.
        allow_streams: hosts, or hosts with a port, of stream addresses that may be set there.
        profile: of `lavida calibrate`, for all jobs; None: scores as the model gives them.
        limits: see `Limits`.
    """

    data: Path
    folder: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    database: str | None = None
    model: str = "nano"
    device: str = "auto"
    streams: Path | None = None
    allow_streams: tuple[str, ...] = ()
    profile: Profile | None = None
    limits: Limits = Limits()

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
