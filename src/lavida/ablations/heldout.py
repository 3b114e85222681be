"""What a trained row is measured by: the held-out exposure test and, where it is given, UCSD Ped2."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

from lavida.detector import Detector
from lavida.evaluation import evaluate, open_benchmark
from lavida.evaluation.exposure.answers import Questions, ask_all
from lavida.evaluation.exposure.measures import row_measures
from lavida.evaluation.exposure.scenes import ACTORS, ROWS, MovingScenes
from lavida.evaluation.exposure.sets import PICTURES, check_pictures
from lavida.exposure.datasets import load
from lavida.exposure.heldout import HeldoutQuestions, evenly_spread
from lavida.exposure.vocabulary import Vocabulary

PED2 = "ucsd-ped2"
MOVING = "moving"
MEANS = ("auc", "mask_iou", "category_accuracy")
PED2_METRICS = {"pixel_auc": "ped2.pixel_auc", "frame_auc_micro": "ped2.frame_auc"}


def check_data(root: Path, ped2: Path | None) -> None:
    """Raise InputError before anything is trained if what rows are measured on is not there."""
    check_pictures(root)
    if ped2 is not None:
        open_benchmark(PED2, ped2)


def held_out_sets(detector: Detector, root: Path, *, pictures: int) -> dict[str, dict[str, Any]]:
    """`prompts`, frame `auc`, `mask_iou` and `category_accuracy` of each held-out set below `root`.

    These are the picture sets and, where its pictures are there, `MOVING`: scenes that ask for motion words.

    Args:
        detector: its model is asked.
        root: the folder of the data sets.
        pictures: at most so many of a set, spread evenly, and so many scenes.
    """
    sets = {}
    for held_out in PICTURES:
        dataset = load(held_out.dataset, root / held_out.folder, "heldout")
        asked = evenly_spread(len(dataset), pictures)
        questions = HeldoutQuestions(dataset, vocabulary=Vocabulary.builtin(), asked=asked)
        sets[held_out.row] = _measured(detector, held_out.row, questions)
    if all((root / folder).is_dir() for _, folder in ACTORS):
        rows = [_measured(detector, row, MovingScenes(root, row, scenes=pictures)) for row in ROWS]
        means = {key: _mean([row[key] for row in rows]) for key in MEANS}
        sets[MOVING] = {"prompts": sum(row["prompts"] for row in rows), **means}
    return sets


def _measured(detector: Detector, row: str, questions: Questions) -> dict[str, Any]:
    answers, _ = ask_all(detector, row, questions)
    return row_measures(answers, None)


def overall(sets: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """The columns of a table: `auc.<set>`, and the means over the sets of pictures."""
    means = {key: _mean([s[key] for name, s in sets.items() if name != MOVING]) for key in MEANS}
    return {f"auc.{name}": values["auc"] for name, values in sets.items()} | means


def measure_ped2(detector: Detector, root: Path, out: Path) -> None:
    """Measure Ped2 into the folder `out`; nothing is trained or chosen by it."""
    evaluate(open_benchmark(PED2, root), detector=detector, out=out)


def read_ped2(out: Path) -> dict[str, float]:
    """The Ped2 columns of an earlier measurement in `out`; empty where there is none."""
    path = out / "metrics.json"
    if not path.is_file():
        return {}
    metrics = json.loads(path.read_text())
    return {column: metrics[key] for key, column in PED2_METRICS.items()}


def _mean(values: list[float | None]) -> float | None:
    """Of the values that are there; None without any."""
    there = [value for value in values if value is not None]
    return fmean(there) if there else None
