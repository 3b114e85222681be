"""Masks on frames: what was found is tinted and outlined in its category's colour, what is true is outlined in pink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.detection import Mask
from lavida.export.drawing import Colour, MaskLayer
from lavida.resizing import nearest

TRUTH: Colour = (255, 46, 147)


def paint(
    picture: NDArray[np.uint8],
    *,
    found: Sequence[Mask] = (),
    colours: Mapping[str, Colour],
    true: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """A copy of the picture `[h, w, 3]` with masks on it.

    Args:
        picture: RGB, any size.
        found: masks of this frame at any size.
        colours: by category, one for each of `found`.
        true: annotated pixels at any size.
    """
    painted = picture.copy()
    layer = MaskLayer.of(found, colours=dict(colours), size=painted.shape[:2])
    if layer is not None:
        layer.draw(painted)
    if true is not None:
        _outline(painted, true)
    return painted


def _outline(picture: NDArray[np.uint8], pixels: NDArray[np.bool_]) -> None:
    fitted = nearest(pixels, picture.shape[:2]).astype(np.uint8)
    borders, _ = cv2.findContours(fitted, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, borders, -1, TRUTH, max(2, round(picture.shape[0] / 160)), cv2.LINE_AA)
