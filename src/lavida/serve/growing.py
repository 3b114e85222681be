"""What has been found so far by a job that has not ended: events and masks of the clips that are scored."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from lavida.detection import Detection, Mask
from lavida.serve.store import Job, Store

REMEMBERED = 6  # jobs


@dataclass(slots=True)
class _Columns:
    """Of the clips that have been read; a job that is started again begins anew."""

    run: str | None
    clips: int = 0
    frames: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    masks: list[Mask] = field(default_factory=list)


class Growing:
    """Puts the clips of jobs together, each read once.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, _Columns] = OrderedDict()
        self._lock = Lock()

    def so_far(self, job: Job) -> Detection | None:
        """A detection of what has been scored; None before the first clip.

        Frames between analysed ones get times between theirs: which they have is known when the job is done.
        """
        with self._lock:
            known = self._read(job)
            if not known.frames:
                return None
            from lavida.video.source import SourceInfo  # decoders are slow to import, and the page waits for the server

            sampled, times = np.array(known.frames), np.array(known.times)
            return Detection(
                info=SourceInfo(Path(job.path), Path(job.name).stem, job.width, job.height, job.fps, job.expected),
                categories=job.anomalies,
                times=np.interp(np.arange(sampled[-1] + 1), sampled, times),
                sampled=sampled,
                sampled_scores=np.array(known.scores, np.float32),
                sampled_category_scores=np.array(known.rows, np.float32),
                threshold=job.threshold,
                candidates=list(known.masks),
            )

    def _read(self, job: Job) -> _Columns:
        known = self._known.get(job.id)
        if known is None or known.run != job.run:
            known = self._known[job.id] = _Columns(job.run)
        self._known.move_to_end(job.id)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        clips = self._store.scores(job.id, after=known.clips)
        known.clips += len(clips)
        for clip in clips:
            known.frames += clip["frames"]
            known.times += clip["times"]
            known.scores += clip["scores"]
            known.rows += clip["category_scores"]
            known.masks += [Mask.from_json(row) for row in clip.get("masks", ())]
        return known

    def forget(self, id: str) -> None:
        """A job that is done or gone."""
        with self._lock:
            self._known.pop(id, None)
