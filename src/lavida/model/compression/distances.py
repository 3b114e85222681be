"""Squared distances between tokens: by matmul, to rank them, and by subtraction, to know them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lavida.model.kernels import matmul_transposed

# Largest intermediate, in elements. On a CPU what fits in its caches, and small enough that the allocator reuses it.
BLOCK_ELEMENTS = {"cpu": 2**21}
PAIR_ELEMENTS = {"cpu": 2**19}
ACCELERATOR_ELEMENTS = 2**25
ROUNDING = 64  # units in the last place that a distance by matmul may be off, relative to the squared norms
_GROUP = 32  # columns


def row_blocks(rows: int, width: int, *, device: torch.device, pairs: bool = False) -> Iterator[slice]:
    """Slices of `rows` rows, each with at most the allowed number of elements when a row takes `width`."""
    most = (PAIR_ELEMENTS if pairs else BLOCK_ELEMENTS).get(device.type, ACCELERATOR_ELEMENTS)
    size = max(1, most // width)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def products(rows: Tensor, columns: Tensor) -> Tensor:
    """All dot products `[..., N, M]` of `rows` `[..., N, D]` and `columns` `[..., M, D]`, in their full precision."""
    if rows.ndim == 3 and len(rows) == 1:
        return products(rows[0], columns[0])[None]
    return matmul_transposed(rows, columns)


def squared_norms(points: Tensor) -> Tensor:
    """`[..., D]` to `[...]`."""
    return torch.linalg.vector_norm(points, dim=-1).square_()


def squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """All squared distances `[..., N, M]` by one matmul; accurate when the points are centred."""
    result = products(rows, columns).mul_(-2)
    return result.add_(squared_norms(rows)[..., None]).add_(squared_norms(columns)[..., None, :]).clamp_(min=0)


def paired_squared_distances(points: Tensor, rows: Tensor, partners: Tensor) -> Tensor:
    """Squared distance of each row to its own partners.

    The matmul leaves noise where identical patches are exactly 0 apart, and that noise would order them. These
    depend on the values of the two tokens alone.

    Args:
        points: `[N, D]`.
        rows: indices into `points`, `[M]`.
        partners: indices into `points`, `[M, C]`.
    """
    result = points.new_empty(partners.shape)
    width = partners.shape[1] * points.shape[1]
    for block in row_blocks(len(rows), width, device=points.device, pairs=True):
        some = partners[block]
        pairs = points.index_select(0, some.flatten()).unflatten(0, some.shape)  # [rows, C, D]
        pairs.sub_(points[rows[block], None])
        result[block] = pairs.square_().sum(-1)
    return result


def smallest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` smallest of each row of `[N, M]`, ascending, and their columns.

    In wide rows the least value of each group of columns is looked at first: the smallest are in the `count`
    groups with the smallest minima. That takes a tenth of the time of `topk` over all columns.
    """
    groups = values.shape[1] // _GROUP
    if groups < 4 * count:
        found = values.topk(count, dim=1, largest=False)
        return found.values, found.indices
    grouped = values[:, : groups * _GROUP].unflatten(1, (groups, _GROUP))
    chosen = grouped.amin(2).topk(count, dim=1, largest=False, sorted=False).indices  # [N, count]
    within = torch.arange(_GROUP, device=values.device)
    columns = (chosen[:, :, None] * _GROUP + within).flatten(1)  # [N, count * group]
    tail = torch.arange(groups * _GROUP, values.shape[1], device=values.device)
    columns = torch.cat([columns, tail.expand(len(values), -1)], dim=1)
    found = values.gather(1, columns).topk(count, dim=1, largest=False)
    return found.values, columns.gather(1, found.indices)


def clips_at_once(length: int, *, device: torch.device) -> int:
    """How many clips of `length` tokens may be compared side by side."""
    return max(1, BLOCK_ELEMENTS.get(device.type, ACCELERATOR_ELEMENTS) // length**2)
