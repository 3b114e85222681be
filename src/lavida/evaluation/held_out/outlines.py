"""How well a mask is drawn: its outline against the true one, and into how many parts it falls."""

import cv2
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.008  # of the diagonal, as in DAVIS's boundary measure


def boundary_f(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """F of two masks' outlines, `[H,W]`: what lies near the other's outline (Perazzi et al., 2016); 0 without any."""
    reach = max(1, round(TOLERANCE * float(np.hypot(*true.shape))))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    mine, theirs = _outline(found), _outline(true)
    if not mine.any() or not theirs.any():
        return 0.0
    precision, recall = (
        np.count_nonzero(one & (cv2.dilate(other.astype(np.uint8), disk) > 0)) / np.count_nonzero(one)
        for one, other in ((mine, theirs), (theirs, mine))
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def parts(mask: NDArray[np.bool_]) -> int:
    """The number of connected parts of a mask `[H,W]`."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask at its edge; where the picture ends is none."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return mask & (inner == 0)
