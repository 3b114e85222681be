"""What is always there: where a word's masks lie in most of a camera's normal footage, on a coarse grid."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as coco_rle

from lavida.detection import Mask
from lavida.errors import InputError

GRID = (54, 96)  # rows, columns: one cell is 20x20 pixels of 1920x1080
ALWAYS_SHARE = 0.5  # of the frames in which a word has to lie in a cell to be always there
CELL_SHARE = 0.25  # of a cell that a mask has to cover
GROWN_CELLS = 1  # what stands still trembles by so much


def learnt(masks: Sequence[Mask], frames: int) -> str | None:
    """Where one word always is; None where that is nowhere.

    Args:
        masks: all of the word, of one camera.
        frames: how many were analysed, those without a mask too.
    """
    seen = np.zeros(GRID)
    for mask in masks:
        small = cv2.resize(mask.pixels.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)
        seen += small >= CELL_SHARE
    always = (seen >= ALWAYS_SHARE * max(1, frames)).astype(np.uint8)
    if not always.any():
        return None
    grown = cv2.dilate(always, np.ones((1 + 2 * GROWN_CELLS,) * 2, np.uint8))
    counts: bytes = coco_rle.encode(np.asfortranarray(grown))["counts"]
    return counts.decode("ascii")


def covered(background: str | None, size: tuple[int, int]) -> np.ndarray:
    """Where a word always is, bool `[H, W]`. Raises InputError for what `learnt` has not made."""
    if background is None:
        return np.zeros(size, bool)
    try:
        grid = coco_rle.decode({"size": list(GRID), "counts": background})
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError("the background of a profile cannot be read; calibrate again") from error
    return cv2.resize(grid, size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
