"""What moves between two neighbouring frames: dense optical flow, and the field of it that the model sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.timing import StageClock
from lavida.video.source import Frame

CHANNELS = 4  # velocity x and y, difference, known
PAIR_SHRINK = 2  # pairs are at half the size of the analysed frame
STRIDE = 4  # analysed pixels a cell of the field
FASTEST = 100.0  # heights a second; time stamps that are nearly the same must not make it infinite
SMALLEST_NORMAL = 2.0**-14  # of float16
SMALLEST_SIDE = 16  # pixels; a pyramid stops here

_Plane = NDArray[np.float32]  # `[H, W]`


def with_motion(frames: Iterable[Frame], clock: StageClock | None = None) -> Iterator[Frame]:
    """The same frames; those with a pair have their motion, too. The clock counts the time as "motion"."""
    clock = clock or StageClock()
    for frame in frames:
        if frame.pair is not None and frame.motion is None:
            with clock.stage("motion"):
                frame = add_motion(frame)
        yield frame


def add_motion(frame: Frame) -> Frame:
    """The same frame, of which its pair tells the motion; as it is if it has no pair."""
    if frame.pair is None:
        return frame
    pair = frame.pair
    return replace(frame, motion=motion_field(pair.now, pair.before, seconds=pair.seconds))


def small_gray(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB `[H, W, 3]` as gray of `size` `(h, w)`, as one frame of a pair."""
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(gray, np.uint8)


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
    size = width * PAIR_SHRINK // STRIDE, height * PAIR_SHRINK // STRIDE
    if before is None or seconds == 0:
        return np.zeros((CHANNELS, *size[::-1]), np.float16)
    velocity = -optical_flow(now, before) / (seconds * height)  # anchored where things are now
    difference = cv2.absdiff(now, before).astype(np.float32) / 255
    field = np.ones((CHANNELS, *size[::-1]), np.float16)  # the last channel stays: all is known
    for plane, values in zip(field, (*velocity.clip(-FASTEST, FASTEST), difference), strict=False):
        plane[:] = _half(np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA)))  # the mean of each cell
    return field


def _half(values: _Plane) -> NDArray[np.float16]:
    """As `astype`, which takes forty times as long for what is nearly 0, as most of a still scene is."""
    small = np.abs(values) < SMALLEST_NORMAL
    halves = np.where(small, 0, values).astype(np.float16)
    steps = np.rint(np.where(small, values, 0) * (1 << 24)).astype(np.int32)  # numbers so small are these steps apart
    bits = np.abs(steps) | (np.signbit(values) * 0x8000)
    return np.where(small, bits, halves.view(np.uint16)).astype(np.uint16).view(np.float16)


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """Settings of `optical_flow`, in pixels of the images that it is given.

    Attributes:
        levels: of the pyramid; each halves the image and doubles the reach.
        iterations: Gauss-Newton steps a level.
        window: sigma of the window over which motion is assumed constant.
        smoothing: sigma by which each estimate is smoothed.
        rest: squared gray levels; gradients weaker than this cannot move a pixel.
    """

    levels: int = 3
    iterations: int = 3
    window: float = 2.0
    smoothing: float = 1.0
    rest: float = 8.0


def optical_flow(first: NDArray[Any], second: NDArray[Any], settings: FlowSettings | None = None) -> _Plane:
    """Displacement of each pixel of `first` on its way to `second`.

    Lucas & Kanade (1981) on an image pyramid (Bouguet 2001). A ridge term pulls the flow itself to zero where
    there is little texture, which keeps sensor noise from looking like motion: a score of motion rather than
    a measurement of it, since low contrast shortens the estimate.

    Args:
        first: gray image `[H, W]`, 0 to 255.
        second: the next one, of the same shape.
        settings: reach, window and regularisation; `FlowSettings()` if None.

    Returns:
        `[2, H, W]`, x then y, in pixels.
    """
    settings = settings or FlowSettings()
    firsts, seconds = _pyramid(first, settings), _pyramid(second, settings)
    x, y = (np.zeros(firsts[-1].shape, np.float32) for _ in range(2))
    for a, b in zip(reversed(firsts), reversed(seconds), strict=True):
        if x.shape != a.shape:
            x, y = (np.asarray(2 * cv2.resize(plane, a.shape[::-1]), np.float32) for plane in (x, y))
        x, y = _refine(x, y, a, b, settings)
    return np.stack((x, y))


def _pyramid(image: NDArray[Any], settings: FlowSettings) -> list[_Plane]:
    """Finest first, each at half the size of the one before."""
    levels = [gaussian_blur(image.astype(np.float32), 0.8)]
    while len(levels) < settings.levels and min(levels[-1].shape) >= 2 * SMALLEST_SIDE:
        height, width = levels[-1].shape
        half = (-(-width // 2), -(-height // 2))
        shrunk = cv2.resize(gaussian_blur(levels[-1], 0.8), half, interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(shrunk, np.float32))
    return levels


def _refine(x: _Plane, y: _Plane, first: _Plane, second: _Plane, settings: FlowSettings) -> tuple[_Plane, _Plane]:
    """Gauss-Newton steps of the flow, `x` and `y`, at one level.

    All planes are apart from each other: arithmetic on every second number of an array takes several times as long.
    """
    height, width = first.shape
    gx = cv2.Sobel(first, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Sobel(first, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    xx, xy, yy = (gaussian_blur(product, settings.window) for product in (gx * gx, gx * gy, gy * gy))
    xx += settings.rest
    yy += settings.rest
    determinant = xx * yy - xy * xy
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for _ in range(settings.iterations):
        warped = cv2.remap(second, columns + x, rows + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # The residual is written around zero flow, so that the ridge acts on the flow, not on its last step.
        residual = warped - first - gx * x - gy * y
        bx, by = gaussian_blur(gx * residual, settings.window), gaussian_blur(gy * residual, settings.window)
        x = gaussian_blur((xy * by - yy * bx) / determinant, settings.smoothing)
        y = gaussian_blur((xy * bx - xx * by) / determinant, settings.smoothing)
    return x, y


def gaussian_blur(image: NDArray[Any], sigma: float) -> _Plane:
    """Blurs `[H, W]` or `[H, W, C]`, float32, by `sigma` pixels; borders are repeated."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
