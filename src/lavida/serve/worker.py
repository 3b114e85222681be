"""The process that works on the jobs, one after the other: the only one that has the model."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lavida.errors import InputError, first_line, one_line
from lavida.serve.places import named, result_folder
from lavida.serve.processes import end_with_the_server
from lavida.serve.store import Job, Scores, Store

if TYPE_CHECKING:
    from lavida.detection import Detection, Mask
    from lavida.live.profile import Profile

POLL_S = 0.15  # of the queue, when it is empty
NICE = 5  # the page answers while all cores are at work
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
    """The detector, warmed up, so that the first job is not late; with a profile, its scores are those of that."""
    from lavida.live.scorer import DetectorScorer
    from lavida.loading import load

    detector = load(model, device=device)
    # one word and one that is qualified: other graphs; one frame, as who comes first waits for it, too
    DetectorScorer(detector).warm_up(("person",), frames=1)
    DetectorScorer(detector).warm_up(("person lying on the ground",), frames=1)
    if profile is None:
        return detector
    from lavida.serve.profiled import ProfiledAnalyst

    return ProfiledAnalyst(detector, profile)


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
        """Work on one job until it has ended. False: nothing is queued."""
        job = self._store.claim()
        if job is None:
            return False
        folder = result_folder(self._data, job.id)
        try:
            detection = self._analyst.detect(
                job.path, job.anomalies, stride=job.stride, threshold=job.threshold, scored=self._reporter(job)
            )
            if not self._store.alive(job):
                raise _Dropped
            detection.save(folder, overlay=False)
            if not self._store.finish(job, "done", frames=len(detection.times)):
                raise _Dropped
        except _Dropped:
            if self._store.get(job.id) is None:  # nobody else removes what has been written meanwhile
                shutil.rmtree(folder.parent, ignore_errors=True)
        except InputError as error:
            self._store.finish(job, "failed", message=str(named(error, job.path, job.name)))
        except Exception as error:  # a defect: it ends this job, not the server
            log.exception("job %s", job.id)
            what = one_line(f"{type(error).__name__}: {first_line(error)}")
            self._store.finish(job, "failed", message=f"a defect of lavida ({what}); the server's log has more")
        return True

    def _reporter(self, job: Job) -> Callable[[Scored], None]:
        clips = 0

        def report(clip: Scored) -> None:
            nonlocal clips
            if self._longest_s is not None and clip.times[-1] > self._longest_s:
                raise InputError(
                    f"the video is too long: {job.name}; at most {self._longest_s / 3600:g} hours are taken"
                )
            if not self._store.report(job, clips, _scores(clip, job)):
                raise _Dropped
            clips += 1

        return report


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
    if hasattr(os, "nice"):
        os.nice(NICE)
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
    while True:
        if not worker.step():
            time.sleep(POLL_S)
