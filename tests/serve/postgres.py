"""A PostgreSQL server for the tests, where its programs and a driver are installed."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("initdb", "pg_ctl", "createdb")


class Postgres:
    """One server; `database(name)` makes a database and gives its URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as tried:
            tried.bind(("127.0.0.1", 0))
            self.port = tried.getsockname()[1]
        self._run("initdb", "-D", "data", "-U", "lavida", "--auth=trust", "--no-sync")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to be run by root
        subprocess.run([program, *arguments], cwd=self.folder, user=user, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "lavida", name)
        return f"postgresql+psycopg://lavida:a-password@127.0.0.1:{self.port}/{name}"


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Skips the test by name where something is missing."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"PostgreSQL is not installed: no {missing[0]}")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="lavida-pg-"))  # short: the name of its socket has a limit
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
