"""Token compression (section 3.4): background tokens melt away, what differs from them stays.

`compress` is the whole of it; the steps are here one by one, too. Eq. 3 and 4 first as the paper writes them
(`as_written`, mode "reference"), then as they are run: nothing holds an [L, L] or [R, L] matrix, and the same tokens
give the same result, on a GPU too. `neighbours.py` finds nearest neighbours.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lavida.model.compression.distances import clips_at_once, row_blocks
from lavida.model.compression.neighbours import Neighbours, Search

MODES = ("exact", "approximate", "reference")
_DENSITY_EPSILON = 1e-10


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


def as_written(points: Tensor, count: int, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compress one clip `[L, D]` to `count` tokens by Eq. 3 and 4 to the letter: what `CompressedClips` has of it.

    Takes memory for L x L numbers. The other modes are proven equal to it by tests.
    """
    length, width = points.shape
    with torch.no_grad():
        squared = torch.stack([(points - point).square().sum(1) for point in points])  # [L, L]
        k = min(k, length - 1)
        others = squared.clone().fill_diagonal_(torch.inf)
        density = k / (others.topk(k, largest=False).values.sum(1) + _DENSITY_EPSILON)  # [L], Eq. 3
        keep = background_references(density, count)
        assignment = squared[:, keep].sort(dim=1, stable=True).indices[:, 0]  # N_i: the nearest, the lower of equals
        assignment[keep] = torch.arange(count, device=keep.device)
        elsewhere = assignment != torch.arange(count, device=keep.device)[:, None]  # [R, L]
    with torch.autocast(points.device.type, enabled=False):
        logits = -(points[keep] @ points.T) / math.sqrt(width)
        attention = logits.masked_fill(elsewhere, -torch.inf).softmax(1)  # [R, L], Eq. 4
        return attention @ points, keep, assignment, attention.sum(0)


def compress(tokens: Tensor, ratio: float, k: int = 8, mode: str = "exact") -> tuple[Tensor, Tensor]:
    """Merge every token into one of R background references (Eq. 3 and 4).

    Gradients reach `tokens` through Eq. 4; the choice of references and assignments has none.

    Args:
        tokens: visual tokens `[L, D]`, floating point, L >= 1.
        ratio: share of the tokens that stays, above 0; 1 or more is the identity.
        k: neighbours in the density, at least 1; fewer are used when there are fewer other tokens.
        mode: `"exact"`; `"approximate"`, faster in long sequences: neighbours are sought among a few candidates;
            or `"reference"`, the same as exact in the paper's own words, slow and large.

    Returns:
        The merged tokens `[R, D]` in the dtype of `tokens`, and `keep`, int64 `[R]` ascending: merged token i
        stands at position `keep[i]` of the sequence.

    Raises:
        ValueError: for tokens that are not `[L >= 1, D]`, a ratio of 0 or less, k below 1, an unknown mode.

    Example:
        >>> import torch
        >>> from lavida.model.compression import compress
        >>> tokens = torch.arange(12.0)[:, None] * torch.tensor([1.0, 2.0])  # twelve tokens of two numbers
        >>> merged, keep = compress(tokens, ratio=0.25)
        >>> merged.shape, keep.shape
        (torch.Size([3, 2]), torch.Size([3]))
    """
    _check(tokens, "[L, D]", k=k, mode=mode)
    if ratio >= 1:
        return tokens, torch.arange(len(tokens), device=tokens.device)
    found = compress_clips(tokens[None], ratio, k=k, mode=mode)
    return found.merged[0], found.keep[0]


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
    parts: list[tuple[Tensor, ...]] = []
    for some in tokens.split(1 if mode == "reference" else clips_at_once(length, device=tokens.device)):
        points = _widen(some).flatten(0, 1)
        if mode == "reference":
            parts.append(tuple(each[None] for each in as_written(points, count, k)))
            continue
        keep, assignment = _choose(points, len(some), count, k=k, mode=mode)
        weights = _weights(points, keep, assignment)
        merged = segment_sums(points, assignment, len(keep), scale=weights)  # Z' of Eq. 4
        first = torch.arange(len(some), device=tokens.device)[:, None]
        kept, assigned = keep.view(len(some), -1) - first * length, assignment.view(len(some), -1) - first * count
        parts.append((merged.unflatten(0, (len(some), count)), kept, assigned, weights.view(len(some), -1)))
    merged, *others = (torch.cat(each) for each in zip(*parts, strict=True))
    return CompressedClips(merged.to(tokens.dtype), *others)


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
    return _density(Search(points).others(min(k, len(points) - 1)))


