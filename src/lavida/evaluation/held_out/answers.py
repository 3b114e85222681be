"""What the model says to prompts about one sample, which is encoded only once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.held_out.baselines import untrained_scores
from lavida.evaluation.scorers import Progress, untold
from lavida.exposure.heldout import Prompt, Question
from lavida.exposure.moving import own_neighbours, with_motion
from lavida.exposure.sample import Segmented
from lavida.model.lavida import LavidaOutput
from lavida.video.clips import analysis_size


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to one prompt about one frame.

    Attributes:
        positive: whether a named category is in the frame.
        logit: the frame logit before calibration.
        iou: of the mask with the present class; None without one.
        named: whether the strongest category is the present one; None without one.
        calibrates: whether calibration may learn from this picture (every other one).
        frame: index of the frame in its clip, 0 for a picture.
        categories: the names in the prompt.
        present: the one that is in the sample, though not always in this frame; None where none is.
        category_logits: of each name in the prompt; empty where the model cannot tell categories apart.
        untrained: what the backbone's own classifier says without training; None where there is none.
        index: of the sample in its set.
    """

    positive: bool
    logit: float
    iou: float | None
    named: bool | None
    calibrates: bool
    frame: int = 0
    categories: tuple[str, ...] = ()
    present: str | None = None
    category_logits: tuple[float, ...] = ()
    untrained: float | None = None
    index: int = 0


class Questions(Protocol):
    """Samples with prompts about each."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Question]: ...


def ask(
    detector: Detector, sample: Segmented, prompts: Sequence[Prompt], *, calibrates: bool, valid: bool = False
) -> list[Answer]:
    """One answer for every prompt and frame, in that order; with `valid`, IoU counts only pixels with a label.

    Raises:
        InputError: a score is not a number.
    """
    if not prompts:
        return []
    output, untrained = forward(detector, sample, prompts)
    if not torch.isfinite(output.frame_logits).all():
        raise InputError(
            f"the scores of {detector.name} are not numbers: its weights are damaged; save or train it again"
        )
    return [
        _answer(output, (i, t), sample, prompt, calibrates=calibrates, untrained=said, valid=valid)
        for i, (prompt, said) in enumerate(zip(prompts, untrained, strict=True))
        for t in range(len(sample.frames))
    ]


def ask_all(
    detector: Detector,
    row: str,
    questions: Questions,
    *,
    learns: frozenset[int] = frozenset(),
    progress: Progress = untold,
) -> tuple[list[Answer], list[Answer]]:
    """What the model says to a set's own prompts, and to those about removed categories.

    Args:
        detector: its model is asked.
        row: what `progress` is told.
        questions: all of them are asked.
        learns: the samples that calibration may learn from.
        progress: told of every sample.
    """
    own, of_removed = [], []
    for done, question in enumerate(questions, start=1):
        prompts = (*question.prompts, *question.removed)
        learnt = question.index in learns
        answers = ask(detector, question.sample, prompts, calibrates=learnt, valid=question.valid)
        end_of_own = len(question.prompts) * len(question.sample.frames)
        own += answers[:end_of_own]
        of_removed += answers[end_of_own:]
        progress(f"exposure test: {row}", done, len(questions))
    return own, of_removed


@torch.inference_mode()
def forward(
    detector: Detector, sample: Segmented, prompts: Sequence[Prompt]
) -> tuple[LavidaOutput, list[torch.Tensor | None]]:
    """The model's output for the sample and each prompt as a batch, and what the backbone says without training."""
    model = detector.model
    frames = _analysed(sample.frames, detector)  # [1, T, 3, h, w]
    motion = _motion(sample, detector, size=tuple(frames.shape[-2:]))
    categories = [list(prompt.categories) for prompt in prompts]
    with detector.autocast():
        features = model.encode(frames, motion)  # more than half of the work, the same for all prompts
        f_sem, _ = model.clip_semantics(frames, categories)
        output = model.decode(features, f_sem, categories)
        return output, [untrained_scores(model, features.class_logits, names) for names in categories]


def found_mask(output: LavidaOutput, at: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The model's mask `at` a prompt and frame of the output: bool `[H,W]` of the given size."""
    i, t = at
    maps = F.interpolate(output.pixel_logits[i : i + 1, t : t + 1].float(), size=size, mode="bilinear")
    return (maps[0, 0] > 0).cpu().numpy()


def _analysed(frames: np.ndarray, detector: Detector) -> torch.Tensor:
    """uint8 `[T,H,W,3]` at the size at which the model looks at it, `[1,T,3,h,w]`."""
    config = detector.model.config
    size = analysis_size(frames.shape[2], frames.shape[1], long_side=config.frame_side, multiple=config.frame_multiple)
    images = [np.array(Image.fromarray(f).resize(size[::-1], Image.Resampling.BILINEAR)) for f in frames]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[None].to(detector.device)


def _motion(sample: Segmented, detector: Detector, *, size: tuple[int, int]) -> torch.Tensor | None:
    """What moves in a clip, or in a picture that comes with its neighbour: `[1,T,4,h/4,w/4]`."""
    if not detector.motion:
        return None
    if sample.before is None and len(sample.frames) > 1:
        sample = own_neighbours(sample)
    fields = with_motion(sample, size=size).motion
    return None if fields is None else torch.from_numpy(fields)[None].to(detector.device)


def _answer(
    output: LavidaOutput,
    at: tuple[int, int],
    sample: Segmented,
    prompt: Prompt,
    *,
    calibrates: bool,
    untrained: torch.Tensor | None,
    valid: bool,
) -> Answer:
    """The answer `at` this place of the output, prompt and frame; `untrained` `[T]` is of the same prompt."""
    i, t = at
    actual = None if prompt.positive is None else sample.masks[prompt.positive][t]
    visible = actual is not None and bool(actual.any())
    logits: tuple[float, ...] = ()
    if output.category_logits is not None:
        logits = tuple(output.category_logits[i, t, : len(prompt.categories)].tolist())  # the rest is padding
    iou = named = None
    if visible:
        predicted = found_mask(output, at, actual.shape)
        known = ~sample.ignore[t] if valid and sample.ignore is not None else np.ones_like(actual)
        if (actual & known).any():  # else only a region is known
            iou = float((predicted & actual & known).sum() / ((predicted | actual) & known).sum())
        if logits:
            named = prompt.categories[int(np.argmax(logits))] == prompt.positive
    return Answer(
        positive=visible,
        logit=float(output.frame_logits[i, t]),
        iou=iou,
        named=named,
        calibrates=calibrates,
        frame=t,
        categories=prompt.categories,
        present=prompt.positive,
        category_logits=logits,
        untrained=None if untrained is None else float(untrained[t]),
        index=prompt.index,
    )
