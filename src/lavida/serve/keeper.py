"""Keeps the worker process alive, and says of a job that ended it what happened."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from lavida.errors import reason
from lavida.serve.processes import processes, uninterrupted
from lavida.serve.settings import GIGABYTE, Limits, ServeSettings
from lavida.serve.store import Job, Store
from lavida.serve.worker import AWAY, Load, work

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
        self._process: BaseProcess | None = None
        self._with_model: int | None = None  # bytes of the worker once it has loaded the model
        self._patience = Patience(settings.limits)
        self.state: Literal["starting", "ready", "down"] = "starting"
        self.fault: str | None = None

    def start(self) -> None:
        """Start, without waiting for the model; once, however often it is asked."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """End the worker; what it works on starts again with the next server."""
        self._stop.set()
        if self._thread.ident is not None:
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
                self._store.start_again(tries=self._settings.limits.tries)  # what a fault of the database left behind
                was_ready = self._one_life()
                wait_s = FIRST_WAIT_S if was_ready else min(2 * wait_s, LONGEST_WAIT_S)
            except self._store.faults as error:  # it is away for a moment
                self._log_fault(error)
            except Exception:
                log.exception("the worker's keeper")
            self._stop.wait(0 if self._stop.is_set() else wait_s)

    def _one_life(self) -> bool:
        """Start a worker and wait for its end; whether it ever was ready."""
        told, tells = processes().Pipe(duplex=False)
        given = (self._load, self._settings.data, self._settings.database, self._settings.limits.length_s, tells)
        self.state, self.fault, self._with_model = "starting", None, None
        process = processes().Process(target=work, args=given, name="lavida-worker", daemon=True)
        with uninterrupted():
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
                try:
                    self._end_if_over(process)
                except self._store.faults as error:  # what is worked on may come to its end meanwhile
                    self._log_fault(error)
                    self._stop.wait(FIRST_WAIT_S)
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
                    self._with_model = resident(self.pid)
                else:
                    log.error("%s", self.fault)
                    self._store.fail_waiting(self.fault)

    def _end_if_over(self, process: BaseProcess) -> None:
        """End the worker, and with it its job, over the limits of memory and time."""
        job = self._store.running() if self.state == "ready" else None
        if job is None:
            return
        limits, taken = self._settings.limits, resident(process.pid)
        fault = self._patience.over(job, time.monotonic())
        much = taken is not None and self._with_model is not None and taken - self._with_model > limits.job_memory
        if fault is None and much:
            size = limits.job_memory / GIGABYTE
            fault = f"it took more than {size:g} GB of memory and was ended; try a smaller or shorter video"
        if fault is not None:
            self._store.finish(job, "failed", message=fault)
            process.kill()

    @staticmethod
    def _end(process: BaseProcess) -> None:
        process.terminate()
        process.join(PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()

    def _tell_of_death(self, code: int | None) -> None:
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        job = None if code == AWAY else self._store.running()  # nothing against the job, which is started again
        if job is not None:
            self._store.finish(
                job,
                "failed",
                message=f"the process that worked on it ended {how}: too little memory, or a video that breaks the "
                "decoder; try a shorter or smaller one",
            )
        log.warning("the worker ended %s and is started again", how)

    @staticmethod
    def _log_fault(error: Exception) -> None:
        log.error("the database: %s", reason(getattr(error, "orig", None) or error))


class Patience:
    """How long a job is worked on, and how long it has said nothing.

    Both by a clock that nobody sets: that of the day leaps when a machine has slept.

    Args:
        limits: of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._run: str | None = None
        self._reported: float | None = None
        self._began = self._heard = 0.0

    def over(self, job: Job, now: float) -> str | None:
        """Why a running job is to be ended, if it is.

        Args:
            job: as it stands in the database.
            now: seconds, by a monotonic clock.
        """
        if job.run != self._run:
            self._run, self._began, self._reported = job.run, now, None
        if job.reported != self._reported:
            self._reported, self._heard = job.reported, now
        silent_s, job_s = self._limits.silent_s, self._limits.job_s
        if now - self._heard > silent_s:
            return f"no news from the analysis for {silent_s:g} s; it was ended"
        if now - self._began > job_s:
            return f"it took longer than {job_s / 3600:g} h and was ended; try a shorter video, or a stride"
        return None


def resident(pid: int | None) -> int | None:
    """Bytes of memory that a process has now; None where the system does not tell, as only Linux does.

    A limit of its address space would not do: libraries for GPUs reserve far more than they ever use.
    """
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
