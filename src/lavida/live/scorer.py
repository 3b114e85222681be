"""What scores frames for `watch`: the detector, or anything that answers as it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lavida.detection import Mask
from lavida.video.motion import PAIR_SHRINK
from lavida.video.source import Frame, Pair

if TYPE_CHECKING:
    from lavida.detector import Detector


SMALL = 64  # sides of a little frame, of which every model takes multiples


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What is said of T frames of one stream, K categories."""

    scores: np.ndarray  # float32 [T] in [0, 1]
    category_scores: np.ndarray  # float32 [T, K]
    masks: Sequence[Sequence[Mask]]  # of each frame, at display size


class Scorer(Protocol):
    """Scores clips of any stream; one for all streams.

    Attributes:
        clip_length: how many frames it likes to see at once; it takes fewer.
        motion: whether frames should come with a pair.
    """

    @property
    def clip_length(self) -> int: ...

    @property
    def motion(self) -> bool: ...

    def analysed_size(self, width: int, height: int) -> tuple[int, int]:
        """The height and width of the images that it wants of a stream displayed at this size."""
        ...

    def score(
        self, frames: Sequence[Frame], categories: Sequence[str], *, size: tuple[int, int], floor: float
    ) -> ClipScores:
        """Score 1 to `clip_length` frames with images.

        Args:
            frames: of one stream, in order.
            categories: K texts.
            size: height and width of masks.
            floor: frames and categories below this score get no masks.
        """
        ...


class DetectorScorer:
    """The `Scorer` that asks a detector."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.clip_length: int = detector.clip_length
        self.motion: bool = detector.motion

    def analysed_size(self, width: int, height: int) -> tuple[int, int]:
        """See `Scorer`."""
        return self._detector.analysed_size(width, height)

    def score(
        self, frames: Sequence[Frame], categories: Sequence[str], *, size: tuple[int, int], floor: float
    ) -> ClipScores:
        """See `Scorer`."""
        (clip,) = self._detector.score(frames, categories, size=size)
        masks = [clip.masks_over(floor, t, categories) for t in range(len(frames))]
        return ClipScores(clip.scores, clip.category_scores, masks)

    def warm_up(self, categories: Sequence[str], *, small: bool = False) -> None:
        """Score an empty clip, so that the first one of a stream is not late; `small`: one little frame."""
        size = (SMALL, SMALL) if small else self.analysed_size(1280, 720)
        blank = np.zeros((*size, 3), np.uint8)
        shrunk = np.zeros((size[0] // PAIR_SHRINK, size[1] // PAIR_SHRINK), np.uint8)
        pair = Pair(shrunk, shrunk, 0.04) if self.motion else None
        clip = [Frame(index, 0.2 * index, blank, pair) for index in range(1 if small else self.clip_length)]
        self.score(clip, categories, size=size, floor=1.0)


@dataclass(frozen=True, slots=True)
class StartScorer:
    """Loads a model and makes a scorer of it, warmed up; small, so that it can be sent anywhere.

    Attributes:
        model: as `lavida.load` takes it, like `device` and `runtime`.
        device: see `model`.
        runtime: see `model`.
        words: to warm up with.
    """

    model: str
    device: str
    runtime: str
    words: tuple[str, ...]

    def __call__(self) -> Scorer:
        from lavida.loading import load

        scorer = DetectorScorer(load(self.model, device=self.device, runtime=self.runtime))
        scorer.warm_up(self.words)
        return scorer
