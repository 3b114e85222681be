"""Lower bounds on distances from few coordinates, so that most pairs of tokens need no full distance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lavida.model.compression.distances import ROUNDING, products, row_blocks, smallest, squared_norms

_SAMPLE = 2048
_SEED = 0


@dataclass(frozen=True)
class Candidates:
    """The columns that may be nearest to some rows.

    Attributes:
        columns: `[N, C]`, the columns with the least lower bounds.
        beyond: `[N]`, no other column's squared distance is below this, rounding considered.
    """

    columns: Tensor
    beyond: Tensor


class Subspace:
    """Tokens in the directions in which they vary most, and the length of what is left of each.

    With p the part in the subspace and r the length of the rest, |x - y|^2 >= |p_x - p_y|^2 + (r_x - r_y)^2: a
    bound that the triangle inequality gives for any orthonormal basis, and a tight one where the basis holds nearly
    all of the variance. The basis comes from one randomised subspace iteration (Halko et al. 2011) with a fixed seed
    over evenly spaced tokens.

    Args:
        points: `[L, D]`, floating point.
        dimensions: of the basis, at most D.
    """

    def __init__(self, points: Tensor, *, dimensions: int) -> None:
        length, width = points.shape
        mean = points.mean(0)
        basis = _basis(points, mean, dimensions)  # [D, m]
        self.coordinates = points.new_empty(length, dimensions + 1)
        self.norms = points.new_empty(length)
        for block in row_blocks(length, 4 * width, device=points.device):
            centred = points[block] - mean
            inside = products(centred, basis.T)
            self.coordinates[block, :-1] = inside
            self.norms[block] = squared_norms(centred)
            # not from the two norms, whose difference loses what is small
            rest = centred.sub_(products(inside, basis))
            self.coordinates[block, -1] = torch.linalg.vector_norm(rest, dim=1)
        self.lengths = squared_norms(self.coordinates)

    def candidates(self, rows: Tensor, count: int, *, columns: Tensor | None = None) -> Candidates:
        """The `count` columns with the least bounds for each row.

        Args:
            rows: indices of tokens, `[N]`.
            count: less than the number of columns.
            columns: indices of tokens, `[M]`; None: all tokens, but for each row itself.
        """
        others = slice(None) if columns is None else columns
        targets = torch.cat([self.coordinates[others], self.lengths[others, None] / 2], dim=1)  # [M, m + 2]
        found = rows.new_empty(len(rows), count)
        beyond = targets.new_empty(len(rows))
        rounding = ROUNDING * torch.finfo(targets.dtype).eps
        for block in row_blocks(len(rows), len(targets), device=rows.device):
            some = rows[block]
            sources = torch.cat([-self.coordinates[some], targets.new_ones(len(some), 1)], dim=1)
            halves = products(sources, targets)  # (bound - |row|^2) / 2
            if columns is None:
                halves.scatter_(1, some[:, None], torch.inf)
            values, places = smallest(halves, count + 1)
            found[block] = places[:, :-1]
            noise = rounding * (self.norms[some] + self.norms.max())
            beyond[block] = 2 * values[:, -1] + self.lengths[some] - noise
        return Candidates(found, beyond)


def _basis(points: Tensor, mean: Tensor, dimensions: int) -> Tensor:
    """Orthonormal columns `[D, m]` that span nearly all of the tokens' variance."""
    length, width = points.shape
    places = torch.linspace(0, length - 1, min(length, _SAMPLE), dtype=torch.float64).long().to(points.device)
    sample = points[places] - mean
    sketch = torch.randn(dimensions, width, generator=torch.Generator().manual_seed(_SEED), dtype=points.dtype)
    seen = products(sketch.to(points.device), sample)  # [m, sample]
    return torch.linalg.qr(products(sample.T.contiguous(), seen)).Q
