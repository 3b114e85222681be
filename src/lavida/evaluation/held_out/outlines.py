"""How well a mask is drawn: its outline against the true one, and into how many parts it falls."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.008  # of the diagonal, as in DAVIS's boundary measure


def boundary_f(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """F of two masks' outlines, `[H,W]`: what lies near the other's outline, as DAVIS counts (Perazzi et al., 2016).

    Where neither has an outline it is 1 if they are equal; DAVIS calls a mask of all and one of nothing equal, too.
    """
    mine, theirs = _outline(found), _outline(true)
    if not mine.any() and not theirs.any():
        return float(np.array_equal(found, true))
    if not mine.any() or not theirs.any():
        return 0.0
    reach = math.ceil(TOLERANCE * math.hypot(*true.shape))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x**2 + y**2 <= reach**2).astype(np.uint8)
    precision, recall = (
        np.count_nonzero(one & (cv2.dilate(other.astype(np.uint8), disk) > 0)) / np.count_nonzero(one)
        for one, other in ((mine, theirs), (theirs, mine))
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def parts(mask: NDArray[np.bool_]) -> int:
    """The number of connected parts of a mask `[H,W]`."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that differ from the one to the right, below or both; where the picture ends is none."""
    beyond = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != beyond[:-1, 1:]) | (mask != beyond[1:, :-1]) | (mask != beyond[1:, 1:])
