"""What moves between two neighbouring frames: the motion field that the model sees beside each frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.timing import StageClock
from lavida.video.flow import optical_flow
from lavida.video.source import Frame

CHANNELS = 4  # velocity x and y, difference, known
PAIR_SHRINK = 2  # pairs are at half the size of the analysed frame
STRIDE = 4  # analysed pixels a cell of the field
FASTEST = 100.0  # heights a second; time stamps that are nearly the same must not make it infinite
GAP_SECONDS = 0.04  # between the two frames of a pair, about


def with_motion(frames: Iterable[Frame], clock: StageClock | None = None) -> Iterator[Frame]:
    """The same frames; those with a pair have their motion, too. The clock counts the time as "motion"."""
    clock = clock or StageClock()
    for frame in frames:
        if frame.pair is not None and frame.motion is None:
            with clock.stage("motion"):
                pair = frame.pair
                frame = replace(frame, motion=motion_field(pair.now, pair.before, seconds=pair.seconds))
        yield frame


def pair_gap(fps: float) -> int:
    """How many frames lie between the two frames of a pair at a constant rate."""
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
    difference = cv2.absdiff(now, before).astype(np.float32) / 255
    size = width * PAIR_SHRINK // STRIDE, height * PAIR_SHRINK // STRIDE
    field = np.ones((CHANNELS, *size[::-1]), np.float16)  # the last channel stays: all is known
    for plane, values in zip(field, (*velocity.clip(-FASTEST, FASTEST), difference), strict=False):
        plane[:] = cv2.resize(values, size, interpolation=cv2.INTER_AREA)  # the mean of each cell
    return field
