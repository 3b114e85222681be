"""The process that works on the jobs, one after the other: the only one that has the model."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lavida.errors import InputError, first_line, one_line, reason
from lavida.serve.places import named, result_folder, seen
from lavida.serve.processes import end_with_the_server
from lavida.serve.store import Job, Scores, Store

if TYPE_CHECKING:
    from lavida.detection import Detection, Mask
    from lavida.live.profile import Profile

AT_ONCE = 4  # frames
POLL_S = 0.15  # of the queue, when it is empty
NICE = 5  # the page answers while all cores are at work
AWAY = 75  # exit code of a worker whose database does not answer
log = logging.getLogger(__name__)


class Scored(Protocol):
    """What is told of a clip; see `lavida.builder.ScoredClip`."""

    @property
    def indices(self) -> np.ndarray: ...

    @property
    def times(self) -> np.ndarray: ...

    @property
    def scores(self) -> np.ndarray: ...

    @property
    def category_scores(self) -> np.ndarray: ...

    def masks_over(self, floor: float, t: int, categories: Sequence[str]) -> list[Mask]: ...


class Analyst(Protocol):
    """What looks at a video: a `Detector`, or anything that answers as it does."""

    def detect(
        self,
        source: str,
        anomalies: Sequence[str],
        *,
        stride: int | None,
        threshold: float,
        scored: Callable[[Scored], object],
    ) -> Detection:
        """See `lavida.detector.Detector.detect`."""
        ...


Load = Callable[[], Analyst]


def load_detector(model: str, device: str, profile: Profile | None = None) -> Analyst:
    """The detector; with a profile, its scores are those of that."""
    from lavida.loading import load

    detector = load(model, device=device)
    if profile is None:
        return detector
    from lavida.serve.profiled import ProfiledAnalyst

    return ProfiledAnalyst(detector, profile)


def warm_ups(analyst: Analyst) -> Iterator[None]:
    """Have a detector open what it opens when it is first asked: for a word that is qualified, and for another."""
    from lavida.detector import Detector
    from lavida.live.scorer import DetectorScorer

    if isinstance(analyst, Detector):
        for words in (["person lying on the ground"], ["person"]):
            yield
            DetectorScorer(analyst).warm_up(words, small=True)


class _Dropped(Exception):
    """The job was cancelled or removed while it was worked on."""


class Worker:
    """Takes jobs from the queue and works on them.

    Args:
        store: where they are.
        data: the server's folder, for results.
        analyst: what looks at the videos.
        longest_s: a video that turns out to be longer is refused; None: any length.
    """

    def __init__(self, store: Store, data: Path, analyst: Analyst, *, longest_s: float | None = None) -> None:
        self._store, self._data, self._analyst, self._longest_s = store, data, analyst, longest_s

    def step(self) -> bool:
        """Work on one job until it has ended. False: nothing is queued.

        Raises:
            OperationalError: the database does not answer, see `Store.faults`; the job is left running.
        """
        job = self._store.claim()
        if job is None:
            return False
        folder, report = result_folder(self._data, job.id), _Reporter(self._store, job, longest_s=self._longest_s)
        try:
            now = None if job.uploaded else seen(Path(job.path))  # others may replace it later
            if now is not None:
                self._store.keep_seen(job.id, now)
            detection = self._analyst.detect(
                job.path, job.anomalies, stride=job.stride, threshold=job.threshold, scored=report
            )
            report.tell()
            if not self._store.alive(job):
                raise _Dropped
            detection.save(folder, overlay=False)
            if not self._store.finish(job, "done", frames=len(detection.times)):
                raise _Dropped
        except _Dropped:
            pass
        except InputError as error:
            said = str(named(error, job.path, job.name)).replace(f"{self._data}{os.sep}", "")
            self._store.finish(job, "failed", message=said)
        except self._store.faults:  # not the job's
            raise
        except Exception as error:  # a defect: it ends this job, not the server
            log.exception("job %s", job.id)
            what = one_line(f"{type(error).__name__}: {first_line(error)}")
            self._store.finish(job, "failed", message=f"a defect of lavida ({what}); the server's log has more")
        if self._store.get(job.id) is None:  # removed; nobody else removes what has been written meanwhile
            shutil.rmtree(folder.parent, ignore_errors=True)
        return True


class _Reporter:
    """Tells the store of what has been scored: of the first frame at once, then of a few at a time."""

    def __init__(self, store: Store, job: Job, *, longest_s: float | None) -> None:
        self._store, self._job, self._longest_s = store, job, longest_s
        self._told, self._waiting = 0, dict[str, list[Any]]()

    def __call__(self, clip: Scored) -> None:
        if self._longest_s is not None and clip.times[-1] > self._longest_s:
            hours = self._longest_s / 3600
            raise InputError(f"the video is too long: {self._job.name}; at most {hours:g} hours are taken")
        for name, values in _scores(clip, self._job).items():
            self._waiting.setdefault(name, []).extend(values)
        if not self._told or len(self._waiting["frames"]) >= AT_ONCE:
            self.tell()

    def tell(self) -> None:
        """Tell of what waits."""
        if self._waiting:
            if not self._store.report(self._job, self._told, self._waiting):
                raise _Dropped
            self._told, self._waiting = self._told + 1, {}


def _scores(clip: Scored, job: Job) -> Scores:
    from lavida.builder import CANDIDATE_FLOOR
    from lavida.events import shortest

    floor = min(CANDIDATE_FLOOR, job.threshold)
    masks = [mask for t in range(len(clip.indices)) for mask in clip.masks_over(floor, t, job.anomalies)]
    return {
        "masks": [mask.to_json() for mask in masks],
        "frames": clip.indices.tolist(),
        "times": clip.times.tolist(),
        "scores": [shortest(score) for score in clip.scores],
        "category_scores": [[shortest(score) for score in row] for row in clip.category_scores],
    }


def work(
    load: Load, data: Path, database: str | None, longest_s: float | None, told: Connection
) -> None:  # pragma: no cover  # in a process of its own
    """Load the model, say so, and work until the server ends.

    Args:
        load: gives what looks at the videos.
        data: the server's folder.
        database: as `Store` takes it.
        longest_s: as `Worker` takes it.
        told: gets None once the model is there, or a line that says why it is not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, who ends this process
    end_with_the_server()
    from lavida.video.stream import refuse_pointers

    refuse_pointers()
    try:
        analyst = load()
    except InputError as error:
        told.send(str(error))
        return
    store = Store(data, database=database)
    worker = Worker(store, data, analyst, longest_s=longest_s)
    told.send(None)
    try:
        for _ in warm_ups(analyst):
            if worker.step():  # who waits already is not to wait longer
                break
        if hasattr(os, "nice"):
            os.nice(NICE)
        while True:
            if not worker.step():
                time.sleep(POLL_S)
    except store.faults as error:
        log.error("the database: %s", reason(getattr(error, "orig", None) or error))
        sys.exit(AWAY)
