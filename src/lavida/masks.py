"""Masks as a person would draw them: no specks beside the thing, no holes in it (beyond the paper)."""

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_SHARE = 0.2  # of the largest part's area: smaller parts go,
SURE = 0.8  # unless their highest logit reaches this part of the mask's highest,
SPECK = 0.01  # and they are no specks: of the largest part's area
HOLE = 0.3  # of the mask's area: smaller holes are filled


def cleaned(mask: NDArray[np.bool_], logits: NDArray[np.floating]) -> NDArray[np.bool_]:
    """A mask without its small unsure parts and small holes; an empty one and a whole one stay as they are.

    Args:
        mask: `[H,W]`.
        logits: `[H,W]`, how sure each pixel is; above 0 in the mask.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return mask
    around = np.s_[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1]  # what is outside stays outside
    clean = np.zeros_like(mask)
    clean[around] = _filled(_without_specks(mask[around], logits[around]))
    return clean


def _without_specks(mask: NDArray[np.bool_], logits: NDArray[np.floating]) -> NDArray[np.bool_]:
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    largest, highest = areas.max(), logits[mask].max()
    keep = np.zeros(count, bool)
    keep[1:] = areas >= LEAST_SHARE * largest
    for part in 1 + np.flatnonzero(~keep[1:] & (areas >= SPECK * largest)):
        x, y, width, height, _ = boxes[part]
        box = np.s_[y : y + height, x : x + width]
        keep[part] = logits[box][labels[box] == part].max() >= SURE * highest
    return keep[labels]


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes, but not with what reaches the border of the picture or is large."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    height, width = mask.shape
    x, y, wide, high, area = boxes.T
    inside = (x > 0) & (y > 0) & (x + wide < width) & (y + high < height)
    fill = inside & (area < HOLE * np.count_nonzero(mask))
    fill[0] = False  # the mask itself
    return mask | fill[labels]
