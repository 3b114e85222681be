"""From answers to numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from lavida.evaluation.exposure.answers import Answer
from lavida.evaluation.exposure.words import WordsAlone


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
    return {name: _two_sides(present=sides[True], absent=sides[False]) for name, sides in sorted(logits.items())}


def removed_measures(answers: Iterable[Answer], removed: Collection[str]) -> dict[str, dict[str, Any]]:
    """For each removed name the AUC of the frame score: prompts where it is there against prompts where it is not.

    The name is in all of these prompts, so it gives nothing away.
    """
    logits: dict[str, dict[bool, list[float]]] = {name: {True: [], False: []} for name in removed}
    for answer in answers:
        for name in logits.keys() & set(answer.categories):
            logits[name][answer.positive].append(answer.logit)
    return {name: _two_sides(present=sides[True], absent=sides[False]) for name, sides in sorted(logits.items())}


def area(positive: Sequence[bool], scores: Sequence[float] | np.ndarray) -> float | None:
    """ROC AUC; None while there is only one kind."""
    return float(roc_auc_score(positive, scores)) if len(set(positive)) == 2 else None


def _two_sides(*, present: list[float], absent: list[float]) -> dict[str, float | int | None]:
    auc = area([True] * len(present) + [False] * len(absent), present + absent)
    return {"auc": auc, "present": len(present), "absent": len(absent)}


def _mean(values: Iterable[float | bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
