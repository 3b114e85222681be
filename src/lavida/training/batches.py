"""Batches by step number: step n is the same batch on any machine, any number of workers, after any restart."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

from lavida.exposure.sample import Exposure

MASK_STRIDE, EVIDENCE_STRIDE = 4, 8


@dataclass
class Batch:
    """B exposures with up to K categories.

    Attributes:
        frames: uint8 `[B,T,3,H,W]`.
        categories: K_b texts for each clip.
        templates: a prompt template for each clip.
        frame_labels: y^f, float `[B,T]`.
        pixel_labels: y^p, share of abnormal pixels at stride 4, float `[B,T,H/4,W/4]`.
        pixel_valid: bool `[B,T,H/4,W/4]`, False where the label is unknown.
        category_masks: the mask of each category at stride 8, float `[B,T,K,H/8,W/8]`, zero for absent ones.
        category_valid: bool `[B,K]`, False for padding.
        evidence_valid: bool `[B,T,H/8,W/8]`.
        motion: float `[B,T,4,H/4,W/4]`, zero where nothing is known of it; None where no sample has any.
    """

    frames: torch.Tensor
    categories: list[list[str]]
    templates: list[int]
    frame_labels: torch.Tensor
    pixel_labels: torch.Tensor
    pixel_valid: torch.Tensor
    category_masks: torch.Tensor
    category_valid: torch.Tensor
    evidence_valid: torch.Tensor
    motion: torch.Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        values = (getattr(self, f.name) for f in fields(self))
        return Batch(*(v.to(device) if isinstance(v, torch.Tensor) else v for v in values))


class StepBatches(Dataset):
    """Map-style data set whose item n is the whole batch of step n, drawn from a generator seeded by (seed, n).

    Args:
        draw: `(clip_length, rng) -> Exposure`.
        steps: number of steps.
        seed: of the run.
        batch_size: images a step; clip steps hold `batch_size // clip_length` clips.
        clip_length: T of clip steps.
        clip_share: share of the steps that hold clips.
        templates: number of prompt templates to choose from.
        part: `(rank, world)`: this process's share of every batch.
    """

    def __init__(
        self,
        draw: Callable[[int, np.random.Generator], Exposure],
        *,
        steps: int,
        seed: int,
        batch_size: int,
        clip_length: int,
        clip_share: float,
        templates: int,
        part: tuple[int, int] = (0, 1),
    ):
        self.draw, self.steps, self.seed = draw, steps, seed
        self.batch_size, self.clip_length, self.clip_share = batch_size, clip_length, clip_share
        self.templates, self.part = templates, part

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        is_clip = np.random.default_rng((self.seed, step)).random() < self.clip_share
        length = self.clip_length if is_clip else 1
        rank, world = self.part
        exposures, templates = [], []
        for index in range(rank, max(1, self.batch_size // length), world):
            rng = np.random.default_rng((self.seed, step, index))
            exposures.append(self.draw(length, rng))
            templates.append(int(rng.integers(self.templates)))
        return collate(exposures, templates)


def collate(exposures: list[Exposure], templates: list[int]) -> Batch:
    """Stack exposures of one frame size and clip length."""
    most = max(len(e.categories) for e in exposures)
    masks = [_category_masks(e, most) for e in exposures]
    valid = [_known(e) for e in exposures]
    return Batch(
        frames=torch.stack([torch.from_numpy(e.frames).permute(0, 3, 1, 2) for e in exposures]),
        categories=[list(e.categories) for e in exposures],
        templates=templates,
        frame_labels=torch.stack([torch.from_numpy(e.frame_labels) for e in exposures]),
        pixel_labels=torch.stack([_shrink(torch.from_numpy(e.pixel_labels), MASK_STRIDE) for e in exposures]),
        pixel_valid=torch.stack([_shrink(v, MASK_STRIDE) > 0.5 for v in valid]),
        category_masks=torch.stack(masks),
        category_valid=torch.tensor([[k < len(e.categories) for k in range(most)] for e in exposures]),
        evidence_valid=torch.stack([_shrink(v, EVIDENCE_STRIDE) > 0.5 for v in valid]),
        motion=_motion(exposures),
    )


def _motion(exposures: list[Exposure]) -> torch.Tensor | None:
    known = [e.motion for e in exposures if e.motion is not None]
    if not known:
        return None
    nothing = np.zeros_like(known[0])
    return torch.from_numpy(np.stack([nothing if e.motion is None else e.motion for e in exposures])).float()


def _category_masks(exposure: Exposure, most: int) -> torch.Tensor:
    length, height, width = exposure.pixel_labels.shape
    masks = torch.zeros(length, most, height // EVIDENCE_STRIDE, width // EVIDENCE_STRIDE)
    for index, mask in exposure.category_masks.items():
        masks[:, index] = _shrink(torch.from_numpy(mask), EVIDENCE_STRIDE)
    return masks


def _known(exposure: Exposure) -> torch.Tensor:
    if exposure.ignore is None:
        return torch.ones(exposure.pixel_labels.shape, dtype=torch.bool)
    return ~torch.from_numpy(exposure.ignore)


def _shrink(mask: torch.Tensor, stride: int) -> torch.Tensor:
    """Share of true pixels in each cell: `[T,H,W]` bool -> float `[T,H/stride,W/stride]`."""
    return F.avg_pool2d(mask.float()[:, None], stride)[:, 0]
