"""The training objective: Eq. 10 plus, where the model has it, the dense alignment signal; of a step or a part of one.

Data-parallel training averages gradients over processes, and accumulation over the parts of a process. But each term
of the objective is a mean over something that the parts hold in different numbers: frames that show the object,
categories, clips. Each term of a part is therefore multiplied by `count * parts / count of the whole step`. Then a
step does not depend on the number of processes or on `train.accumulate`, but for what is drawn at random for each part:
LoRA's dropout, and `Alignment.drop` of a model with `classifier_evidence`.
"""

from collections.abc import Sequence
from enum import IntEnum

import torch
from accelerate import Accelerator
from torch.nn import functional as F

from lavida.model.alignment import presence
from lavida.model.lavida import LavidaOutput
from lavida.model.losses import LossWeights, alignment_loss, objective, segmentation_loss, shows_object
from lavida.training.data import Batch
from lavida.training.recipe import AlignmentWeights


class Over(IntEnum):
    """What the terms of the objective are means over."""

    MASKS = 0  # frames that show the object
    FRAMES = 1
    CLIPS = 2
    CATEGORIES = 3
    SHOWN = 4  # categories in frames that show them
    NOT_SHOWN = 5
    NOUNS = 6  # categories with a qualifier, of which the thing alone is known
    PROBES = 7
    PROBES_SHOWN = 8
    PROBES_NOT_SHOWN = 9


MEAN_OVER = {
    "mask": Over.MASKS,
    "dice": Over.MASKS,
    "iou": Over.MASKS,
    "object": Over.FRAMES,
    "text": Over.CLIPS,  # every answer has the same length
    "evidence": Over.CATEGORIES,
    "nouns": Over.NOUNS,
    "probes": Over.PROBES,
}
WHOLE = (1.0,) * len(Over)


def step_shares(parts: Sequence[Batch], accelerator: Accelerator) -> list[list[float]]:
    """For each part of this process the factors of its terms, in the order of `Over`."""
    counts = torch.stack([_counts(part) for part in parts])  # [parts here, 10]
    whole = accelerator.reduce(counts.sum(0).to(accelerator.device), "sum").cpu()
    number = len(parts) * accelerator.num_processes
    return (counts * number / whole.clamp(min=1)).tolist()


def training_loss(
    output: LavidaOutput,
    batch: Batch,
    *,
    weights: LossWeights,
    alignment: AlignmentWeights,
    shares: Sequence[float] = WHOLE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The scalar to minimise and its unweighted terms by name, for a whole step or a part of it.

    With the factors of each part from `step_shares`, the means over all parts are the loss and terms of the step.
    """
    terms = segmentation_loss(
        output.decoded.mask_logits,
        output.decoded.iou_scores,
        output.frame_logits.flatten(),
        target_masks=batch.pixel_labels.flatten(0, 1),
        target_present=batch.frame_labels.flatten(),
        valid=batch.pixel_valid.flatten(0, 1),
        weights=weights,
    )
    terms["text"] = output.text_loss
    if output.evidence is not None:
        terms["evidence"] = alignment_loss(
            output.evidence, batch.category_masks, category_valid=batch.category_valid, valid=batch.evidence_valid
        )
    if output.noun_evidence is not None:
        terms["nouns"] = alignment_loss(
            output.noun_evidence, batch.noun_masks, category_valid=batch.noun_valid, valid=batch.evidence_valid
        )
    if output.probe_evidence is not None:
        terms["probes"] = alignment_loss(
            output.probe_evidence, batch.probe_masks, category_valid=batch.probe_valid, valid=batch.evidence_valid
        )
    terms = {name: term * shares[_over(name, weights)] for name, term in terms.items()}
    loss = objective(terms["text"], terms, weights)  # Eq. 10
    if output.evidence is not None:
        shown = shown_and_not(batch.category_masks, batch.category_valid)
        terms["presence"] = presence_loss(
            output.category_logits, *shown, shares=(shares[Over.SHOWN], shares[Over.NOT_SHOWN])
        )
        loss = loss + alignment.evidence * terms["evidence"] + alignment.presence * terms["presence"]
    if output.noun_evidence is not None:
        loss = loss + alignment.nouns * terms["nouns"]
    if output.probe_evidence is not None:
        shown = shown_and_not(batch.probe_masks, batch.probe_valid)
        terms["probe_presence"] = presence_loss(
            presence(output.probe_evidence), *shown, shares=(shares[Over.PROBES_SHOWN], shares[Over.PROBES_NOT_SHOWN])
        )
        loss = loss + alignment.evidence * terms["probes"] + alignment.presence * terms["probe_presence"]
    return loss, {name: term.detach() for name, term in terms.items()}


def _over(term: str, weights: LossWeights) -> Over:
    over = MEAN_OVER[term]
    return Over.FRAMES if over is Over.MASKS and not weights.over_shown else over


def presence_loss(
    category_logits: torch.Tensor,
    shown: torch.Tensor,
    not_shown: torch.Tensor,
    *,
    shares: tuple[float, float] = (1.0, 1.0),
) -> torch.Tensor:
    """Is category k in frame t? Binary cross-entropy over the categories that are not padding, all `[B,T,K]`.

    The few true categories and the many irrelevant ones of a batch share the loss half and half, so that the
    zero point of a category does not depend on how many others were named.
    """
    losses = F.binary_cross_entropy_with_logits(category_logits.float(), shown.float(), reduction="none")
    true, irrelevant = ((losses * group).sum() / group.sum().clamp(min=1) for group in (shown, not_shown))
    return 0.5 * (shares[0] * true + shares[1] * irrelevant)


def _counts(batch: Batch) -> torch.Tensor:
    """`[10]`: how many of each kind a part holds."""
    known = batch.evidence_valid.flatten(1).any(-1, keepdim=True)  # [B, 1]
    shown, not_shown = shown_and_not(batch.category_masks, batch.category_valid)
    probes_shown, probes_not_shown = shown_and_not(batch.probe_masks, batch.probe_valid)
    counts = {
        Over.MASKS: shows_object(batch.pixel_labels, batch.frame_labels, batch.pixel_valid).sum(),
        Over.FRAMES: batch.frame_labels.numel(),
        Over.CLIPS: len(batch.frames),
        Over.CATEGORIES: (batch.category_valid & known).sum(),
        Over.SHOWN: shown.sum(),
        Over.NOT_SHOWN: not_shown.sum(),
        Over.NOUNS: (batch.noun_valid & known).sum(),
        Over.PROBES: (batch.probe_valid & known).sum(),
        Over.PROBES_SHOWN: probes_shown.sum(),
        Over.PROBES_NOT_SHOWN: probes_not_shown.sum(),
    }
    return torch.tensor([float(counts[kind]) for kind in Over])


def shown_and_not(masks: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """bool `[B,T,K]` each: category k can be seen in frame t; it cannot. Padding is neither."""
    present = masks.amax((-2, -1)) > 0
    named = valid[:, None].expand_as(present)
    return present & named, ~present & named
