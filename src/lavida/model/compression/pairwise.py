"""Nearest tokens by comparing to all of them: one matmul, a block of rows at a time, clips side by side."""

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

_SPARE = 4  # neighbours more than asked for that are measured, since the matmul's ranks are off by its rounding
_TIE_CANDIDATES = 4


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
        clips, length, width = self._centred.shape
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
