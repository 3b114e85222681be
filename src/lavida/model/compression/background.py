"""The background: its density (Eq. 3), its references, and which of them each token belongs to."""

import torch
from torch import Tensor

from lavida.model.compression.neighbours import Neighbours, Search

_DENSITY_EPSILON = 1e-10


def density(neighbours: Neighbours) -> Tensor:
    """k over the sum of the squared distances to the k nearest others (Eq. 3), `[N]`."""
    return neighbours.squared.shape[1] / (neighbours.squared.sum(1) + _DENSITY_EPSILON)


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


def assignment(search: Search, references: Tensor, neighbours: Neighbours | None = None) -> Tensor:
    """For each token the position of its reference: itself for a reference, else the nearest (N_i of Eq. 4).

    Args:
        search: among the tokens of B clips, N in all.
        references: indices of tokens, int64 `[B * R]`, ascending.
        neighbours: where they are known, the search for their density serves here as well.

    Returns:
        int64 `[N]`. Equally near references: the lower one.
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
