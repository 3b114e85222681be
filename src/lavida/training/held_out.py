"""Measurement while a model is trained: a small exposure test on held-out pictures of the recipe's own data sets.

It asks only pictures that calibration may learn from (`lavida/evaluation/exposure/sets.py`), so that the choice of the
best checkpoint leaves the other half for the number that is reported.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from lavida.detector import Detector
from lavida.evaluation.exposure.answers import Answer, ask, forward, found_mask
from lavida.evaluation.exposure.sets import MOST_PICTURES
from lavida.exposure.datasets import load
from lavida.exposure.heldout import HeldoutQuestions, Prompt, Question, evenly_spread
from lavida.exposure.vocabulary import Vocabulary
from lavida.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Finding:
    """What a model finds in one held-out picture.

    Attributes:
        frame: uint8 `[H,W,3]`.
        truth, found: bool `[H,W]`, the mask of the present class and the mask of the model.
        categories: what was asked for.
        present: the one that is there.
        logit: the frame logit, before calibration.
    """

    frame: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    categories: tuple[str, ...]
    present: str
    logit: float


class HeldOutTest:
    """The held-out pictures of every data set in a recipe, and fixed prompts about them.

    Raises:
        InputError: a data set has no held-out pictures.
    """

    def __init__(self, recipe: Recipe):
        sets = dict.fromkeys((each.name, each.folder) for each in recipe.data.sets)
        self._questions = {
            name: _questions(name, Path(recipe.data.root) / folder, pictures=recipe.train.evaluate_pictures)
            for name, folder in sets
        }
        self._shown = recipe.train.show_pictures

    def aucs(self, detector: Detector) -> dict[str, float]:
        """The AUC of the frame score on each set that has prompts of both kinds."""
        aucs = {name: _auc(_answers(detector, questions)) for name, questions in self._questions.items()}
        return {name: auc for name, auc in aucs.items() if auc is not None}

    def findings(self, detector: Detector) -> list[Finding]:
        """The same few pictures each time, from all sets in turn."""
        streams = [_positive(detector, questions) for questions in self._questions.values()]
        found: list[tuple[Question, Prompt]] = []
        while streams and len(found) < self._shown:
            stream = streams.pop(0)
            if (asked := next(stream, None)) is not None:
                found.append(asked)
                streams.append(stream)
        return [_finding(detector, question, prompt) for question, prompt in found]


def _questions(name: str, root: Path, *, pictures: int) -> HeldoutQuestions:
    dataset = load(name, root, "heldout")
    learns = evenly_spread(len(dataset), MOST_PICTURES)[::2]  # the half that calibration learns from
    asked = [learns[i] for i in evenly_spread(len(learns), pictures)]
    return HeldoutQuestions(dataset, vocabulary=Vocabulary.builtin(), asked=asked)


def _prompts(detector: Detector, question: Question) -> list[Prompt]:
    """Those without a name that was removed from training."""
    removed = set(detector.model.config.removed_categories)
    return [prompt for prompt in question.prompts if removed.isdisjoint(prompt.categories)]


def _answers(detector: Detector, questions: HeldoutQuestions) -> list[Answer]:
    asked = ((question.sample, _prompts(detector, question)) for question in questions)
    return [answer for sample, prompts in asked for answer in ask(detector, sample, prompts, calibrates=True)]


def _auc(answers: list[Answer]) -> float | None:
    positive, logits = [a.positive for a in answers], [a.logit for a in answers]
    defined = 0 < sum(positive) < len(positive) and all(map(math.isfinite, logits))
    return float(roc_auc_score(positive, logits)) if defined else None


def _positive(detector: Detector, questions: HeldoutQuestions) -> Iterator[tuple[Question, Prompt]]:
    for question in questions:
        for prompt in _prompts(detector, question):
            if prompt.positive is not None:
                yield question, prompt


def _finding(detector: Detector, question: Question, prompt: Prompt) -> Finding:
    frame, truth = question.sample.frames[0], question.sample.masks[prompt.positive][0]
    output, _ = forward(detector, question.sample, [prompt])
    return Finding(
        frame=frame,
        truth=truth,
        found=found_mask(output, (0, 0), truth.shape),
        categories=prompt.categories,
        present=prompt.positive,
        logit=float(output.frame_logits[0, 0]),
    )
