"""Merging by reverse attention (Eq. 4), a softmax over the tokens of each reference and no [R, L] matrix."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lavida.model.compression.distances import row_blocks


def weights(points: Tensor, references: Tensor, assignment: Tensor) -> Tensor:
    """Softmax weights `[N]` of `points` `[N, D]`; those of one of the R references sum to 1."""
    exponentials = _exponentials(points, references, assignment)
    totals = segment_sums(exponentials[:, None], assignment, len(references))  # [R, 1]
    return exponentials / totals[assignment, 0]


def merge(points: Tensor, references: Tensor, assignment: Tensor, weight: Tensor | None = None) -> Tensor:
    """Z' `[R, D]` of `points` `[N, D]`, whose `weights` may be known."""
    weight = weights(points, references, assignment) if weight is None else weight
    return segment_sums(points, assignment, len(references), scale=weight)


def segment_sums(values: Tensor, assignment: Tensor, count: int, *, scale: Tensor | None = None) -> Tensor:
    """Sums `[count, C]` of `values` `[N, C]`, each row times its `scale` `[N]`, by what it is assigned to.

    Each sum adds its tokens in their order, on a GPU too, where `index_add` adds them as they come.
    """
    found = assignment.sort(stable=True)
    starts = torch.searchsorted(found.values, torch.arange(count, device=assignment.device))
    scale = None if scale is None else scale[found.indices]
    return F.embedding_bag(found.indices, values, starts, mode="sum", per_sample_weights=scale)


def _exponentials(points: Tensor, references: Tensor, assignment: Tensor) -> Tensor:
    """The numerators of the softmax, `[N]`."""
    background = references[assignment]
    blocks = row_blocks(len(points), points.shape[1], device=points.device, pairs=True)
    products = torch.cat([(points[block] * points[background[block]]).sum(1) for block in blocks])
    logits = -products / math.sqrt(points.shape[1])
    peak = logits.new_full((len(references),), -math.inf)
    peak = peak.scatter_reduce(0, assignment, logits.detach(), "amax")
    return (logits - peak[assignment]).exp()
