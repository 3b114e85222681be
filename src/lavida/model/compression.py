"""Token compression (section 3.4): background tokens melt away, what differs from them stays.

Nothing here holds an [L, L] matrix: distances are computed a block of rows at a time.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK_ELEMENTS = 2**22  # largest intermediate, in elements: 16 MB in float32
_TIE_CANDIDATES = 4
_DENSITY_EPSILON = 1e-10


def compress(tokens: Tensor, ratio: float, k: int = 8, mode: str = "exact") -> tuple[Tensor, Tensor]:
    """Merge every token into one of R background references (Eq. 3 and 4).

    Gradients reach `tokens` through Eq. 4; the choice of references and assignments has none.

    Args:
        tokens: visual tokens `[L, D]`, floating point, L >= 1.
        ratio: share of the tokens that stays, above 0; 1 or more is the identity.
        k: neighbours in the density, at least 1; fewer are used when there are fewer other tokens.
        mode: `"exact"`.

    Returns:
        The merged tokens `[R, D]` in the dtype of `tokens`, and `keep`, int64 `[R]` ascending: merged token i
        stands at position `keep[i]` of the sequence.

    Raises:
        ValueError: for tokens that are not `[L >= 1, D]`, a ratio of 0 or less, k below 1, an unknown mode.
    """
    if mode != "exact":
        raise ValueError(f"unknown compression mode {mode!r}: use 'exact'")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    count = reference_count(_length(tokens), ratio)
    if ratio >= 1:
        return tokens, torch.arange(len(tokens), device=tokens.device)
    keep = background_references(local_density(tokens, k), count)
    return reverse_attention(tokens, keep, assign(tokens, keep)), keep


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
    length = _length(tokens)
    k = min(k, length - 1)
    points = _widen(tokens)
    if k == 0:
        return points.new_zeros(length)
    centred = points - points.mean(0)
    spread = points.new_empty(length)
    for start, stop in _row_blocks(length, max(length, k * tokens.shape[1])):
        distances = _squared_distances(centred[start:stop], centred)  # [rows, L]
        distances[:, start:stop].fill_diagonal_(math.inf)
        neighbours = distances.topk(k, dim=1, largest=False, sorted=False).indices
        # The matmul ranks well but leaves noise where identical patches are exactly 0 apart, and that noise
        # would order them. Distances by subtraction, summed from the smallest, depend on the values alone.
        exact = _paired_squared_distances(points[start:stop], points, neighbours)  # [rows, k]
        spread[start:stop] = exact.sort(dim=1).values.sum(1)
    return k / (spread + _DENSITY_EPSILON)


@torch.no_grad()
def background_references(density: Tensor, count: int) -> Tensor:
    """The `count` densest tokens, the background reference set; ties go to the lower index.

    Args:
        density: `[L]`.
        count: how many to take, R.

    Returns:
        Their indices, int64 `[R]`, ascending.
    """
    return density.sort(descending=True, stable=True).indices[:count].sort().values


@torch.no_grad()
def assign(tokens: Tensor, keep: Tensor) -> Tensor:
    """The reference that each token belongs to: itself for a reference, else the nearest (N_i of Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`, ascending.

    Returns:
        For each token a position in `keep`, int64 `[L]`. Equally near references: the lower one.
    """
    length = _length(tokens)
    points = _widen(tokens)
    centred = points - points.mean(0)
    assignment = torch.empty(length, dtype=torch.int64, device=tokens.device)
    for start, stop in _row_blocks(length, max(len(keep), (_TIE_CANDIDATES + 1) * tokens.shape[1])):
        candidates = _nearest_candidates(centred[start:stop], centred[keep])  # [rows, C], ascending
        exact = _paired_squared_distances(points[start:stop], points, keep[candidates])
        choice = exact.argmin(1, keepdim=True)  # the first of equals, so the lower reference
        assignment[start:stop] = candidates.gather(1, choice).squeeze(1)
    assignment[keep] = torch.arange(len(keep), device=tokens.device)
    return assignment


def reverse_attention_weights(tokens: Tensor, keep: Tensor, assignment: Tensor) -> Tensor:
    """Weight of each token in its merged token, high where it differs from the background (Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`.
        assignment: each token's position in `keep`, int64 `[L]`.

    Returns:
        Weights `[L]`, float32 (float64 for float64 tokens); those of one reference sum to 1.
    """
    points = _widen(tokens)
    background = points[keep[assignment]]  # [L, D]
    logits = -(points * background).sum(1) / math.sqrt(tokens.shape[1])  # [L]
    peak = logits.new_full((len(keep),), -math.inf)
    peak = peak.scatter_reduce(0, assignment, logits.detach(), "amax")
    exponentials = (logits - peak[assignment]).exp()
    totals = exponentials.new_zeros(len(keep)).index_add(0, assignment, exponentials)
    return exponentials / totals[assignment]


def reverse_attention(tokens: Tensor, keep: Tensor, assignment: Tensor) -> Tensor:
    """Merge the tokens of each reference by reverse attention (Eq. 4).

    Args:
        tokens: `[L, D]`.
        keep: indices of the references, int64 `[R]`.
        assignment: each token's position in `keep`, int64 `[L]`.

    Returns:
        Z', `[R, D]`, in the dtype of `tokens`.
    """
    weighted = reverse_attention_weights(tokens, keep, assignment)[:, None] * _widen(tokens)  # [L, D]
    merged = weighted.new_zeros(len(keep), tokens.shape[1]).index_add(0, assignment, weighted)
    return merged.to(tokens.dtype)


def _length(tokens: Tensor) -> int:
    if tokens.ndim != 2 or len(tokens) == 0:
        raise ValueError(f"tokens must be [L, D] with L of at least 1, not {list(tokens.shape)}")
    return len(tokens)


def _widen(tokens: Tensor) -> Tensor:
    return tokens.to(torch.promote_types(tokens.dtype, torch.float32))


def _row_blocks(rows: int, width: int) -> Iterator[tuple[int, int]]:
    size = max(1, _BLOCK_ELEMENTS // width)
    for start in range(0, rows, size):
        yield start, min(start + size, rows)


def _squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """All squared distances `[rows, columns]` by one matmul; accurate when the points are centred."""
    with torch.autocast(rows.device.type, enabled=False):  # half precision would drown small distances
        products = rows @ columns.T
    return products.mul_(-2).add_(_norms(rows)[:, None]).add_(_norms(columns)).clamp_(min=0)


def _paired_squared_distances(rows: Tensor, points: Tensor, partners: Tensor) -> Tensor:
    """Squared distance of each row to its own partners `[rows, C]`: exactly 0 between identical points."""
    return (points[partners] - rows[:, None]).square().sum(-1)


def _norms(points: Tensor) -> Tensor:
    return points.square().sum(-1)


def _nearest_candidates(rows: Tensor, references: Tensor) -> Tensor:
    """References that may be the nearest as far as the matmul's rounding can tell, `[rows, C]` ascending.

    They are the apparent nearest and the lowest few within rounding error of it: among many identical
    references the lowest has to be there.
    """
    distances = _squared_distances(rows, references)  # [rows, R]
    least, nearest = distances.min(dim=1, keepdim=True)
    rounding = 64 * torch.finfo(rows.dtype).eps * (_norms(rows)[:, None] + _norms(references).max())
    index = torch.arange(len(references), device=rows.device)
    within = torch.where(distances <= least + rounding, index, len(references))
    lowest = within.topk(min(_TIE_CANDIDATES, len(references)), dim=1, largest=False).values
    lowest = torch.where(lowest < len(references), lowest, nearest)
    return torch.cat([nearest, lowest], dim=1).sort(dim=1).values
