"""The run of the held-out test: sets -> answers -> `metrics.json`, scores and the reliability curve."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lavida import __version__
from lavida.detector import Detector
from lavida.errors import InputError, need
from lavida.evaluation.held_out.answers import (
    QueryAnswer,
    Questions,
    ask_all,
    category_measures,
    removed_measures,
    row_measures,
)
from lavida.evaluation.held_out.further import COCO, CocoQuestions, further_questions, further_sets, intervals
from lavida.evaluation.held_out.qualifier_pairs import qualified_measures
from lavida.evaluation.held_out.questions import (
    CLIP_LENGTH,
    MOST_CLIPS,
    MOST_PICTURES,
    PICTURES,
    ROWS,
    HeldOut,
    MovingScenes,
    WordsAlone,
    clip_sets,
)
from lavida.evaluation.results import ResultFolder, file_name
from lavida.exposure.heldout import Query
from lavida.timing import Progress, untold

REMOVED = "removed"  # the row of the categories that training never used
WORDS_DRAWS = 8  # pairs of queries for a training sample
BINS = 10  # of the reliability curve


def exposure_answers(
    detector: Detector,
    root: Path,
    *,
    calibrating: bool = False,
    pictures: Sequence[HeldOut] = PICTURES,
    progress: Progress = untold,
) -> Iterator[tuple[str, list[QueryAnswer]]]:
    """The answers of every held-out picture set below `root` (the layout of the data kit), by row.

    `calibrating` asks only the half of the pictures that calibration may learn from, and leaves out queries with a
    category that was removed from training, and sets that then lack one of the two kinds of queries.

    Raises:
        InputError: a set is not there; before anything is asked.
    """
    removed = frozenset(detector.config.removed_categories)
    sets = [(each.row, *each.questions(Path(root), calibrating=calibrating)) for each in pictures]
    for row, questions, learns in sets:
        answers, _ = ask_all(detector, row, questions, learns=learns, progress=progress)
        if calibrating:
            answers = [a for a in answers if removed.isdisjoint(a.categories)]
            if len({a.positive for a in answers}) < 2:
                continue
        yield row, answers


def evaluate_exposure(
    detector: Detector,
    *,
    root: Path,
    out: Path,
    pictures: Sequence[HeldOut] = PICTURES,
    clip_length: int = CLIP_LENGTH,
    qualified: bool = False,
    progress: Progress = untold,
) -> dict[str, Any]:
    """Run the held-out test and write `out/metrics.json`, `out/scores/<set>.npz` and `out/reliability.png`.

    `root` holds the picture sets of the data kit and any data sets of videos (see `clip_sets`). An earlier result is
    replaced when all is done. What `metrics.json` holds is returned: `sets` (the rows of the table), `intervals` (of
    the row of all of COCO), `removed` and `categories` (by name), `reliability`, `settings`; with `qualified` also
    that (`qualified_measures`).

    Raises:
        InputError: a data set is not there or damaged, or `out` cannot be written, or matplotlib is not installed.
    """
    need("matplotlib", "the reliability curve is drawn with it")
    root, started = Path(root), time.perf_counter()
    removed = frozenset(detector.config.removed_categories)
    sets = [(each, removed) for each in pictures]
    sets += [(each, frozenset()) for each in (*clip_sets(root, clip_length=clip_length), *further_sets(root))]
    with ResultFolder(Path(out)) as folder:
        words = _words(root, sets, progress)
        rows, of_removed = _answers(detector, root, sets, progress)
        about_pictures = [answer for each in pictures for answer in rows[each.row]]
        if removed:
            rows[REMOVED] = of_removed
        for name, answers in rows.items():
            labels = np.array([a.positive for a in answers], dtype=np.uint8)
            folder.write_scores(file_name(name), scores=_probabilities(detector, answers), labels=labels)
        unseen = [a for a in about_pictures if not a.calibrates]
        reliability = reliability_curve(_probabilities(detector, unseen), np.array([a.positive for a in unseen]))
        result = {
            "benchmark": "exposure",
            "model": detector.name,
            "sets": {name: row_measures(answers, words.get(name)) for name, answers in rows.items()},
            "intervals": {COCO: intervals(rows[COCO])} if COCO in rows else {},
            "removed": removed_measures(of_removed, removed),
            "categories": category_measures(about_pictures),
            "reliability": reliability,
            "settings": {
                "scorer": "detector",
                "lavida": __version__,
                "seed": 0,
                "most_pictures": MOST_PICTURES,
                "most_clips": MOST_CLIPS,
                "clip_length": clip_length,
                "seconds": round(time.perf_counter() - started, 1),
            },
        }
        if qualified:
            result["qualified"] = qualified_measures(detector, root, progress=progress)
        folder.add_file("reliability.png", partial(draw_reliability, reliability))
        folder.publish(result)
    return result


def _answers(
    detector: Detector, root: Path, sets: Sequence[tuple[HeldOut, frozenset[str]]], progress: Progress
) -> tuple[dict[str, list[QueryAnswer]], list[QueryAnswer]]:
    """By row, moving scenes last; and those about removed categories."""
    # all sets are opened before the first is asked: what is missing is said at once
    opened: list[tuple[str, Questions, frozenset[int]]] = [
        (each.row, *each.questions(root, removed=removed)) for each, removed in sets
    ]
    opened += [(row, questions, frozenset()) for row, questions in further_questions(root).items()]
    opened += [(row, MovingScenes(root, row), frozenset()) for row in ROWS if detector.config.motion]
    rows: dict[str, list[QueryAnswer]] = {}
    of_removed = []
    for row, questions, learns in opened:
        rows[row], about_removed = ask_all(detector, row, questions, learns=learns, progress=progress)
        of_removed += about_removed
    return rows, of_removed


def _words(
    root: Path, sets: Sequence[tuple[HeldOut, frozenset[str]]], progress: Progress
) -> dict[str, WordsAlone | None]:
    """For each row a baseline that has learnt from queries about the row's training split, where that is there."""
    learnt: dict[str, WordsAlone | None] = {}
    about_removed: list[Query] = []
    for each, removed in sets:
        try:
            questions, _ = each.questions(root, split="train", removed=removed, seeds=range(WORDS_DRAWS))
        except InputError:  # a root for testing alone is no mistake: the row has no such number then
            continue
        own: list[Query] = []
        for done, question in enumerate(questions, start=1):
            own += question.prompts
            about_removed += question.removed
            progress(f"words alone: {each.row}", done, len(questions))
        learnt[each.row] = WordsAlone.learn(own)
    if COCO in further_questions(root):
        with suppress(InputError):
            of_coco = CocoQuestions(root, split="train")
            learnt[COCO] = WordsAlone.learn([prompt for question in of_coco for prompt in question.prompts])
    return learnt | {REMOVED: WordsAlone.learn(about_removed)}


def _probabilities(detector: Detector, answers: Sequence[QueryAnswer]) -> np.ndarray:
    return detector.probabilities(np.array([a.logit for a in answers], np.float32))


def reliability_curve(probabilities: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Mean score against the share of positives in ten equal bins of the score, and their weighted mean gap.

    That is `score`, `positive_share` and `prompts` for each bin that is not empty, and `expected_calibration_error`.
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
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="score", ylabel="share of prompts with a named category in the picture")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    axes.plot(curve["score"], curve["positive_share"], marker="o", label="measured")
    for score, share, count in zip(curve["score"], curve["positive_share"], curve["prompts"], strict=True):
        axes.annotate(str(count), (score, share), xytext=(6, -9), textcoords="offset points", fontsize=8, color="0.4")
    axes.set(xlim=(0, 1), ylim=(0, 1), title="Reliability on held-out pictures")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
