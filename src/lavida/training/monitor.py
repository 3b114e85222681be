"""What a person sees of a training: losses, held-out AUC, pictures; and the best model so far.

The AUC comes from a small exposure test on held-out pictures of the recipe's own data sets. It asks only pictures that
calibration may learn from (`evaluation/held_out/questions.py`), so that the choice of the best checkpoint leaves the
other half for the number that is reported.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image, ImageDraw
from torch import nn

from lavida.detector import Detector
from lavida.evaluation.held_out.answers import area, ask, forward, found_mask
from lavida.evaluation.held_out.questions import MOST_PICTURES
from lavida.export.drawing import font
from lavida.exposure.datasets import load
from lavida.exposure.heldout import HeldoutQuestions, Query, Question, evenly_spread
from lavida.exposure.vocabulary import Vocabulary
from lavida.training.recipe import DataRecipe, TrainRecipe
from lavida.training.run_folder import BEST, RunFolder
from lavida.training.saving import save_model
from lavida.training.steps import outside_forward

_log = logging.getLogger(__name__)

WIDTH, POINTS = 320, 13  # of one panel, of the caption's letters
TRUTH, FOUND = (0, 158, 115), (213, 94, 0)  # green and red that colour-blind people can tell apart
OPACITY = 0.5


@dataclass(frozen=True, slots=True)
class HeldOutExample:
    """What a model finds in one held-out picture."""

    frame: np.ndarray  # uint8 [H,W,3]
    truth: np.ndarray  # bool [H,W], the mask of the present class
    found: np.ndarray  # bool [H,W], the mask of the model
    categories: tuple[str, ...]  # what was asked for
    present: str  # the one that is there
    logit: float  # of the frame, before calibration


class HeldOutTest:
    """The held-out pictures of every data set of a training, and fixed prompts about them.

    Raises:
        InputError: a data set has no held-out pictures.
    """

    def __init__(self, data: DataRecipe, opt: TrainRecipe):
        sets = dict.fromkeys((each.name, each.folder) for each in data.used)
        self._questions = {
            name: _questions(name, Path(data.root) / folder, pictures=opt.evaluate_pictures) for name, folder in sets
        }
        self._shown = opt.show_pictures

    def aucs(self, detector: Detector) -> dict[str, float]:
        """The AUC of the frame score on each set that has prompts of both kinds."""
        aucs = {name: _auc(detector, questions) for name, questions in self._questions.items()}
        return {name: auc for name, auc in aucs.items() if auc is not None}

    def examples(self, detector: Detector) -> list[HeldOutExample]:
        """The same few pictures each time, from all sets in turn."""
        streams = [_positive(detector, questions) for questions in self._questions.values()]
        turns = chain.from_iterable(zip_longest(*streams))
        return [_example(detector, *asked) for asked in islice(filter(None, turns), self._shown)]


class Monitor:
    """Logs to the run's folder and to TensorBoard, and measures the model every `train.evaluate_every` steps.

    `first` steps are done; later ones in an earlier log are hidden from TensorBoard.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        folder: RunFolder,
        opt: TrainRecipe,
        *,
        test: HeldOutTest | None,
        first: int,
    ):
        self._accelerator, self._model, self._folder = accelerator, model, folder
        self._opt, self._test = opt, test
        if first < opt.steps:
            accelerator.init_trackers("log", init_kwargs={"tensorboard": {"purge_step": first + 1}})

    def after(self, step: int, values: dict[str, float]) -> None:
        """Called with the number of steps done and the last one's values, before its checkpoint is written."""
        if step % self._opt.log_every == 0:
            self._folder.log(step, values)
        if self._test is not None and step % self._opt.evaluate_every == 0:
            self._evaluate(step, self._test)

    def _evaluate(self, step: int, test: HeldOutTest) -> None:
        """All processes measure the same, as a sharded model needs all of them to answer."""
        accelerator = self._accelerator
        detector = Detector.of(accelerator.unwrap_model(self._model), name=f"step {step}", device=accelerator.device)
        with outside_forward(detector.model):
            aucs, examples = test.aucs(detector), test.examples(detector)
        self._model.train()
        if not aucs:
            return
        auc = fmean(aucs.values())
        best = self._main_says(auc > self._folder.best_auc())
        if best:
            save_model(accelerator, self._model, self._folder.root / BEST)
        self._folder.log_evaluation(step, {"auc": auc, "sets": aucs})
        accelerator.log({"held-out/auc": auc} | {f"held-out/{name}": each for name, each in aucs.items()}, step=step)
        self._show(step, [draw_example(example) for example in examples])
        if accelerator.is_main_process:
            note = ", the best so far" if best else ""
            _log.info("%s", f"step {step} of {self._opt.steps}: held-out AUC {auc:.3f}{note}")

    def _main_says(self, yes: bool) -> bool:
        """What the main process thinks: the others may not see the log, and rounding may differ."""
        vote = torch.tensor(float(yes and self._accelerator.is_main_process), device=self._accelerator.device)
        return bool(self._accelerator.reduce(vote, "sum") > 0)

    def _show(self, step: int, pictures: list[np.ndarray]) -> None:
        if self._accelerator.trackers and self._accelerator.is_main_process:
            writer = self._accelerator.get_tracker("tensorboard", unwrap=True)
            for number, picture in enumerate(pictures):
                writer.add_image(f"held-out/picture-{number}", picture, step, dataformats="HWC")
            writer.flush()


