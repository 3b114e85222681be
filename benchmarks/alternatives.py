"""Other ways to have fewer visual tokens, written from their descriptions, for comparison.

Each takes the tokens `[L, D]` of a clip, their grid (pairs of frames, rows, columns) and a ratio, and returns the
merged tokens `[R, D]` and, where it chooses tokens, their indices `[R]`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lavida.model.compression import compress, reference_count

Grid = tuple[int, int, int]
Method = Callable[[Tensor, Grid, float], tuple[Tensor, Tensor | None]]


def exact(tokens: Tensor, grid: Grid, ratio: float) -> tuple[Tensor, Tensor]:
    """This package's compression."""
    return compress(tokens, ratio)


def approximate(tokens: Tensor, grid: Grid, ratio: float) -> tuple[Tensor, Tensor]:
    """This package's compression, with neighbours among a few candidates."""
    return compress(tokens, ratio, mode="approximate")


def published(tokens: Tensor, grid: Grid, ratio: float, k: int = 8) -> tuple[Tensor, Tensor]:
    """The published code's variant of LAVIDA's compression: density from reach distances, dense softmax."""
    length, width = tokens.shape
    distances = torch.cdist(tokens, tokens) / math.sqrt(width)
    found = distances.topk(min(k + 1, length), dim=1, largest=False)
    near, neighbours = found.values[:, 1:], found.indices[:, 1:]
    reach = torch.maximum(near[:, -1][neighbours], near)
    density = k / (reach.sum(1) + 1e-10)
    keep = density.topk(reference_count(length, ratio)).indices.sort().values
    references = tokens[keep]  # [R, D]
    assignment = torch.cdist(tokens, references).argmin(1)
    mine = assignment == torch.arange(len(keep), device=tokens.device)[:, None]  # [R, L]
    logits = -(references @ tokens.T) / math.sqrt(width)
    return logits.masked_fill(~mine, -1e9).softmax(1) @ tokens, keep


def dpc_knn(tokens: Tensor, grid: Grid, ratio: float, k: int = 8) -> tuple[Tensor, Tensor]:
    """Density peaks (Du et al. 2016): centres are dense and far from anything denser; clusters are averaged."""
    length, width = tokens.shape
    distances = torch.cdist(tokens, tokens) / math.sqrt(width)
    near = distances.topk(min(k, length), dim=1, largest=False).values
    density = (-near.square().mean(1)).exp()
    density = density + 1e-6 * torch.arange(length, 0, -1, device=tokens.device) / length  # no ties
    denser = density[None] > density[:, None]
    gap = distances.masked_fill(~denser, float(distances.max())).amin(1)
    keep = (density * gap).topk(reference_count(length, ratio)).indices.sort().values
    assignment = distances[:, keep].argmin(1)
    assignment[keep] = torch.arange(len(keep), device=tokens.device)
    sums = tokens.new_zeros(len(keep), width).index_add(0, assignment, tokens)
    return sums / assignment.bincount(minlength=len(keep))[:, None], keep


def tome(tokens: Tensor, grid: Grid, ratio: float) -> tuple[Tensor, None]:
    """Bipartite merging as in ToMe (Bolya et al. 2023): every second token may join its most similar other one.

    Rounds of at most half of the tokens until the ratio is reached; means weighted by how many a token stands for.
    """
    count = reference_count(len(tokens), ratio)
    sizes = tokens.new_ones(len(tokens), 1)
    place = torch.arange(len(tokens), device=tokens.device)
    while len(tokens) > count:
        directions = F.normalize(tokens, dim=1)
        similarity, partner = (directions[::2] @ directions[1::2].T).max(1)
        merged = min(len(tokens) - count, len(tokens) // 2)
        order = similarity.argsort(descending=True, stable=True)
        source, stay = order[:merged], order[merged:]
        target = partner[source]
        sums = (tokens * sizes)[1::2].index_add(0, target, (tokens * sizes)[::2][source])
        weight = sizes[1::2].index_add(0, target, sizes[::2][source])
        tokens = torch.cat([tokens[::2][stay], sums / weight])
        sizes = torch.cat([sizes[::2][stay], weight])
        place = torch.cat([place[::2][stay], place[1::2]])
        by_place = place.argsort()
        tokens, sizes, place = tokens[by_place], sizes[by_place], place[by_place]
    return tokens, None


def uniform_stride(tokens: Tensor, grid: Grid, ratio: float) -> tuple[Tensor, Tensor]:
    """Evenly spaced tokens."""
    count = reference_count(len(tokens), ratio)
    keep = torch.arange(count, device=tokens.device) * len(tokens) // count
    return tokens[keep], keep


def temporal_pooling(tokens: Tensor, grid: Grid, ratio: float) -> tuple[Tensor, None]:
    """Means over neighbouring pairs of frames; never less than one pair, so the ratio may not be reached."""
    pairs = max(1, round(grid[0] * ratio))
    return _pooled(tokens, grid, (pairs, *grid[1:])), None


def downsampled(frames: Tensor, ratio: float) -> Tensor:
    """Plain input downsampling: uint8 frames `[T, 3, H, W]` with `ratio` times the pixels."""
    size = [max(1, round(side * math.sqrt(ratio))) for side in frames.shape[2:]]
    return F.interpolate(frames, size=size, mode="bilinear", antialias=True)


METHODS: dict[str, Method] = {
    "this, exact": exact,
    "this, approximate": approximate,
    "published variant": published,
    "DPC-KNN": dpc_knn,
    "ToMe-style merging": tome,
    "uniform stride": uniform_stride,
    "temporal pooling": temporal_pooling,
}
PUBLISHED = "published variant"
DOWNSAMPLING = "input downsampling"  # works on the frames, before there are tokens


def _pooled(tokens: Tensor, grid: Grid, size: Grid) -> Tensor:
    """Means over boxes of the grid; places of the grid without a token repeat the last one."""
    missing = math.prod(grid) - len(tokens)
    whole = torch.cat([tokens, tokens[-1:].expand(missing, -1)]) if missing else tokens
    volume = whole.view(*grid, -1).permute(3, 0, 1, 2)[None]
    return F.adaptive_avg_pool3d(volume, size)[0].flatten(1).T
