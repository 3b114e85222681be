"""How many cells a frame is looked at in, one a visual token; without tensors."""

import math


def fit_grid(height: int, width: int, *, cell: int, max_cells: int) -> tuple[int, int]:
    """Rows and columns of `cell`-pixel squares for a frame: its aspect, at most `max_cells`, no enlarging."""
    scale = min(1.0, math.sqrt(max_cells * cell * cell / (height * width)))
    fit = round if scale == 1.0 else math.floor
    rows = min(max(1, fit(height * scale / cell)), max_cells)
    cols = min(max(1, fit(width * scale / cell)), max_cells)
    if rows * cols > max_cells:  # a very long frame, or both sides rounded up: shorten the longer side
        rows, cols = (max_cells // cols, cols) if rows > cols else (rows, max_cells // rows)
    return rows, cols


def fit_square(side: int, *, max_cells: int) -> int:
    """Rows (and columns) of the largest square of at most `max_cells` cells, no larger than `side`, at least 1."""
    return max(1, min(side, math.isqrt(max(1, max_cells))))
