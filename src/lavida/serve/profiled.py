"""An analyst whose scores are on the scales of a camera's profile, as those of `lavida detect --profile` are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lavida.events import EventSettings
from lavida.live.plan import WatchSettings
from lavida.live.profile import Profile
from lavida.live.scorer import ClipScores

if TYPE_CHECKING:
    from lavida.detection import Detection, Mask
    from lavida.serve.worker import Analyst, Scored

FLOOR = 0.2  # from this score on masks of a job that runs are told


@dataclass(frozen=True)
class ProfiledClip:
    """A clip as the profile has it; see `lavida.serve.worker.Scored`."""

    indices: np.ndarray
    times: np.ndarray
    applied: ClipScores

    @property
    def scores(self) -> np.ndarray:
        return self.applied.scores

    @property
    def category_scores(self) -> np.ndarray:
        return self.applied.category_scores

    def masks_over(self, floor: float, t: int, categories: Sequence[str]) -> list[Mask]:
        """See `lavida.builder.ScoredClip.masks_over`."""
        return [mask for mask in self.applied.masks[t] if mask.score >= floor and self.scores[t] >= floor]


class ProfiledAnalyst:
    """What another analyst says, on the scales of a profile.

    Args:
        analyst: gives the model's scores.
        profile: of the camera.
    """

    def __init__(self, analyst: Analyst, profile: Profile) -> None:
        self._analyst, self._profile = analyst, profile

    def detect(
        self,
        source: str,
        anomalies: Sequence[str],
        *,
        stride: int | None,
        threshold: float,
        scored: Callable[[Scored], object],
    ) -> Detection:
        """See `lavida.detector.Detector.detect`. Raises InputError for words that the profile does not know."""
        events = EventSettings(threshold=min(FLOOR, threshold))
        settings = WatchSettings(categories=tuple(anomalies), events=events, profile=self._profile)

        def told(clip: Scored) -> None:
            masks = [clip.masks_over(settings.floor, t, anomalies) for t in range(len(clip.indices))]
            size = next((mask.size for each in masks for mask in each), (1, 1))  # of masks: without one of nothing
            applied = settings.applied(ClipScores(clip.scores, clip.category_scores, masks), size)
            scored(ProfiledClip(clip.indices, clip.times, applied))

        return self._profile.ask(
            self._analyst.detect, source, anomalies=anomalies, threshold=threshold, stride=stride, scored=told
        )
