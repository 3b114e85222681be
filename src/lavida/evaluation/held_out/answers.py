"""What the model says to queries about one sample, which is encoded only once, and the numbers of many answers."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from lavida.checkpoints.pretrained import LavidaModel
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.held_out.outlines import boundary_f, parts
from lavida.evaluation.held_out.questions import WordsAlone
from lavida.exposure.heldout import Query, Question
from lavida.exposure.moving import own_neighbours, with_own_motion
from lavida.exposure.sample import SegmentationSample
from lavida.masks import cleaned
from lavida.model.alignment import ClassifierEvidence, presence
from lavida.runtime.exported import ExportedModel
from lavida.timing import Progress, untold
from lavida.video.clips import analysis_size


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """What the model said to one query about one frame."""

    positive: bool  # whether a named category is in the frame
    logit: float  # the frame logit before calibration
    iou: float | None  # of the mask with the present class; None without one
    named: bool | None  # whether the strongest category is the present one; None without one
    calibrates: bool  # whether calibration may learn from this picture (every other one)
    frame: int = 0  # index of the frame in its clip, 0 for a picture
    categories: tuple[str, ...] = ()  # the names in the query
    present: str | None = None  # the one that is in the sample, though not always in this frame; None where none is
    category_logits: tuple[float, ...] = ()  # of each name; empty where the model cannot tell categories apart
    untrained: float | None = None  # what the backbone's own classifier says without training; None without one
    index: int = 0  # of the sample in its set
    boundary: float | None = None  # F of the mask's outline; None where `iou` is, or where pixels have no label
    parts: int | None = None  # connected parts of the mask, likewise


class Output(Protocol):
    """What a model says to N queries about T frames, as `lavida.model.lavida.LavidaOutput` does."""

    @property
    def frame_logits(self) -> torch.Tensor:
        """`[N,T]`, before calibration."""
        ...

    @property
    def pixel_logits(self) -> torch.Tensor:
        """`[N,T,H/4,W/4]`."""
        ...

    @property
    def category_logits(self) -> torch.Tensor | None:
        """`[N,T,K]`, padded; None for a model that cannot tell them apart."""
        ...


@dataclass(frozen=True, slots=True)
class _Said:
    """The output of an exported model."""

    frame_logits: torch.Tensor
    pixel_logits: torch.Tensor
    category_logits: torch.Tensor | None


class Questions(Protocol):
    """Samples with queries about each."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Question]: ...


def ask(
    detector: Detector, sample: SegmentationSample, queries: Sequence[Query], *, calibrates: bool, valid: bool = False
) -> list[QueryAnswer]:
    """One answer for every query and frame, in that order; with `valid`, IoU counts only pixels with a label.

    Raises InputError if a score is not a number.
    """
    if not queries:
        return []
    output, untrained = forward(detector, sample, queries)
    if not torch.isfinite(output.frame_logits).all():
        raise InputError(
            f"the scores of {detector.name} are not numbers: its weights are damaged; save or train it again"
        )
    return [
        _answer(
            output,
            (i, t),
            sample,
            query,
            calibrates=calibrates,
            untrained=said,
            valid=valid,
            clean=detector.config.clean_masks,
        )
        for i, (query, said) in enumerate(zip(queries, untrained, strict=True))
        for t in range(len(sample.frames))
    ]


def ask_all(
    detector: Detector,
    row: str,
    questions: Questions,
    *,
    learns: frozenset[int] = frozenset(),
    progress: Progress = untold,
) -> tuple[list[QueryAnswer], list[QueryAnswer]]:
    """What the model says to a set's own queries, and to those about removed categories.

    `learns` are the samples that calibration may learn from; `progress` is told of every sample of the `row`.
    """
    own, of_removed = [], []
    for done, question in enumerate(questions, start=1):
        queries = (*question.prompts, *question.removed)
        learnt = question.index in learns
        answers = ask(detector, question.sample, queries, calibrates=learnt, valid=question.valid)
        end_of_own = len(question.prompts) * len(question.sample.frames)
        own += answers[:end_of_own]
        of_removed += answers[end_of_own:]
        progress(f"exposure test: {row}", done, len(questions))
    return own, of_removed