@torch.no_grad()
def background_references(density: Tensor, count: int) -> Tensor:
    """The `count` densest tokens, the background reference set; ties go to the lower index.

    Args:
        density: `[..., L]`.
        count: how many to take, R.

    Returns:
        Their indices, int64 `[..., R]`, ascending.
    """
    return density.sort(dim=-1, descending=True, stable=True).indices[..., :count].sort(dim=-1).values


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
    return _assignment(Search(_widen(tokens)), keep)


def reverse_attention_weights(tokens: Tensor, keep: Tensor, assignment: Tensor) -> Tensor:
    """Weight of each token in its merged token, high where it differs from the background (Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`.
        assignment: each token's position in `keep`, int64 `[L]`; every reference is assigned to itself.

    Returns:
        Weights `[L]`, float32 (float64 for float64 tokens); those of one reference sum to 1.
    """
    return _weights(_widen(tokens), keep, assignment)


def reverse_attention(tokens: Tensor, keep: Tensor, assignment: Tensor) -> Tensor:
    """Merge the tokens of each reference by reverse attention (Eq. 4): Z', `[R, D]`, in the dtype of `tokens`.

    Arguments as in `reverse_attention_weights`.
    """
    points = _widen(tokens)
    weights = _weights(points, keep, assignment)
    return segment_sums(points, assignment, len(keep), scale=weights).to(tokens.dtype)


def segment_sums(values: Tensor, assignment: Tensor, count: int, *, scale: Tensor | None = None) -> Tensor:
    """Sums `[count, C]` of `values` `[N, C]`, each row times its `scale` `[N]`, by what it is assigned to.

    Each sum adds its tokens in their order, on a GPU too, where `index_add` adds them as they come.
    """
    found = assignment.sort(stable=True)
    starts = torch.searchsorted(found.values, torch.arange(count, device=assignment.device))
    scale = None if scale is None else scale[found.indices]
    return F.embedding_bag(found.indices, values, starts, mode="sum", per_sample_weights=scale)


def _density(neighbours: Neighbours) -> Tensor:
    """Eq. 3, `[N]`."""
    return neighbours.squared.shape[1] / (neighbours.squared.sum(1) + _DENSITY_EPSILON)


@torch.no_grad()
def _choose(points: Tensor, clips: int, count: int, *, k: int, mode: str) -> tuple[Tensor, Tensor]:
    """References `[clips * count]` and each token's position in them, `[clips * L]`, clip after clip."""
    length = len(points) // clips
    if length == 1:
        return (torch.arange(clips, device=points.device),) * 2
    search = Search(points, clips=clips, approximate=mode == "approximate")
    neighbours = search.others(min(k, length - 1))
    keep = background_references(_density(neighbours).view(clips, length), count)
    keep = (keep + torch.arange(clips, device=keep.device)[:, None] * length).flatten()
    return keep, _assignment(search, keep, neighbours)


def _assignment(search: Search, references: Tensor, neighbours: Neighbours | None = None) -> Tensor:
    """As `assign`, int64 `[N]`, among the tokens of B clips with `references` `[B * R]`, ascending.

    Where `neighbours` are known, the search for their density serves here as well.
    """
    tokens = len(search.points)
    position = references.new_full((tokens,), -1)
    position[references] = torch.arange(len(references), device=references.device)
    result = position
    if neighbours is not None:
        known = _among_neighbours(position, neighbours)
        result = torch.where(position < 0, known, position)
    if search.clips > 1:  # side by side, so all at once
        rows = torch.arange(tokens, device=references.device)
        return torch.where(result < 0, search.nearest(rows, references), result)
    rows = (result < 0).nonzero().squeeze(1)
    return result.index_copy(0, rows, search.nearest(rows, references)) if len(rows) else result


def _among_neighbours(position: Tensor, neighbours: Neighbours) -> Tensor:
    """For each token the position of the nearest reference where that must be one of its neighbours, else -1."""
    places = position[neighbours.indices]  # [N, k]
    squared = neighbours.squared.masked_fill(places < 0, torch.inf)
    least = squared.amin(1, keepdim=True)
    first = places.masked_fill(squared != least, len(position)).amin(1)
    return first.masked_fill(~(least.squeeze(1) < neighbours.complete), -1)


def _weights(points: Tensor, references: Tensor, assignment: Tensor) -> Tensor:
    """Softmax weights `[N]` of Eq. 4 over the tokens of each of the R references."""
    background = references[assignment]
    blocks = row_blocks(len(points), points.shape[1], device=points.device, pairs=True)
    products = torch.cat([(points[block] * points[background[block]]).sum(1) for block in blocks])
    logits = -products / math.sqrt(points.shape[1])
    peak = logits.new_full((len(references),), -math.inf)
    peak = peak.scatter_reduce(0, assignment, logits.detach(), "amax")
    exponentials = (logits - peak[assignment]).exp()
    totals = segment_sums(exponentials[:, None], assignment, len(references))  # [R, 1]
    return exponentials / totals[assignment, 0]


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
