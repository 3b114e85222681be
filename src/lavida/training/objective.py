"""The training objective: Eq. 10 plus, where the model has it, the dense alignment signal."""

import torch
from torch.nn import functional as F

from lavida.model.lavida import LavidaOutput
from lavida.model.losses import LossWeights, alignment_loss, objective, segmentation_loss
from lavida.training.batches import Batch
from lavida.training.recipe import AlignmentWeights


def training_loss(
    output: LavidaOutput, batch: Batch, *, weights: LossWeights, alignment: AlignmentWeights
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The scalar to minimise and its unweighted terms by name."""
    terms = segmentation_loss(
        output.decoded.mask_logits,
        output.decoded.iou_scores,
        output.frame_logits.flatten(),
        target_masks=batch.pixel_labels.flatten(0, 1),
        target_present=batch.frame_labels.flatten(),
        valid=batch.pixel_valid.flatten(0, 1),
        weights=weights,
    )
    loss = objective(output.text_loss, terms, weights)
    terms["text"] = output.text_loss
    if output.evidence is not None:
        terms["evidence"] = alignment_loss(
            output.evidence,
            batch.category_masks,
            category_valid=batch.category_valid,
            valid=batch.evidence_valid,
        )
        terms["presence"] = presence_loss(output.category_logits, batch)
        loss = loss + alignment.evidence * terms["evidence"] + alignment.presence * terms["presence"]
    return loss, {name: term.detach() for name, term in terms.items()}


def presence_loss(category_logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Is category k in frame t? Binary cross-entropy over the categories that are not padding.

    The few true categories and the many irrelevant ones of a batch share the loss half and half, so that the
    zero point of a category does not depend on how many others were named.
    """
    shown, not_shown = presence_halves(category_logits, batch)
    return 0.5 * (shown + not_shown)


def presence_halves(category_logits: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy over the categories that a frame shows, and over those that it does not show."""
    present = batch.category_masks.amax((-2, -1)) > 0  # [B, T, K]
    named = batch.category_valid[:, None].expand_as(present)
    losses = F.binary_cross_entropy_with_logits(category_logits.float(), present.float(), reduction="none")
    groups = (present & named, ~present & named)
    shown, not_shown = ((losses * group).sum() / group.sum().clamp(min=1) for group in groups)
    return shown, not_shown
