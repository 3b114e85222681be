"""Keeps the worker process alive, and says of a job that ended it what happened."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Literal

from lavida.serve.settings import ServeSettings
from lavida.serve.store import Store
from lavida.serve.worker import Load, work

LOOKS_EVERY_S = 0.25
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
PATIENCE_S = 5.0
log = logging.getLogger(__name__)


class Keeper:
    """Starts the worker, and again when it has ended.

    Args:
        settings: of the server.
        store: where the jobs are.
        load: gives what looks at the videos; travels to the process by pickle.

    Attributes:
        state: of the worker.
        fault: why the model cannot be loaded.
    """

    def __init__(self, settings: ServeSettings, store: Store, load: Load) -> None:
        self._settings, self._store, self._load = settings, store, load
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lavida-keeper", daemon=True)
        self._process: SpawnProcess | None = None
        self.state: Literal["starting", "ready", "down"] = "starting"
        self.fault: str | None = None

    def start(self) -> None:
        """Start, without waiting for the model."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker; what it works on starts again with the next server."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        if self._process is not None and self._process.is_alive():
            self._process.kill()

    @property
    def pid(self) -> int | None:
        """Of the worker's process."""
        return None if self._process is None else self._process.pid

    def _keep(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                was_ready = self._one_life()
                wait_s = FIRST_WAIT_S if was_ready else min(2 * wait_s, LONGEST_WAIT_S)
            except Exception:  # a database that is away for a moment
                log.exception("the worker's keeper")
            self._stop.wait(0 if self._stop.is_set() else wait_s)

    def _one_life(self) -> bool:
        """Start a worker and wait for its end; whether it ever was ready."""
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        told, tells = spawn.Pipe(duplex=False)
        given = (self._load, self._settings.data, self._settings.database, self._settings.limits.length_s, tells)
        self.state, self.fault = "starting", None
        process = spawn.Process(target=work, args=given, name="lavida-worker", daemon=True)
        process.start()
        self._process = process
        tells.close()
        try:
            while process.is_alive() and not self._stop.is_set():
                news: list[int | Connection] = [process.sentinel]
                if self.state == "starting" and self.fault is None:
                    news.append(told)
                connection.wait(news, LOOKS_EVERY_S)
                self._listen(told)
                self._end_if_silent(process)
            self._listen(told)
        finally:
            was_ready, self.state = self.state == "ready", "down"
            self._end(process)
            told.close()
        if not self._stop.is_set():
            self._tell_of_death(process.exitcode)
        return was_ready

    def _listen(self, told: Connection) -> None:
        with suppress(EOFError, OSError):
            if self.state == "starting" and told.poll():
                self.fault = told.recv()
                if self.fault is None:
                    self.state = "ready"
                else:
                    log.error("%s", self.fault)
                    self._store.fail_waiting(self.fault)

    def _end_if_silent(self, process: SpawnProcess) -> None:
        job, silent_s = self._store.running(), self._settings.limits.silent_s
        if self.state == "ready" and job is not None and time.time() - (job.reported or 0) > silent_s:
            self._store.finish(job, "failed", message=f"no news from the analysis for {silent_s:g} s; it was ended")
            process.kill()

    @staticmethod
    def _end(process: SpawnProcess) -> None:
        process.terminate()
        process.join(PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()

    def _tell_of_death(self, code: int | None) -> None:
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        job = self._store.running()
        if job is not None:
            self._store.finish(
                job,
                "failed",
                message=f"the process that worked on it ended {how}: too little memory, or a video that breaks the "
                "decoder; try a shorter or smaller one",
            )
        log.warning("the worker ended %s and is started again", how)
