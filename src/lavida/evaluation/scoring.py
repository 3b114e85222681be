"""The one form in which the engine takes scores, whatever gave them: a stream of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Video


class ScoredFrame(NamedTuple):
    """One frame as a scorer saw it.

    Attributes:
        score: any real number, higher is more abnormal.
        pixel_map: `[H, W]` logits or any real numbers; None where there is none.
        analysed: false where the score was interpolated from other frames.
    """

    score: float
    pixel_map: NDArray[np.floating] | None
    analysed: bool = True


class Baseline(Protocol):
    """A trivial method: it knows no categories and was trained on nothing."""

    name: str

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One `ScoredFrame` for each frame of the source, in order."""
        ...


class DetectorLike(Protocol):
    """The part of `lavida.Detector` that an evaluation needs."""

    name: str

    def detect(
        self,
        source: Path,
        anomalies: Sequence[str],
        *,
        stride: int,
        pixel_maps: bool,
        progress: Callable[[int], None],
    ) -> Any:
        """A `Detection` with `scores`, `sampled` and, when asked, `pixel_maps`."""
        ...


def baseline_frames(baseline: Baseline, video: Video, *, progress: Callable[[int], None]) -> Iterator[ScoredFrame]:
    """The frames of one video; `progress` is called with the number of frames done so far."""
    for done, frame in enumerate(baseline.score(video.source), start=1):
        yield frame
        progress(done)


def detector_frames(
    detector: DetectorLike, video: Video, *, stride: int, pixel_maps: bool, progress: Callable[[int], None]
) -> Iterator[ScoredFrame]:
    """Runs the detector on a whole video and hands out its frames one by one.

    Args:
        detector: a `lavida.Detector`.
        video: what to run it on; its categories are what the detector looks for.
        stride: as `Detector.detect` takes it.
        pixel_maps: whether the frames shall carry maps.
        progress: called with the number of frames read so far.

    Raises:
        InputError: there is not one pixel map for each analysed frame.
    """
    detection = detector.detect(
        video.source,
        anomalies=list(video.categories),
        stride=stride,
        pixel_maps=pixel_maps,
        progress=progress,
    )
    maps = detection.pixel_maps if pixel_maps else [None] * len(detection.sampled)
    if len(maps) != len(detection.sampled):
        raise InputError(
            f"{video.name}: {len(maps)} pixel maps for {len(detection.sampled)} analysed frames; "
            "the model must give one for each"
        )
    row_of = {int(frame): row for row, frame in enumerate(detection.sampled)}
    for frame, score in enumerate(detection.scores):
        row = row_of.get(frame)
        yield ScoredFrame(float(score), None if row is None else maps[row], analysed=row is not None)
