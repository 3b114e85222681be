"""The score of one video over its frames as the numbers of an inline SVG drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lavida.evaluation.report.result import Result, ScoredVideo
from lavida.export.timeline import thin
from lavida.figures.moments import stretches

WIDTH, HEIGHT = 640, 96  # units of the drawing
_MOST_POINTS = 480


@dataclass(frozen=True)
class Curve:
    """Everything in units of the drawing, y downwards.

    Attributes:
        path: of the score line.
        truth: (x, width) of the abnormal stretches.
        threshold: y of the threshold, None without one.
    """

    path: str
    truth: list[tuple[float, float]]
    threshold: float | None


def score_range(result: Result) -> tuple[float, float]:
    """Lowest and highest value of the score axis: 0 and 1 for probabilities, else what occurs in the result."""
    low = min(float(video.scores.min()) for video in result.videos)
    high = max(float(video.scores.max()) for video in result.videos)
    if result.threshold == 0.5:
        return min(0.0, low), max(1.0, high)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def curve(video: ScoredVideo, *, low: float, high: float, threshold: float | None) -> Curve:
    """Draw a video between the ends of the score axis."""
    frames = len(video.scores)
    step = WIDTH / frames

    def y(score: float) -> float:
        return round(HEIGHT * (1 - (score - low) / (high - low)), 1)

    xs, scores = thin((np.arange(frames) + 0.5) * step, video.scores, most=_MOST_POINTS)
    points = [f"{x:.1f} {y(score)}" for x, score in zip(xs, scores, strict=True)]
    truth = [(round(first * step, 1), round((stop - first) * step, 1)) for first, stop in stretches(video.labels)]
    inside = threshold is not None and low <= threshold <= high
    return Curve("M" + "L".join(points), truth, y(threshold) if inside else None)
