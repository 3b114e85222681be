"""What moves between two neighbouring frames: the motion field that the model sees beside each frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.video.flow import optical_flow

CHANNELS = 4  # velocity x and y, difference, known
PAIR_SHRINK = 2  # pairs are at half the size of the analysed frame
STRIDE = 4  # analysed pixels a cell of the field
FASTEST = 100.0  # heights a second; time stamps that are nearly the same must not make it infinite
GAP_SECONDS = 0.04  # between the two frames of a pair, about


def pair_gap(fps: float) -> int:
    """How many frames lie between the two frames of a pair."""
    return max(1, round(fps * GAP_SECONDS))


def small_gray(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB `[H, W, 3]` as gray of `size` `(h, w)`, as one frame of a pair."""
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size[::-1], interpolation=cv2.INTER_AREA)


def motion_field(now: NDArray[np.uint8], before: NDArray[np.uint8] | None, *, seconds: float) -> NDArray[np.float16]:
    """Velocity and change of each place of a frame.

    Args:
        now: the frame in gray, `[H/2, W/2]`.
        before: an earlier frame of the same size (or a later one, with negative `seconds`); None: nothing known.
        seconds: from `before` to `now`; 0 where the time stamps do not tell, which leaves the motion unknown.

    Returns:
        `[4, H/4, W/4]`: velocity x and y in frame heights a second, difference of the two frames in 0..1, and
        1 where the motion is known (else all is 0).
    """
    height, width = now.shape
    if before is None or seconds == 0:
        return np.zeros((CHANNELS, height * PAIR_SHRINK // STRIDE, width * PAIR_SHRINK // STRIDE), np.float16)
    velocity = -optical_flow(now, before) / (seconds * height)  # anchored where things are now
    difference = np.abs(now.astype(np.float32) - before.astype(np.float32)) / 255
    planes = np.concatenate([velocity.clip(-FASTEST, FASTEST), difference[None], np.ones_like(difference)[None]])
    cell = STRIDE // PAIR_SHRINK
    return planes.reshape(CHANNELS, height // cell, cell, width // cell, cell).mean((2, 4)).astype(np.float16)
