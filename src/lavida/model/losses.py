"""The objective (Eq. 10): the text loss and SAM 2's segmentation losses; and the loss that names categories.

Masks may be soft (downsampled). Everything is computed in float32. Functions of N predictions with M candidate masks
take logits `[N, M, h, w]`, targets `[N, 1, h, w]` in [0, 1] and valid `[N, 1, h, w]`, 1 or 0, and give `[N, M]`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY_AREA = 1e-6


@dataclass(frozen=True)
class LossWeights:
    """Weights of Eq. 10 (`text`, `seg`) and of the four parts of its segmentation loss.

    `over_shown`: mask, dice and IoU are means over the frames that show the object; False: over all frames, as in SAM
    2's training, so that they weigh the less the fewer show it.
    """

    mask: float = 20.0
    dice: float = 2.0
    iou: float = 1.0
    object: float = 2.0
    text: float = 1.0
    seg: float = 1.0
    over_shown: bool = True


def objective(text_loss: Tensor, seg_losses: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """The training objective, lambda_txt L_txt + lambda_seg L_seg (Eq. 10).

    Args:
        text_loss: scalar.
        seg_losses: the dictionary that `segmentation_loss` returns.
        weights: lambda_txt is `text`, lambda_seg is `seg`.

    Returns:
        A scalar, float32.
    """
    segmentation = (
        weights.mask * seg_losses["mask"]
        + weights.dice * seg_losses["dice"]
        + weights.iou * seg_losses["iou"]
        + weights.object * seg_losses["object"]
    )
    return weights.text * text_loss.float() + weights.seg * segmentation


def segmentation_loss(
    masks: Tensor,
    iou_scores: Tensor,
    object_logits: Tensor,
    *,
    target_masks: Tensor,
    target_present: Tensor,
    valid: Tensor | None = None,
    weights: LossWeights,
) -> dict[str, Tensor]:
    """SAM 2's losses of N predictions with M candidate masks each (L_seg of Eq. 10, not yet weighted).

    Of the M masks only the best one, by weighted focal and dice loss, is supervised; the IoU head learns from
    all M. Both learn only where `shows_object`; the object score always learns.

    Args:
        masks: mask logits `[N, M, h, w]`.
        iou_scores: predicted IoU of each mask `[N, M]`.
        object_logits: object-score logits `[N]`.
        target_masks: float in [0, 1], `[N, h, w]`.
        target_present: what the object score learns, `[N]`; it may be 1 where the object is out of sight.
        valid: false or 0 where a pixel is to be ignored, `[N, h, w]`; None: all count.
        weights: `mask` and `dice` choose the best mask; `over_shown`.

    Returns:
        Float32 scalars: `mask`, `dice` and `iou` averaged over the objects that show, or over
        all N; `object` over all N.
    """
    masks = masks.float()
    targets = target_masks.float()[:, None]  # [N, 1, h, w]
    valid = torch.ones_like(targets) if valid is None else valid.float()[:, None]  # [N, 1, h, w]

    focal = focal_loss(masks, targets, valid)  # [N, M]
    dice = dice_loss(masks, targets, valid)  # [N, M]
    iou = (iou_scores.float() - mask_iou(masks, targets, valid)).abs()  # [N, M]
    best = (weights.mask * focal + weights.dice * dice).argmin(1, keepdim=True)  # [N, 1]

    supervised = shows_object(targets[:, 0], target_present, valid[:, 0])  # [N]
    frames = max(len(object_logits), 1)
    count = supervised.sum().clamp(min=1) if weights.over_shown else frames

    def mean(loss: Tensor) -> Tensor:
        return (loss * supervised).sum() / count

    object_loss = F.binary_cross_entropy_with_logits(object_logits.float(), target_present.float(), reduction="sum")
    return {
        "mask": mean(focal.gather(1, best).squeeze(1)),
        "dice": mean(dice.gather(1, best).squeeze(1)),
        "iou": mean(iou.mean(1)),
        "object": object_loss / frames,
    }


def shows_object(target_masks: Tensor, target_present: Tensor, valid: Tensor) -> Tensor:
    """Which frames have a mask to learn from: one with a pixel, as in SAM 2's loss, where some pixel is valid.

    The label alone does not say so: by the letter of Eq. 2 every frame of an anomalous clip is anomalous.

    Args:
        target_masks: `[..., h, w]`, above 0 where the object is.
        target_present: y^f, `[...]`.
        valid: false or 0 where a pixel is to be ignored, `[..., h, w]`.

    Returns:
        bool `[...]`.
    """
    somewhere, known = ((pixels > 0).flatten(-2).any(-1) for pixels in (target_masks, valid))
    return target_present.bool() & somewhere & known


def focal_loss(logits: Tensor, targets: Tensor, valid: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss, the mean over the valid pixels of each mask.

    `alpha`: weight of the positive pixels, negative ones get 1 - alpha; `gamma`: how much easy pixels are played down.
    """
    balance = alpha * targets + (1 - alpha) * (1 - targets)
    pixels = balance * _focal_pixels(logits, targets.expand_as(logits), gamma)
    return (pixels * valid).sum((-2, -1)) / valid.sum((-2, -1)).clamp(min=1)


