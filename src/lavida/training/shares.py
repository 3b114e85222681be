"""One step in parts: its share in a loss that divides by counts, so that the parts together are the whole batch.

Data-parallel training averages gradients over processes, and accumulation over the parts of a process. But each term
of the objective is a mean over something that the parts hold in different numbers: frames that show the object,
categories, clips. Each term of a part is therefore multiplied by `count * parts / count of the whole step`. Then a
step does not depend on the number of processes or on `train.accumulate`.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from accelerate import Accelerator

from lavida.model.lavida import LavidaOutput
from lavida.model.losses import LossWeights, shows_object
from lavida.training.batches import Batch
from lavida.training.objective import presence_halves, training_loss
from lavida.training.recipe import AlignmentWeights

MASKS, FRAMES, CLIPS, CATEGORIES, SHOWN, NOT_SHOWN = range(6)  # what the terms of the objective are means over
MEAN_OVER = {
    "mask": MASKS,
    "dice": MASKS,
    "iou": MASKS,
    "object": FRAMES,
    "text": CLIPS,  # every answer has the same length
    "evidence": CATEGORIES,
}


def step_shares(parts: Sequence[Batch], accelerator: Accelerator) -> list[list[float]]:
    """For each part of this process the factors of its terms, in the order of `MASKS`, `FRAMES`, ..."""
    counts = torch.stack([_counts(part) for part in parts])  # [parts here, 6]
    whole = accelerator.reduce(counts.sum(0).to(accelerator.device), "sum").cpu()
    number = len(parts) * accelerator.num_processes
    return (counts * number / whole.clamp(min=1)).tolist()


def part_loss(
    output: LavidaOutput,
    batch: Batch,
    shares: Sequence[float],
    *,
    weights: LossWeights,
    alignment: AlignmentWeights,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """`training_loss` of a part of a step: its mean over all parts is the loss of the whole, and so is each term's."""
    by_name = {name: shares[kind] for name, kind in MEAN_OVER.items()}
    loss, terms = training_loss(
        output,
        batch,
        weights=replace(
            weights,
            **{name: getattr(weights, name) * by_name[name] for name in ("mask", "dice", "iou", "object", "text")},
        ),
        alignment=replace(alignment, evidence=alignment.evidence * by_name["evidence"], presence=0.0),
    )
    terms = {name: term * by_name.get(name, 1.0) for name, term in terms.items()}
    if output.category_logits is not None:
        shown, not_shown = presence_halves(output.category_logits, batch)
        presence = 0.5 * (shares[SHOWN] * shown + shares[NOT_SHOWN] * not_shown)
        loss = loss + alignment.presence * presence
        terms["presence"] = presence.detach()
    return loss, terms


def _counts(batch: Batch) -> torch.Tensor:
    """`[6]`: how many of each kind a part holds."""
    known = batch.evidence_valid.flatten(1).any(-1, keepdim=True)  # [B, 1]
    shown, named = _shown(batch), _named(batch)
    counts = {
        MASKS: shows_object(batch.pixel_labels, batch.frame_labels, batch.pixel_valid).sum(),
        FRAMES: batch.frame_labels.numel(),
        CLIPS: len(batch.frames),
        CATEGORIES: (batch.category_valid & known).sum(),
        SHOWN: shown.sum(),
        NOT_SHOWN: (named & ~shown).sum(),
    }
    return torch.tensor([float(counts[kind]) for kind in range(len(counts))])


def _named(batch: Batch) -> torch.Tensor:
    """bool `[B,T,K]`: not padding."""
    return batch.category_valid[:, None].expand(-1, batch.frames.shape[1], -1)


def _shown(batch: Batch) -> torch.Tensor:
    """bool `[B,T,K]`: category k can be seen in frame t."""
    return (batch.category_masks.amax((-2, -1)) > 0) & _named(batch)
