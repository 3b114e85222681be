"""Token compression (section 3.4): background tokens melt away, what differs from them stays.

`compress` is the whole of it; the steps are here one by one, too. `neighbours.py` finds nearest neighbours,
`background.py` has the density (Eq. 3) and the references, `merging.py` the reverse attention (Eq. 4). Nothing holds
an [L, L] or [R, L] matrix, and the same tokens give the same result, on a GPU too.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lavida.model.compression import background, merging
from lavida.model.compression.background import background_references
from lavida.model.compression.distances import clips_at_once
from lavida.model.compression.neighbours import Search

__all__ = [
    "MODES",
    "CompressedClips",
    "assign",
    "background_references",
    "compress",
    "compress_clips",
    "local_density",
    "reference_count",
    "reverse_attention",
    "reverse_attention_weights",
]

MODES = ("exact", "approximate")


@dataclass(frozen=True)
class CompressedClips:
    """What compression makes of B clips of L tokens.

    Attributes:
        merged: `[B, R, D]` in the dtype of the tokens.
        keep: int64 `[B, R]` ascending; merged token i of a clip stands at position `keep[i]` of its sequence.
        assignment: int64 `[B, L]`, into which merged token of its clip each token went.
        weights: `[B, L]`, its weight there; for features that go the way of their tokens.
    """

    merged: Tensor
    keep: Tensor
    assignment: Tensor
    weights: Tensor


def compress(tokens: Tensor, ratio: float, k: int = 8, mode: str = "exact") -> tuple[Tensor, Tensor]:
    """Merge every token into one of R background references (Eq. 3 and 4).

    Gradients reach `tokens` through Eq. 4; the choice of references and assignments has none.

    Args:
        tokens: visual tokens `[L, D]`, floating point, L >= 1.
        ratio: share of the tokens that stays, above 0; 1 or more is the identity.
        k: neighbours in the density, at least 1; fewer are used when there are fewer other tokens.
        mode: `"exact"`; or `"approximate"`, faster in long sequences: neighbours are sought among a few candidates.

    Returns:
        The merged tokens `[R, D]` in the dtype of `tokens`, and `keep`, int64 `[R]` ascending: merged token i
        stands at position `keep[i]` of the sequence.

    Raises:
        ValueError: for tokens that are not `[L >= 1, D]`, a ratio of 0 or less, k below 1, an unknown mode.
    """
    _check(tokens, "[L, D]", k=k, mode=mode)
    count = reference_count(len(tokens), ratio)
    if ratio >= 1:
        return tokens, torch.arange(len(tokens), device=tokens.device)
    points = _widen(tokens)
    keep, assignment = _choose(points, 1, count, k=k, mode=mode)
    return merging.merge(points, keep, assignment).to(tokens.dtype), keep


def compress_clips(tokens: Tensor, ratio: float, k: int = 8, mode: str = "exact") -> CompressedClips:
    """`compress` for B clips of one length side by side, each for itself.

    Args:
        tokens: `[B, L, D]`, B and L >= 1.
        ratio: as in `compress`.
        k: as in `compress`.
        mode: as in `compress`.

    Raises:
        ValueError: as in `compress`.
    """
    _check(tokens, "[B, L, D]", k=k, mode=mode)
    clips, length, _ = tokens.shape
    count = reference_count(length, ratio)
    if ratio >= 1:
        places = torch.arange(length, device=tokens.device).expand(clips, -1)
        return CompressedClips(tokens, places, places, tokens.new_ones(clips, length, dtype=_wide(tokens)))
    parts = []
    for some in tokens.split(clips_at_once(length, device=tokens.device)):
        points = _widen(some).flatten(0, 1)
        keep, assignment = _choose(points, len(some), count, k=k, mode=mode)
        weights = merging.weights(points, keep, assignment)
        merged = merging.merge(points, keep, assignment, weights).to(tokens.dtype)
        first = torch.arange(len(some), device=tokens.device)[:, None]
        kept, assigned = keep.view(len(some), -1) - first * length, assignment.view(len(some), -1) - first * count
        parts.append((merged.unflatten(0, (len(some), count)), kept, assigned, weights.view(len(some), -1)))
    return CompressedClips(*(torch.cat(each) for each in zip(*parts, strict=True)))


def reference_count(length: int, ratio: float) -> int:
    """R, the number of tokens that `compress` makes of `length` tokens.

    Raises:
        ValueError: for a ratio of 0 or less.
    """
    if not ratio > 0:
        raise ValueError(f"the compression ratio must be above 0, not {ratio}")
    return length if ratio >= 1 else max(1, int(ratio * length))


@torch.no_grad()
def local_density(tokens: Tensor, k: int = 8) -> Tensor:
    """Density of each token among its k nearest others: k over the sum of squared distances (Eq. 3).

    Args:
        tokens: `[L, D]`.
        k: neighbours, the token itself not among them; at most L - 1 are used.

    Returns:
        Density `[L]`, float32 (float64 for float64 tokens). Identical tokens have identical densities.
    """
    _check(tokens, "[L, D]", k=k)
    points = _widen(tokens)
    if len(points) == 1:
        return points.new_zeros(1)
    return background.density(Search(points).others(min(k, len(points) - 1)))


@torch.no_grad()
def assign(tokens: Tensor, keep: Tensor) -> Tensor:
    """The reference that each token belongs to: itself for a reference, else the nearest (N_i of Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`, ascending.

    Returns:
        For each token a position in `keep`, int64 `[L]`. Equally near references: the lower one.
    """
    _check(tokens, "[L, D]")
    return background.assignment(Search(_widen(tokens)), keep)


def reverse_attention_weights(tokens: Tensor, keep: Tensor, assignment: Tensor) -> Tensor:
    """Weight of each token in its merged token, high where it differs from the background (Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`.
        assignment: each token's position in `keep`, int64 `[L]`; every reference is assigned to itself.

    Returns:
        Weights `[L]`, float32 (float64 for float64 tokens); those of one reference sum to 1.
    """
    return merging.weights(_widen(tokens), keep, assignment)


def reverse_attention(tokens: Tensor, keep: Tensor, assignment: Tensor) -> Tensor:
    """Merge the tokens of each reference by reverse attention (Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`.
        assignment: each token's position in `keep`, int64 `[L]`; every reference is assigned to itself.

    Returns:
        Z', `[R, D]`, in the dtype of `tokens`.
    """
    return merging.merge(_widen(tokens), keep, assignment).to(tokens.dtype)


@torch.no_grad()
def _choose(points: Tensor, clips: int, count: int, *, k: int, mode: str) -> tuple[Tensor, Tensor]:
    """References `[clips * count]` and each token's position in them, `[clips * L]`, clip after clip."""
    length = len(points) // clips
    if length == 1:
        return (torch.arange(clips, device=points.device),) * 2
    search = Search(points, clips=clips, approximate=mode == "approximate")
    neighbours = search.others(min(k, length - 1))
    keep = background_references(background.density(neighbours).view(clips, length), count)
    keep = (keep + torch.arange(clips, device=keep.device)[:, None] * length).flatten()
    return keep, background.assignment(search, keep, neighbours)


def _check(tokens: Tensor, shape: str, *, k: int = 1, mode: str = "exact") -> None:
    if tokens.ndim != shape.count(",") + 1 or 0 in tokens.shape[:-1]:
        raise ValueError(f"tokens must be {shape} with L of at least 1, not {list(tokens.shape)}")
    if mode not in MODES:
        raise ValueError(f"unknown compression mode {mode!r}: use {' or '.join(map(repr, MODES))}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def _wide(tokens: Tensor) -> torch.dtype:
    return torch.promote_types(tokens.dtype, torch.float32)


def _widen(tokens: Tensor) -> Tensor:
    return tokens.to(_wide(tokens))