def dice_loss(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """One minus the Dice overlap of the valid pixels, with one pixel of smoothing.

    The overlap is the sum of min(p, t): p t for binary targets, and a soft target can be matched exactly.
    """
    probability = logits.sigmoid() * valid
    targets = targets * valid
    areas = probability.sum((-2, -1)) + targets.sum((-2, -1))
    difference = (probability - targets).abs().sum((-2, -1))
    return 1 - (areas - difference + 1) / (areas + 1)


@torch.no_grad()
def mask_iou(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """IoU of each mask (logit above 0) with its target (above 0.5) over the valid pixels; 0 where both are empty."""
    predicted = (logits > 0) & (valid > 0)
    actual = (targets > 0.5) & (valid > 0)
    intersection = (predicted & actual).sum((-2, -1))
    union = (predicted | actual).sum((-2, -1))
    return intersection / union.clamp(min=1)


def alignment_loss(
    evidence: Tensor, category_masks: Tensor, *, category_valid: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Balanced focal loss of each category's map against its mask: which anomaly, and where.

    The pixels inside a category's mask share one half of its loss and those outside share the other, so an
    object on 1 % of the pixels weighs as much as one on 50 %. An absent category (empty mask) keeps its outer
    half: its map is pushed down.

    Args:
        evidence: logits `[B, T, K, h, w]`.
        category_masks: float in [0, 1], `[B, T, K, h, w]`.
        category_valid: `[B, K]`, false for padding and for categories without labels: they do not count.
        valid: false or 0 where a pixel is to be ignored, `[B, T, h, w]`; None: all count.

    Returns:
        A float32 scalar, the mean over the valid categories that have a valid pixel; 0 without any.
    """
    evidence, targets = evidence.float(), category_masks.float()
    valid = torch.ones_like(targets[:, :, 0]) if valid is None else valid.float()
    valid = valid[:, :, None].expand_as(targets)  # [B, T, K, h, w]
    pixels = _focal_pixels(evidence, targets, gamma=2.0)
    halves = [_weighted_mean(pixels, share * valid) for share in (targets, 1 - targets)]  # 2 x [B, K]
    counted = category_valid.bool() & (valid > 0).any(-1).any(-1).any(1)  # [B, K]
    return (0.5 * (halves[0] + halves[1]) * counted).sum() / counted.sum().clamp(min=1)


def _weighted_mean(pixels: Tensor, weight: Tensor) -> Tensor:
    """Mean over time and space, `[B, T, K, h, w]` to `[B, K]`; 0 where the weight is."""
    return (pixels * weight).sum((1, 3, 4)) / weight.sum((1, 3, 4)).clamp(min=_TINY_AREA)


def _focal_pixels(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    probability = logits.sigmoid()
    miss = probability * (1 - targets) + (1 - probability) * targets  # 1 - p_t
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * miss**gamma
