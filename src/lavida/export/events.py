"""Events: stretches of frames worth a look, from frame scores by hysteresis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lavida.detection import Detection

# An event begins at the threshold but ends only below this share of it: one threshold for both would cut an
# event to pieces whenever the score trembles around it.
RELEASE_SHARE = 0.7
# People read two alarms less than half a second apart as one.
MERGE_GAP_S = 0.5
# An event that rests on fewer analysed frames than this, and lasts less than this, may be one bad prediction.
BRIEF_ANALYSED_FRAMES = 2
BRIEF_S = 0.25
# A brief event survives when its peak covers this share of the way from the threshold to certainty.
BRIEF_CERTAINTY = 0.5


@dataclass(frozen=True)
class Event:
    """One abnormal stretch of a video.

    Attributes:
        start_s: time of the first frame.
        end_s: exclusive: time of the frame after the last one, or the end of the video.
        peak_s: time of the highest score (an analysed frame, the first of equals).
        peak_score: the highest score.
        category: the category with the highest mean score over the event.
        box: (x, y, w, h) in displayed pixels of the mask nearest `peak_s`; None without a mask in the event.
    """

    start_s: float
    end_s: float
    peak_s: float
    peak_score: float
    category: str
    box: tuple[float, float, float, float] | None

    def to_json(self) -> dict[str, Any]:
        """The event as it stands in `events.json`."""
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "peak_s": self.peak_s,
            "peak_score": self.peak_score,
            "category": self.category,
            "box": None if self.box is None else list(self.box),
        }


def find_events(detection: Detection) -> list[Event]:
    """Describe every event of a detection, in order of time."""
    ends = np.append(detection.times[1:], detection.end_s)
    spans = _hysteresis(detection.scores, threshold=detection.threshold)
    spans = _merge(spans, starts=detection.times, ends=ends)
    return [_describe(detection, span, ends) for span in spans if not _is_doubtful(detection, span, ends)]


def _hysteresis(scores: np.ndarray, *, threshold: float) -> list[slice]:
    over = np.concatenate([[False], scores >= RELEASE_SHARE * threshold, [False]])
    edges = np.flatnonzero(over[1:] != over[:-1])
    runs = (slice(int(first), int(stop)) for first, stop in edges.reshape(-1, 2))
    return [run for run in runs if scores[run].max() >= threshold]


def _merge(spans: list[slice], *, starts: np.ndarray, ends: np.ndarray) -> list[slice]:
    merged: list[slice] = []
    for span in spans:
        if merged and starts[span.start] - ends[merged[-1].stop - 1] < MERGE_GAP_S:
            merged[-1] = slice(merged[-1].start, span.stop)
        else:
            merged.append(span)
    return merged


def _analysed_in(detection: Detection, span: slice) -> np.ndarray:
    first, stop = np.searchsorted(detection.sampled, [span.start, span.stop])
    return detection.sampled[first:stop]


def _is_doubtful(detection: Detection, span: slice, ends: np.ndarray) -> bool:
    if len(detection.sampled) < BRIEF_ANALYSED_FRAMES:
        return False  # a single picture has no quiet neighbour that speaks against it
    lasts = ends[span.stop - 1] - detection.times[span.start]
    brief = len(_analysed_in(detection, span)) < BRIEF_ANALYSED_FRAMES and lasts < BRIEF_S
    certain = min(1.0, detection.threshold + BRIEF_CERTAINTY * (1 - detection.threshold))
    return brief and bool(detection.scores[span].max() < certain)


def _describe(detection: Detection, span: slice, ends: np.ndarray) -> Event:
    analysed = _analysed_in(detection, span)
    # frames that share a time stamp can leave a run without an analysed frame
    candidates = analysed if len(analysed) else np.arange(span.start, span.stop)
    peak = int(candidates[detection.scores[candidates].argmax()])
    category = detection.categories[detection.category_scores[span].mean(axis=0, dtype=np.float64).argmax()]
    return Event(
        start_s=float(detection.times[span.start]),
        end_s=float(ends[span.stop - 1]),
        peak_s=float(detection.times[peak]),
        peak_score=float(str(detection.scores[peak])),  # 0.87, not 0.8700000047683716
        category=category,
        box=_box_near(detection, span, peak_s=float(detection.times[peak]), category=category),
    )


def _box_near(
    detection: Detection, span: slice, *, peak_s: float, category: str
) -> tuple[float, float, float, float] | None:
    inside = [mask for mask in detection.masks if span.start <= mask.frame < span.stop]
    # of several masks in one frame: the event's own category first, then the surest
    inside.sort(key=lambda m: (abs(detection.times[m.frame] - peak_s), m.category != category, -m.score))
    return next((box for mask in inside if (box := mask.box) is not None), None)