@torch.inference_mode()
def forward(
    detector: Detector, sample: SegmentationSample, queries: Sequence[Query]
) -> tuple[Output, list[torch.Tensor | None]]:
    """The model's output for the sample and each query as a batch, and what the backbone says without training."""
    config = detector.config
    height, width = sample.frames.shape[1:3]
    size = analysis_size(width, height, long_side=config.frame_side, multiple=config.frame_multiple)
    images = [np.array(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR)) for frame in sample.frames]
    frames = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[None].to(detector.device)  # [1, T, 3, h, w]
    motion = _motion(sample, size, detector.device) if detector.motion else None
    categories = [list(query.categories) for query in queries]
    if isinstance(detector.backend, ExportedModel):
        return _of_export(detector.backend, frames[0], categories, motion), [None] * len(queries)
    model = detector.model
    with detector.torch.autocast():
        features = model.encode(frames, motion)  # more than half of the work, the same for all queries
        f_sem, _ = model.clip_semantics(frames, categories)
        output = model.decode(features, f_sem, categories)
        return output, [untrained_scores(model, features.class_logits, names) for names in categories]


def _of_export(
    exported: ExportedModel, frames: torch.Tensor, categories: list[list[str]], motion: torch.Tensor | None
) -> Output:
    found = exported.outputs_of_each(frames.numpy(), categories, motion=None if motion is None else motion[0].numpy())
    frame_logits, pixel_logits = (
        torch.stack([torch.from_numpy(each[name]) for each in found]) for name in ("frame_logits", "pixel_logits")
    )
    if "category_logits" not in found[0]:
        return _Said(frame_logits, pixel_logits, None)
    by_category = [torch.from_numpy(each["category_logits"]).T for each in found]  # [K, T]
    return _Said(frame_logits, pixel_logits, pad_sequence(by_category, batch_first=True).transpose(1, 2))


def found_mask(output: Output, at: tuple[int, int], size: tuple[int, int], *, clean: bool) -> NDArray[np.bool_]:
    """The model's mask `at` a query and frame of the output: bool `[H,W]` of that size; `clean`: `lavida.masks`."""
    i, t = at
    maps = F.interpolate(output.pixel_logits[i : i + 1, t : t + 1].float(), size=size, mode="bilinear")
    logits = maps[0, 0].cpu().numpy()
    return cleaned(logits > 0, logits) if clean else logits > 0


def untrained_scores(
    model: LavidaModel, class_logits: torch.Tensor | None, categories: Sequence[str]
) -> torch.Tensor | None:
    """How much the backbone's classifier sees of the strongest category, `[T]` in [0, 1], from `[T,C,h,w]` of logits.

    The share of the classes that mean nearly the same as a category in what the classifier sees at a position, as in
    `ClassifierEvidence`; the mean of the top positions of each map; the strongest category. No learned weight takes
    part. Of the two similarities used there, this one does better on the data kit than the expected similarity (ConSE,
    Norouzi et al., 2014). None where there is no classifier or the model does not know its class names.
    """
    if class_logits is None or not model.config.alignment or model.alignment.classifier is None:
        return None
    least = ClassifierEvidence.SYNONYM
    with torch.autocast(class_logits.device.type, enabled=False):
        similarity = model.text(list(categories)).float() @ model.alignment.classifier.class_features.float().T
        nearest = similarity.amax(-1, keepdim=True).clamp(min=1e-6)
        synonyms = (similarity / nearest - least).clamp(min=0) / (1 - least)  # [K, C], 1 for the nearest class
        seen = torch.einsum("kc,tchw->tkhw", synonyms, class_logits.float().softmax(1))
    return presence(seen[None])[0].amax(-1)


def _motion(sample: SegmentationSample, size: tuple[int, int], device: torch.device) -> torch.Tensor | None:
    """What moves in a clip, or in a picture that comes with its neighbour: `[1,T,4,h/4,w/4]`."""
    if sample.before is None and len(sample.frames) > 1:
        sample = own_neighbours(sample)
    fields = with_own_motion(sample, size=size).motion
    return None if fields is None else torch.from_numpy(fields)[None].to(device)


