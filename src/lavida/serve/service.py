"""What the routes share: jobs with their files, results in memory, room for more, films in the making."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
from fastapi.concurrency import run_in_threadpool

from lavida.detection import Detection
from lavida.errors import InputError
from lavida.serve.decoder import Decoder
from lavida.serve.growing import Growing
from lavida.serve.guard import Refused
from lavida.serve.keeper import Keeper
from lavida.serve.places import JOBS, UPLOADS, job_folder, named, result_folder, seen, used
from lavida.serve.schemas import JobAnswer
from lavida.serve.settings import ServeSettings
from lavida.serve.store import Job, Store
from lavida.serve.watcher import Watcher, watch_command

if TYPE_CHECKING:
    from lavida.serve.watchfile import WatchConfig

REMEMBERED = 6  # results
SOON_S, LATER_S = 10, 60  # when to try again
COPY = "copy.mp4"
_ID = re.compile("[0-9a-f]{32}")


class Service:
    """A server's parts.

    Args:
        settings: of the server.
        store: its jobs.
        keeper: of the worker; None: jobs are worked on elsewhere.
        decoder: makes what decodes.
        watcher: starts the watch; None: as a process of `lavida watch`.

    Attributes:
        config: of the watch; None where the page may not change it, and `watcher` is None then, too.
    """

    def __init__(
        self,
        settings: ServeSettings,
        store: Store,
        *,
        keeper: Keeper | None,
        decoder: type[Decoder] = Decoder,
        watcher: Watcher | None = None,
    ) -> None:
        self.settings, self.store, self.keeper = settings, store, keeper
        limits = settings.limits
        self.config: WatchConfig | None = None
        self.watcher: Watcher | None = None
        if (path := settings.streams) is not None:
            from lavida.serve.watchfile import WatchConfig

            self.config = WatchConfig(path, allowed=settings.allow_streams, most=limits.streams)
            command = watch_command(self.config.path, settings.data, model=settings.model, device=settings.device)
            self.watcher = watcher or Watcher(command, hide=self.config.hide)
        self.looks = decoder(memory=limits.memory, within_s=limits.look_s)  # at new videos, which wait for no frame
        self.frames = decoder(memory=limits.memory, within_s=limits.look_s)
        self.films = decoder(memory=limits.memory, within_s=limits.film_s)
        self._making: dict[Path, asyncio.Task[None]] = {}
        self._faults: dict[Path, str] = {}
        self._results: OrderedDict[str, Detection] = OrderedDict()
        self._growing = Growing(store)
        self._lock = Lock()

    def tidy(self) -> None:
        """Remove what an earlier server left behind: of jobs that are gone, of films and uploads that were cut off.

        What the database only does not know stays: it may be another one's.
        """
        data, stay = self.settings.data, list[Path]()
        for place in self.store.leftovers():
            if place.is_relative_to(data / JOBS):
                shutil.rmtree(place, ignore_errors=True)
            elif place.is_relative_to(data / UPLOADS) and self.store.uses(str(place)) == 0:
                _remove(place)
            else:
                continue
            stay += [place] if place.exists() else []
        self.store.forget_leftovers(but=stay)
        for folder in (data / JOBS).glob("*"):
            _remove_partial(folder)

    def job(self, id: str) -> Job:
        """A job; a wrong id is answered with 404."""
        job = self.store.get(id) if _ID.fullmatch(id) else None  # no database takes everything
        if job is None:
            raise Refused(404, f"no such job: {id[:40]}")
        return job

    def told(self, job: Job) -> JobAnswer:
        """A job as the API tells it."""
        ahead = self.store.ahead(job) if job.state == "queued" else 0
        return JobAnswer.of(job, ahead=ahead, video=self._video_state(job))

    def _video_state(self, job: Job) -> Literal["ready", "made", "failed", "wanted"]:
        place = self.copy_place(job)
        if job.plays or place.is_file():
            return "ready"
        if place in self._faults:
            return "failed"
        return "made" if place in self._making else "wanted"

    def check_room(self, size: int) -> None:
        """Refuse a job, with so many bytes of upload, for which there is no room.

        An upload lies on the disk twice for a moment: as it comes, and where it is kept.
        """
        limits, data = self.settings.limits, self.settings.data
        if self.store.count("queued", "running") >= limits.waiting:
            raise Refused(429, f"{limits.waiting} jobs are waiting; try again later", retry_after=SOON_S)
        if self.store.count() >= limits.kept:
            raise Refused(429, f"{limits.kept} jobs are kept; remove some", retry_after=LATER_S)
        if shutil.disk_usage(data).free - 2 * size < limits.free or used(data) + size > limits.disk:
            raise Refused(507, "the server's disk is full; remove some jobs", retry_after=LATER_S)

    def detection(self, job: Job) -> Detection:
        """The result of a job that is done; before, the request is answered with 409."""
        if job.state != "done":
            wait = SOON_S if job.state in ("queued", "running") else None
            raise Refused(409, f"there is no result: the job is {job.state}", retry_after=wait)
        with self._lock:
            if job.id not in self._results:
                self._results[job.id] = Detection.load(result_folder(self.settings.data, job.id))
                while len(self._results) > REMEMBERED:
                    self._results.popitem(last=False)
            self._results.move_to_end(job.id)
            return self._results[job.id]

    def so_far(self, job: Job) -> Detection:
        """The result of a job, or what there is of it; before the first clip the request is answered with 409."""
        partial = None if job.state == "done" else self._growing.so_far(job)
        if partial is not None:
            return partial
        self._growing.forget(job.id)
        return self.detection(job)

    def at(self, job: Job, threshold: float | None) -> Detection:
        """The result at another threshold."""
        found = self.detection(job)
        return found if threshold is None else found.at(threshold)

    def moment(self, job: Job, *, frame: int | None, time_s: float | None) -> tuple[int, float]:
        """Number and time of the frame asked for, or of the one shown at a time; of those scored while a job runs.

        Raises:
            Refused: there is no such frame.
        """
        if job.state == "done":
            times = self.detection(job).times
            frames = np.arange(len(times))
        else:
            clips = self.store.scores(job.id)
            frames = np.array([number for clip in clips for number in clip["frames"]], np.int64)
            times = np.array([moment for clip in clips for moment in clip["times"]])
        if frame is not None and time_s is None:
            place = int(np.searchsorted(frames, frame))
        elif time_s is not None and frame is None:
            place = int(np.searchsorted(times, time_s, side="right")) - 1
        else:
            raise Refused(422, "give either frame or time_s")
        if not 0 <= place < len(frames) or (frame is not None and frames[place] != frame):
            raise Refused(404, "there is no such frame, or it has not been reached yet")
        return int(frames[place]), float(times[place])

    def copy_place(self, job: Job) -> Path:
        """Where the copy of a job's video is that browsers play."""
        return job_folder(self.settings.data, job.id) / COPY

    def playable(self, job: Job) -> Path | None:
        """A file of the job's video whose stamps are its times, if there is one yet."""
        if job.plays:
            return Path(job.path)
        place = self.copy_place(job)
        return place if place.is_file() else None

    async def picture(self, job: Job, frame: int, time_s: float, width: int | None) -> bytes:
        """One frame as a JPEG."""
        from lavida.serve import films  # decoders are slow to import, and the page waits for the server

        place = self.playable(job)
        path = place if place is not None and not job.plays else await run_in_threadpool(self.there, job)
        last_s = float(self.detection(job).times[-1]) if job.state == "done" else None
        seeks, ask = place is not None, self.frames.ask
        try:
            return await ask(
                films.picture, str(path), frame=frame, time_s=time_s, seeks=seeks, width=width, last_s=last_s
            )
        except InputError as error:
            raise named(error, str(path), job.name) from error

    async def copied(self, job: Job) -> Path:
        """The copy of a job's video, made if it is not there."""
        from lavida.serve import films

        place, longest_s = self.copy_place(job), self.settings.limits.length_s
        return await self._made(place, job, lambda video: self.films.ask(films.copy, video, str(place), longest_s))

    async def overlaid(self, job: Job, threshold: float | None) -> Path:
        """The overlay of a result at a threshold, made if it is not there; only the latest one is kept."""
        self.detection(job)
        level, folder = threshold or job.threshold, job_folder(self.settings.data, job.id)
        place, result = folder / f"overlay-{level}.mp4", result_folder(self.settings.data, job.id)
        from lavida.serve import films

        path = await self._made(
            place, job, lambda video: self.films.ask(films.overlay, video, str(result), level, str(place))
        )
        for other in folder.glob("overlay-*.mp4"):
            if other != path and other not in self._making:
                other.unlink(missing_ok=True)
        return path

    def there(self, job: Job) -> Path:
        """The video of a job.

        Raises:
            InputError: it is gone, or another one by now, which the job tells nothing about.
        """
        path, before = Path(job.path), None if job.uploaded else self.store.seen(job.id)
        if not path.is_file():
            raise InputError(f"the video is gone: {job.name}; upload it again")
        if before is not None and seen(path) != before:
            raise InputError(f"the video has changed since it was analysed: {job.name}; look at it again")
        return path

    async def _made(self, place: Path, job: Job, make: Callable[[str], Awaitable[None]]) -> Path:
        """The file at a place, made of the job's video once however many ask, and whether or not they wait for it."""
        if place.is_file():
            return place
        video = str(await run_in_threadpool(self.there, job))
        if place not in self._making:
            self.check_disk()
            self._faults.pop(place, None)
            self._making[place] = asyncio.create_task(self._make(place, job, partial(make, video)))
        await asyncio.shield(self._making[place])
        if place in self._faults:
            raise InputError(self._faults[place])
        if not place.is_file():
            raise Refused(404, "the job has been removed")
        return place

    async def _make(self, place: Path, job: Job, make: Callable[[], Awaitable[None]]) -> None:
        try:
            await make()
        except InputError as error:
            self._faults[place] = str(named(error, job.path, job.name))
        finally:
            del self._making[place]
            _remove_partial(place.parent)  # a process that was killed could not do so
        if self.store.get(job.id) is None:  # removed meanwhile; perhaps nobody waits any more
            shutil.rmtree(place.parent, ignore_errors=True)
            self._faults.pop(place, None)

    def check_disk(self) -> None:
        """Refuse to write where hardly anything is free."""
        if shutil.disk_usage(self.settings.data).free < self.settings.limits.free:
            raise Refused(507, "the server's disk is full; remove some jobs", retry_after=LATER_S)

    def remove(self, job: Job) -> None:
        """Forget a job and remove its files; its video, too, if it was uploaded and no other job is about it."""
        folder = job_folder(self.settings.data, job.id)
        self.store.remove(job.id, leaves=[folder, Path(job.path)] if job.uploaded else [folder])
        self._growing.forget(job.id)
        with self._lock:
            self._results.pop(job.id, None)
        shutil.rmtree(folder, ignore_errors=True)
        if job.uploaded and self.store.uses(job.path) == 0:
            Path(job.path).unlink(missing_ok=True)

    def close(self) -> None:
        """End the processes."""
        if self.watcher is not None:
            self.watcher.stop()
        for part in (self.looks, self.frames, self.films):
            part.close()
        if self.keeper is not None:
            self.keeper.stop()
        self.store.close()


def _remove_partial(folder: Path) -> None:
    """Films that were cut off, see `atomic_file`; they are made one at a time, and nobody else writes any."""
    for path in folder.glob(".lavida-*.mp4"):
        _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what cannot be removed now stays, and keeps nobody from starting
        path.unlink()
