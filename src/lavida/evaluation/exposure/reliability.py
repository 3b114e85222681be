"""Reliability of the calibrated score: does a score of 0.8 mean four out of five?"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

BINS = 10


def reliability_curve(probabilities: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Mean score against the share of positives in ten equal bins of the score, and their weighted mean gap.

    Returns:
        `score`, `positive_share`, `prompts` per non-empty bin, and `expected_calibration_error`.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = [(probabilities[bins == b].mean(), positive[bins == b].mean(), int((bins == b).sum())) for b in set(bins)]
    rows.sort()
    gap = sum(count * abs(score - share) for score, share, count in rows) / len(probabilities)
    return {
        "score": [float(row[0]) for row in rows],
        "positive_share": [float(row[1]) for row in rows],
        "prompts": [row[2] for row in rows],
        "expected_calibration_error": float(gap),
    }


def draw_reliability(curve: dict[str, Any], path: Path) -> None:
    """The reliability curve: mean score of a bin against the share of positives in it, with the number of prompts."""
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="score", ylabel="share of prompts with a named category in the picture")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    axes.plot(curve["score"], curve["positive_share"], marker="o", label="measured")
    for score, share, count in zip(curve["score"], curve["positive_share"], curve["prompts"], strict=True):
        axes.annotate(str(count), (score, share), xytext=(6, -9), textcoords="offset points", fontsize=8, color="0.4")
    axes.set(xlim=(0, 1), ylim=(0, 1), title="Reliability on held-out pictures")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
