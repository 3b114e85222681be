"""Turned and mirrored pictures made upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Turn:
    """What makes a stored picture upright: swap its axes, then reverse its rows, then reverse its columns."""

    swap: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False

    def applied(self, image: NDArray[Any]) -> NDArray[Any]:
        """The upright picture, `[H, W, ...]`."""
        image = image.swapaxes(0, 1) if self.swap else image
        image = image[:: -1 if self.reverse_rows else 1, :: -1 if self.reverse_columns else 1]
        return np.ascontiguousarray(image)


# by EXIF's orientation
EXIF_TURNS = {
    1: Turn(),
    2: Turn(reverse_columns=True),
    3: Turn(reverse_rows=True, reverse_columns=True),
    4: Turn(reverse_rows=True),
    5: Turn(swap=True),
    6: Turn(swap=True, reverse_columns=True),
    7: Turn(swap=True, reverse_rows=True, reverse_columns=True),
    8: Turn(swap=True, reverse_rows=True),
}