def _answer(
    output: Output,
    at: tuple[int, int],
    sample: SegmentationSample,
    query: Query,
    *,
    calibrates: bool,
    untrained: torch.Tensor | None,
    valid: bool,
    clean: bool,
) -> QueryAnswer:
    """The answer `at` this place of the output, query and frame; `untrained` `[T]` is of the same query."""
    i, t = at
    logits: tuple[float, ...] = ()
    if output.category_logits is not None:
        logits = tuple(output.category_logits[i, t, : len(query.categories)].tolist())  # the rest is padding
    actual = None if query.positive is None else sample.masks[query.positive][t]
    visible = actual is not None and bool(actual.any())
    iou = named = boundary = of_parts = None
    if actual is not None and visible:
        predicted = found_mask(output, at, actual.shape, clean=clean)
        known = ~sample.ignore[t] if valid and sample.ignore is not None else np.ones_like(actual)
        if (actual & known).any():  # else only a region is known
            iou = float((predicted & actual & known).sum() / ((predicted | actual) & known).sum())
        if known.all():
            boundary, of_parts = boundary_f(predicted, actual), parts(predicted)
        if logits:
            named = query.categories[int(np.argmax(logits))] == query.positive
    return QueryAnswer(
        positive=visible,
        logit=float(output.frame_logits[i, t]),
        iou=iou,
        named=named,
        calibrates=calibrates,
        frame=t,
        categories=query.categories,
        present=query.positive,
        category_logits=logits,
        untrained=None if untrained is None else float(untrained[t]),
        index=query.index,
        boundary=boundary,
        parts=of_parts,
    )


def row_measures(answers: Sequence[QueryAnswer], words: WordsAlone | None) -> dict[str, float | int | None]:
    """One row of the table. An AUC is None while all frames are of one kind or nothing gives that score."""
    positive = [a.positive for a in answers]
    untrained = [a.untrained for a in answers if a.untrained is not None]
    return {
        "prompts": sum(a.frame == 0 for a in answers),
        "frames": len(answers),
        "auc": area(positive, [a.logit for a in answers]),
        "auc_words": None if words is None else area(positive, words.scores(a.categories for a in answers)),
        "auc_untrained": area(positive, untrained) if len(untrained) == len(answers) else None,
        "mask_iou": mean_of_known(a.iou for a in answers),
        "boundary_f": mean_of_known(a.boundary for a in answers),
        "parts": mean_of_known(None if a.parts is None else float(a.parts) for a in answers),
        "category_accuracy": mean_of_known(a.named for a in answers),
    }


def category_measures(answers: Iterable[QueryAnswer]) -> dict[str, dict[str, Any]]:
    """For each name the AUC of its own logit: frames that show it against frames that were asked for it in vain.

    Frames of a sample that has the category, but not in sight, count as neither.
    """
    return _by_name(
        (name, name == answer.present, logit)
        for answer in answers
        for name, logit in zip(answer.categories, answer.category_logits, strict=bool(answer.category_logits))
        if name != answer.present or answer.positive
    )


def removed_measures(answers: Iterable[QueryAnswer], removed: Collection[str]) -> dict[str, dict[str, Any]]:
    """For each removed name the AUC of the frame score: queries where it is there against queries where it is not.

    The name is in all of these queries, so it gives nothing away.
    """
    named = ((name, answer) for answer in answers for name in removed if name in answer.categories)
    return _by_name(((name, answer.positive, answer.logit) for name, answer in named), names=removed)


def _by_name(logits: Iterable[tuple[str, bool, float]], *, names: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """From (name, whether it is there, logit)."""
    sides: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
    for name, present, logit in logits:
        sides.setdefault(name, ([], []))[present].append(logit)
    return {
        name: {
            "auc": area([False] * len(absent) + [True] * len(present), absent + present),
            "present": len(present),
            "absent": len(absent),
        }
        for name, (absent, present) in sorted(sides.items())
    }


def area(positive: Sequence[bool], scores: Sequence[float] | NDArray[np.floating]) -> float | None:
    """ROC AUC; None while there is only one kind."""
    from sklearn.metrics import roc_auc_score  # slow to import

    return float(roc_auc_score(positive, scores)) if len(set(positive)) == 2 else None


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are there; None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
