"""Nearest neighbours among the tokens of a clip, without an [L, L] matrix in memory.

`Pairwise` compares to all tokens, a block of rows at a time; `Search` first to a few candidates where that is faster.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lavida.model.compression.distances import (
    ROUNDING,
    paired_squared_distances,
    row_blocks,
    smallest,
    squared_distances,
    squared_norms,
)
from lavida.model.compression.subspace import Subspace

# A subspace pays for long sequences of wide tokens; for others the matmul of all pairs takes less than finding it.
SUBSPACE_LENGTH = 1536
_EXACT_DIMENSIONS, _APPROXIMATE_DIMENSIONS = 126, 62  # 128 and 64 with the length of the rest and the norm
_EXACT_CANDIDATES = (16, 64)  # of a token; where the first do not prove its neighbours, the second may
_APPROXIMATE_CANDIDATES = (12,)
_EXACT_REFERENCES, _APPROXIMATE_REFERENCES = 4, 2
_TRIAL = 256  # tokens; where the bounds prove less than half of them, they are not tried on the others
_SPARE = 4  # neighbours more than asked for that are measured, since the matmul's ranks are off by its rounding
_TIE_CANDIDATES = 4


@dataclass(frozen=True)
class Neighbours:
    """The k nearest others of each of N tokens.

    Attributes:
        indices: int64 `[N, k]`.
        squared: their squared distances `[N, k]`, ascending.
        complete: `[N]`; all tokens nearer than this squared distance are among them.
    """

    indices: Tensor
    squared: Tensor
    complete: Tensor

    def put(self, rows: Tensor, indices: Tensor, squared: Tensor, complete: Tensor) -> None:
        """Replace those of some rows."""
        self.indices[rows], self.squared[rows], self.complete[rows] = indices, squared, complete


class Pairwise:
    """Tokens of B clips of one length, each compared to those of its own clip.

    Args:
        points: `[B * L, D]`, float32 or float64, clip after clip.
        clips: B.
    """

    def __init__(self, points: Tensor, *, clips: int) -> None:
        self.points = points
        by_clip = points.unflatten(0, (clips, len(points) // clips))
        self._centred = by_clip - by_clip.mean(1, keepdim=True)  # distances by matmul are accurate around the mean
        self._norms = squared_norms(self._centred)  # [B, L]
        self._first = torch.arange(clips, device=points.device)[:, None] * by_clip.shape[1]  # of each clip

    def others(self, rows: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """The k nearest others of some tokens.

        Args:
            rows: indices of tokens, `[N]`; with more than one clip as many of each, clip after clip.
            k: at most L - 1.

        Returns:
            Their indices `[N, k]`, their squared distances `[N, k]` ascending, and a distance `[N]` below which
            these are all there are.
        """
        clips, length, _width = self._centred.shape
        count = min(k + _SPARE, length - 1)
        parts = []
        local = rows.view(clips, -1) - self._first  # [B, N / B]
        for block in row_blocks(local.shape[1], clips * max(length, count), device=rows.device):
            some = local[:, block]
            distances = squared_distances(self._rows(some), self._centred)  # [B, n, L]
            distances.scatter_(2, some[..., None], torch.inf)
            columns = smallest(distances.flatten(0, 1), count)[1].view(clips, -1, count) + self._first[..., None]
            parts.append(columns)
        columns = torch.cat(parts, dim=1).flatten(0, 1)  # [N, C]
        squared, order = paired_squared_distances(self.points, rows, columns).sort(dim=1, stable=True)
        noise = self._noise(local, self._norms).flatten()
        return columns.gather(1, order[:, :k]), squared[:, :k], squared[:, k - 1] - noise

    def nearest(self, rows: Tensor, references: Tensor) -> Tensor:
        """Positions `[N]` in `references` of the nearest one of each row, the lower of equals.

        Args:
            rows: as in `others`.
            references: indices of tokens, `[B * R]`, ascending; as many of each clip.
        """
        clips = len(self._centred)
        local, targets = rows.view(clips, -1) - self._first, references.view(clips, -1) - self._first
        columns, norms = self._rows(targets), self._norms.gather(1, targets)  # [B, R, D], [B, R]
        parts = []
        for block in row_blocks(local.shape[1], clips * targets.shape[1], device=rows.device):
            distances = squared_distances(self._rows(local[:, block]), columns)  # [B, n, R]
            parts.append(_candidates(distances, self._noise(local[:, block], norms)))
        places = torch.cat(parts, dim=1)  # [B, N / B, C]
        places = (places + torch.arange(clips, device=rows.device)[:, None, None] * targets.shape[1]).flatten(0, 1)
        exact = paired_squared_distances(self.points, rows, references[places])
        # the first of equals, so the lower reference
        return places.gather(1, exact.argmin(1, keepdim=True)).squeeze(1)

    def _rows(self, local: Tensor) -> Tensor:
        """Centred tokens `[B, n, D]` at `[B, n]`."""
        if len(local) == 1:
            return self._centred[0, local[0]][None]
        return self._centred.take_along_dim(local[..., None], dim=1)

    def _noise(self, local: Tensor, norms: Tensor) -> Tensor:
        """How far the matmul may be off for rows at `[B, n]` and columns of these norms."""
        scale = self._norms.gather(1, local) + norms.amax(1, keepdim=True)
        return ROUNDING * torch.finfo(norms.dtype).eps * scale


def _candidates(distances: Tensor, noise: Tensor) -> Tensor:
    """Columns that may be the nearest as far as rounding can tell, `[B, n, C]` ascending.

    They are the apparent nearest and the lowest few within rounding error of it: among many identical references
    the lowest has to be there.
    """
    least, nearest = distances.min(dim=2, keepdim=True)
    columns = distances.shape[2]
    index = torch.arange(columns, device=distances.device, dtype=torch.int32)
    within = index.masked_fill(distances > least + noise[..., None], columns)
    lowest = within.topk(min(_TIE_CANDIDATES, columns), dim=2, largest=False).values.long()
    lowest = torch.where(lowest < columns, lowest, nearest)
    return torch.cat([nearest, lowest], dim=2).sort(dim=2).values


class Search:
    """Finds neighbours among tokens, each within its own clip.

    Exact: in long sequences a few candidates from lower bounds (`Subspace`) are measured, and a token whose neighbours
    the bounds prove is done; the others are compared to all tokens by one matmul. Approximate: the candidates are
    measured and taken unproven.

    Args:
        points: `[B * L, D]`, float32 or float64, clip after clip.
        clips: B, clips of one length.
        approximate: take unproven neighbours in long sequences.
    """

    def __init__(self, points: Tensor, *, clips: int = 1, approximate: bool = False) -> None:
        self.points = points
        self.clips = clips
        self.approximate = approximate

    def others(self, k: int) -> Neighbours:
        """The k nearest others of every token; `k` at most L - 1."""
        rows = torch.arange(len(self.points), device=self.points.device)
        if not self._bounded(k):
            return Neighbours(*self._pairwise.others(rows, k))
        squared = self.points.new_empty(len(rows), k)
        found = Neighbours(rows.new_empty(len(rows), k), squared, squared.new_empty(len(rows)))
        for count in _APPROXIMATE_CANDIDATES if self.approximate else _EXACT_CANDIDATES:
            indices, squared, beyond = self._candidates(rows, k, count)
            found.put(rows, indices, squared, squared[:, -1])
            rows = rows[~_proven(squared, beyond)]
        if not self.approximate and len(rows):
            found.put(rows, *self._pairwise.others(rows, k))
        return found

    def nearest(self, rows: Tensor, references: Tensor) -> Tensor:
        """The reference nearest to each row, the lower one of equals.

        Args:
            rows: indices of tokens, `[N]`; with more than one clip as many of each, clip after clip.
            references: indices of tokens, `[B * R]`, ascending; as many of each clip.

        Returns:
            Positions in `references`, int64 `[N]`.
        """
        count = _APPROXIMATE_REFERENCES if self.approximate else _EXACT_REFERENCES
        if len(references) <= count or not self._bounded(1):
            return self._pairwise.nearest(rows, references)
        candidates = self._subspace.candidates(rows, count, columns=references)
        columns = candidates.columns.sort(dim=1).values
        least, choice = paired_squared_distances(self.points, rows, references[columns]).min(dim=1)
        result = columns.gather(1, choice[:, None]).squeeze(1)
        unproven = rows.new_zeros(0) if self.approximate else (least >= candidates.beyond).nonzero().squeeze(1)
        if len(unproven):
            result[unproven] = self._pairwise.nearest(rows[unproven], references)
        return result

    @cached_property
    def _pairwise(self) -> Pairwise:
        return Pairwise(self.points, clips=self.clips)

    @cached_property
    def _subspace(self) -> Subspace:
        return Subspace(self.points, dimensions=self._dimensions)

    @property
    def _dimensions(self) -> int:
        return _APPROXIMATE_DIMENSIONS if self.approximate else _EXACT_DIMENSIONS

    def _bounded(self, k: int) -> bool:
        """Whether candidates from lower bounds save time."""
        small = len(self.points) < max(SUBSPACE_LENGTH, 64 * k) or self.points.shape[1] < 2 * self._dimensions
        return self.clips == 1 and not small and (self.approximate or self._bounds_prove)

    @cached_property
    def _bounds_prove(self) -> bool:
        """Whether the lower bounds are tight enough for these tokens."""
        rows = torch.arange(0, len(self.points), -(-len(self.points) // _TRIAL), device=self.points.device)
        _, squared, beyond = self._candidates(rows, 8, _EXACT_CANDIDATES[-1])
        return bool(_proven(squared, beyond).float().mean() >= 0.5)

    def _candidates(self, rows: Tensor, k: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The k nearest of each row's candidates with their squared distances, and the bound on all others."""
        candidates = self._subspace.candidates(rows, max(count, k + count // 4))
        squared, order = paired_squared_distances(self.points, rows, candidates.columns).sort(dim=1, stable=True)
        return candidates.columns.gather(1, order[:, :k]), squared[:, :k], candidates.beyond


def _proven(squared: Tensor, beyond: Tensor) -> Tensor:
    """For which rows no other token can be nearer than the neighbours found."""
    return (squared[:, -1] <= beyond) | (squared[:, -1] == 0)
