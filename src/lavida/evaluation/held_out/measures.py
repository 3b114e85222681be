"""From answers to numbers: AUCs, mask IoU, and reliability (does a score of 0.8 mean four out of five?)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from lavida.evaluation.held_out.answers import Answer
from lavida.evaluation.held_out.baselines import WordsAlone

BINS = 10  # of the reliability curve


def row_measures(answers: Sequence[Answer], words: WordsAlone | None) -> dict[str, float | int | None]:
    """One row of the table. An AUC is None while all frames are of one kind or nothing gives that score."""
    positive = [a.positive for a in answers]
    untrained = [a.untrained for a in answers]
    return {
        "prompts": sum(a.frame == 0 for a in answers),
        "frames": len(answers),
        "auc": area(positive, [a.logit for a in answers]),
        "auc_words": None if words is None else area(positive, words.scores(a.categories for a in answers)),
        "auc_untrained": None if None in untrained else area(positive, untrained),
        "mask_iou": _mean(a.iou for a in answers),
        "category_accuracy": _mean(a.named for a in answers),
    }


def category_measures(answers: Iterable[Answer]) -> dict[str, dict[str, float | int | None]]:
    """For each name the AUC of its own logit: frames that show it against frames that were asked for it in vain.

    Frames of a sample that has the category, but not in sight, count as neither.
    """
    logits: dict[str, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for answer in answers:
        for name, logit in zip(answer.categories, answer.category_logits, strict=bool(answer.category_logits)):
            if name != answer.present or answer.positive:
                logits[name][name == answer.present].append(logit)
    return _sides_by_name(logits)


def removed_measures(answers: Iterable[Answer], removed: Collection[str]) -> dict[str, dict[str, Any]]:
    """For each removed name the AUC of the frame score: prompts where it is there against prompts where it is not.

    The name is in all of these prompts, so it gives nothing away.
    """
    logits: dict[str, dict[bool, list[float]]] = {name: {True: [], False: []} for name in removed}
    for answer in answers:
        for name in logits.keys() & set(answer.categories):
            logits[name][answer.positive].append(answer.logit)
    return _sides_by_name(logits)


def _sides_by_name(logits: dict[str, dict[bool, list[float]]]) -> dict[str, dict[str, Any]]:
    measures = {}
    for name, sides in sorted(logits.items()):
        present, absent = len(sides[True]), len(sides[False])
        auc = area([True] * present + [False] * absent, sides[True] + sides[False])
        measures[name] = {"auc": auc, "present": present, "absent": absent}
    return measures


def area(positive: Sequence[bool], scores: Sequence[float] | np.ndarray) -> float | None:
    """ROC AUC; None while there is only one kind."""
    return float(roc_auc_score(positive, scores)) if len(set(positive)) == 2 else None


def _mean(values: Iterable[float | bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


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
