"""The run of the exposure test: held-out sets -> answers -> `metrics.json`, scores and the reliability curve."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lavida import __version__
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.exposure.answers import Answer, ask_all
from lavida.evaluation.exposure.measures import category_measures, removed_measures, row_measures
from lavida.evaluation.exposure.reliability import draw_reliability, reliability_curve
from lavida.evaluation.exposure.scenes import ROWS, MovingScenes
from lavida.evaluation.exposure.sets import CLIP_LENGTH, MOST_CLIPS, MOST_PICTURES, PICTURES, clip_sets
from lavida.evaluation.exposure.words import WordsAlone
from lavida.evaluation.results import ResultFolder
from lavida.exposure.heldout import Prompt
from lavida.progress import progress_bar

REMOVED = "removed"  # the row of the categories that training never used
WORDS_DRAWS = 8  # pairs of prompts for a training sample


def exposure_answers(
    detector: Detector, root: Path, *, calibrating: bool = False
) -> Iterator[tuple[str, list[Answer]]]:
    """The answers of every held-out picture set below `root` (the layout of the data kit).

    Args:
        detector: Its model is asked.
        root: Holds the folders of `PICTURES`.
        calibrating: Ask only the half of the pictures that calibration may learn from, and leave out prompts with a
            category that was removed from training, and sets that then lack one of the two kinds of prompts.

    Raises:
        InputError: A set is not there; before anything is asked.
    """
    removed = frozenset(detector.model.config.removed_categories)
    sets = [(each.row, *each.questions(Path(root), calibrating=calibrating)) for each in PICTURES]
    for row, questions, learns in sets:
        answers, _ = ask_all(detector, row, questions, learns=learns)
        if calibrating:
            answers = [a for a in answers if removed.isdisjoint(a.categories)]
            if len({a.positive for a in answers}) < 2:
                continue
        yield row, answers


def evaluate_exposure(detector: Detector, *, root: Path, out: Path) -> dict[str, Any]:
    """Run the exposure test and write `out/metrics.json`, `out/scores/<set>.npz` and `out/reliability.png`.

    Args:
        detector: what is measured.
        root: holds the picture sets of the data kit and any data sets of videos (see `clip_sets`).
        out: made when missing; an earlier result is replaced when all is done.

    Returns:
        What `metrics.json` holds: `sets` (the rows of the table), `removed` and `categories` (by name),
        `reliability`, `settings`.

    Raises:
        InputError: a data set is not there or damaged, or `out` cannot be written.
    """
    root, started = Path(root), time.perf_counter()
    removed = frozenset(detector.model.config.removed_categories)
    with ResultFolder(Path(out)) as folder:
        words = _words(root, removed=removed)
        pictures, clips, of_removed = _answers(detector, root, removed=removed)
        rows = {name: answers for part in (pictures, clips) for name, answers in part.items()}
        if removed:
            rows[REMOVED] = of_removed
        for name, answers in rows.items():
            labels = np.array([a.positive for a in answers], dtype=np.uint8)
            folder.write_scores(name.replace(" ", "-"), scores=_probabilities(detector, answers), labels=labels)
        of_pictures = [a for answers in pictures.values() for a in answers]
        unseen = [a for a in of_pictures if not a.calibrates]
        result = {
            "benchmark": "exposure",
            "model": detector.name,
            "sets": {name: row_measures(answers, words.get(name)) for name, answers in rows.items()},
            "removed": removed_measures(of_removed, removed),
            "categories": category_measures(of_pictures),
            "reliability": reliability_curve(_probabilities(detector, unseen), np.array([a.positive for a in unseen])),
            "settings": _settings(seconds=time.perf_counter() - started),
        }
        folder.publish(result)
    draw_reliability(result["reliability"], Path(out) / "reliability.png")
    return result


def _answers(
    detector: Detector, root: Path, *, removed: frozenset[str]
) -> tuple[dict[str, list[Answer]], dict[str, list[Answer]], list[Answer]]:
    """By row: about pictures, about clips and moving scenes; and about pictures that show a removed category."""
    pictures, clips, of_removed = {}, {}, []
    # all sets are opened before the first is asked: what is missing is said at once
    picture_sets = [(each.row, *each.questions(root, removed=removed)) for each in PICTURES]
    video_sets = [(each.row, *each.questions(root)) for each in clip_sets(root)]
    scenes = [(row, MovingScenes(root, row), frozenset[int]()) for row in ROWS if detector.model.config.motion]
    for row, questions, learns in picture_sets:
        pictures[row], others = ask_all(detector, row, questions, learns=learns)
        of_removed += others
    for row, questions, learns in [*video_sets, *scenes]:
        clips[row], _ = ask_all(detector, row, questions, learns=learns)
    return pictures, clips, of_removed


def _words(root: Path, *, removed: frozenset[str]) -> dict[str, WordsAlone | None]:
    """For each row a baseline that has learnt from prompts about the row's training split, where that is there."""
    learnt, about_removed = {}, []
    for each, names in [*((p, removed) for p in PICTURES), *((c, frozenset()) for c in clip_sets(root))]:
        try:
            questions, _ = each.questions(root, split="train", removed=names, seeds=range(WORDS_DRAWS))
        except InputError:  # a root for testing alone is no mistake: the row has no such number then
            continue
        own: list[Prompt] = []
        with progress_bar(f"words alone: {each.row}", total=len(questions)) as advance:
            for question in questions:
                own += question.prompts
                about_removed += question.removed
                advance()
        learnt[each.row] = WordsAlone.learn(own)
    return learnt | {REMOVED: WordsAlone.learn(about_removed)}


def _settings(*, seconds: float) -> dict[str, Any]:
    return {
        "scorer": "detector",
        "lavida": __version__,
        "seed": 0,
        "most_pictures": MOST_PICTURES,
        "most_clips": MOST_CLIPS,
        "clip_length": CLIP_LENGTH,
        "seconds": round(seconds, 1),
    }


def _probabilities(detector: Detector, answers: Sequence[Answer]) -> np.ndarray:
    logits = torch.tensor([a.logit for a in answers])
    return detector.model.calibrated(logits).sigmoid().numpy()
