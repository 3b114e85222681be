"""Masks of polygons and run lengths, as COCO's own tools draw them."""

from typing import Any

import numpy as np
from pycocotools import mask as coco_rle

SMALLEST_POLYGON = 6  # numbers of a triangle


def drawn(outline: Any, size: tuple[int, int]) -> np.ndarray:
    """The union of polygons `[x, y, x, y, ...]` or run lengths, or one run length, as bool [H, W].

    Polygons of less than three corners are passed over. Raises ValueError, TypeError or a bare Exception of
    pycocotools where it is none of these.
    """
    codes = outline if isinstance(outline, list) else [outline]
    codes = [code for code in codes if not isinstance(code, list) or len(code) >= SMALLEST_POLYGON]
    if not codes:
        return np.zeros(size, dtype=bool)
    if isinstance(codes[0], list) or isinstance(codes[0]["counts"], list):
        codes = coco_rle.frPyObjects(codes, *size)
    mask = coco_rle.decode(coco_rle.merge(codes)).astype(bool)
    if mask.shape != size:
        raise ValueError(f"its size is {mask.shape}, that of the picture {size}")
    return mask