def _questions(name: str, root: Path, *, pictures: int) -> HeldoutQuestions:
    dataset = load(name, root, "heldout")
    learns = evenly_spread(len(dataset), MOST_PICTURES)[::2]  # the half that calibration learns from
    asked = [learns[i] for i in evenly_spread(len(learns), pictures)]
    return HeldoutQuestions(dataset, vocabulary=Vocabulary.builtin(), asked=asked)


def _prompts(detector: Detector, question: Question) -> list[Query]:
    """Those without a name that was removed from training."""
    removed = set(detector.model.config.removed_categories)
    return [prompt for prompt in question.prompts if removed.isdisjoint(prompt.categories)]


def _auc(detector: Detector, questions: HeldoutQuestions) -> float | None:
    asked = ((question.sample, _prompts(detector, question)) for question in questions)
    answers = [answer for sample, prompts in asked for answer in ask(detector, sample, prompts, calibrates=True)]
    return area([a.positive for a in answers], [a.logit for a in answers])


def _positive(detector: Detector, questions: HeldoutQuestions) -> Iterator[tuple[Question, Query, str]]:
    """Each prompt with something that is there, and what that is."""
    for question in questions:
        for prompt in _prompts(detector, question):
            if prompt.positive is not None:
                yield question, prompt, prompt.positive


def _example(detector: Detector, question: Question, prompt: Query, present: str) -> HeldOutExample:
    frame, truth = question.sample.frames[0], question.sample.masks[present][0]
    output, _ = forward(detector, question.sample, [prompt])
    return HeldOutExample(
        frame=frame,
        truth=truth,
        found=found_mask(output, (0, 0), truth.shape, clean=detector.model.config.clean_masks),
        categories=prompt.categories,
        present=present,
        logit=float(output.frame_logits[0, 0]),
    )


def draw_example(example: HeldOutExample) -> np.ndarray:
    """uint8 `[h, 3 * WIDTH, 3]`; the caption gives the score and the categories, the present one in brackets."""
    panels = [example.frame, _tinted(example.frame, example.truth, TRUTH), _tinted(example.frame, example.found, FOUND)]
    height = max(1, round(WIDTH * example.frame.shape[0] / example.frame.shape[1]))
    row = np.concatenate([np.asarray(Image.fromarray(panel).resize((WIDTH, height))) for panel in panels], 1)
    names = ", ".join(f"[{name}]" if name == example.present else name for name in example.categories)
    score = 1 / (1 + math.exp(-min(max(example.logit, -30), 30)))
    return np.concatenate([row, _caption(f"score {score:.2f}: {names}", width=row.shape[1])])


def _tinted(frame: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    tinted = frame.copy()
    tinted[mask] = (1 - OPACITY) * frame[mask] + OPACITY * np.array(colour)
    return tinted


def _caption(text: str, *, width: int) -> np.ndarray:
    letters = font(POINTS)
    lines, room = [""], width - POINTS
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if letters.getlength(longer) <= room else [*lines, word]
    canvas = Image.new("RGB", (width, round(1.4 * POINTS * len(lines)) + POINTS))
    ImageDraw.Draw(canvas).multiline_text((POINTS // 2, POINTS // 2), "\n".join(lines), font=letters)
    return np.asarray(canvas)
