"""What a report shows of a result: score curves, and the false alarms, misses and hits worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lavida.evaluation.results import Result, ScoredVideo
from lavida.export.moments import stretches
from lavida.export.timeline import thin

WIDTH, HEIGHT = 640, 96  # units of the drawing of a curve
_MOST_POINTS = 480
_LEAST_GAP = 25  # frames between two cases of one video; neighbours look alike
_GAP_SHARE = 0.2  # of the video
_KINDS = (  # title, explanation, label of the frames, and whether high (1) or low scores (-1) tell
    ("False alarms", "Normal frames with the highest scores.", 0, 1),
    ("Misses", "Abnormal frames with the lowest scores.", 1, -1),
    ("Hits", "Abnormal frames with the highest scores.", 1, 1),
)


class Case(NamedTuple):
    """One frame of a video, by the video's official name and the frame's number, and its score as measured."""

    video: str
    frame: int
    score: float


@dataclass(frozen=True)
class CaseGroup:
    """Cases of one kind, the most telling first."""

    title: str
    explanation: str
    cases: list[Case]


def choose_cases(result: Result, *, count: int = 4) -> list[CaseGroup]:
    """The highest-scored normal frames, the lowest-scored abnormal ones and the highest-scored abnormal ones.

    Only frames that were analysed, not interpolated; of one video only frames that lie well apart, and those of other
    videos first.

    Args:
        result: what was measured.
        count: at most so many of a kind.
    """
    groups = [
        CaseGroup(title, explanation, _most_extreme(result, label=label, sign=sign, count=count))
        for title, explanation, label, sign in _KINDS
    ]
    return [group for group in groups if group.cases]


def _most_extreme(result: Result, *, label: int, sign: int, count: int) -> list[Case]:
    rounds: list[list[Case]] = [[] for _ in range(count)]
    for video in result.videos:
        for cases, case in zip(rounds, _apart(video, result, label=label, sign=sign, count=count), strict=False):
            cases.append(case)
    ordered = [case for cases in rounds for case in sorted(cases, key=lambda case: -sign * case.score)]
    return sorted(ordered[:count], key=lambda case: -sign * case.score)


def _apart(video: ScoredVideo, result: Result, *, label: int, sign: int, count: int) -> list[Case]:
    """The most extreme frames of one video, none near another."""
    frames = _analysed(video, result)
    frames = frames[video.labels[frames] == label]
    gap = max(_LEAST_GAP, round(_GAP_SHARE * len(video.scores)))
    chosen: list[int] = []
    while len(frames) and len(chosen) < count:
        best = int(frames[(sign * video.scores[frames]).argmax()])
        chosen.append(best)
        frames = frames[np.abs(frames - best) >= gap]
    return [Case(video.name, frame, float(video.scores[frame])) for frame in chosen]


def _analysed(video: ScoredVideo, result: Result) -> NDArray[np.int64]:
    """The frames of a video whose scores come from the scorer itself, ascending."""
    frames = np.arange(0, len(video.scores), int(result.protocol.get("stride", 1)))
    whole = result.protocol.get("tails", "kept") == "kept"
    return np.union1d(frames, [len(video.scores) - 1]) if whole else frames


def frames_by_video(groups: Sequence[CaseGroup]) -> dict[str, list[int]]:
    """Every frame that is shown, once, by video."""
    frames: dict[str, set[int]] = {}
    for case in (case for group in groups for case in group.cases):
        frames.setdefault(case.video, set()).add(case.frame)
    return {video: sorted(numbers) for video, numbers in frames.items()}


def score_range(result: Result) -> tuple[float, float]:
    """Lowest and highest value of the score axis: 0 and 1 for probabilities, else what occurs in the result."""
    low = min(float(video.scores.min()) for video in result.videos)
    high = max(float(video.scores.max()) for video in result.videos)
    if result.threshold == 0.5:
        return min(0.0, low), max(1.0, high)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def curve(video: ScoredVideo, *, low: float, high: float, threshold: float | None) -> dict[str, Any]:
    """The scores of a video between the ends of the score axis, as the numbers of an inline SVG drawing, y downwards.

    Returns:
        `path` of the score line; `truth`, (x, width) of the abnormal stretches; `threshold`, its y, None without one.
    """
    frames = len(video.scores)
    step = WIDTH / frames

    def y(score: float) -> float:
        return round(HEIGHT * (1 - (score - low) / (high - low)), 1)

    xs, scores = thin((np.arange(frames) + 0.5) * step, video.scores, most=_MOST_POINTS)
    points = [f"{x:.1f} {y(score)}" for x, score in zip(xs, scores, strict=True)]
    truth = [(round(first * step, 1), round((stop - first) * step, 1)) for first, stop in stretches(video.labels)]
    inside = threshold is not None and low <= threshold <= high
    return {"path": "M" + "L".join(points), "truth": truth, "threshold": y(threshold) if inside else None}
