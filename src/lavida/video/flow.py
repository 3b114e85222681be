"""Dense optical flow, small enough to be read: pyramidal Lucas-Kanade with a prior for rest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE = 16  # pixels; a pyramid stops here

_Flow = tuple[NDArray[np.float32], NDArray[np.float32]]  # x and y, `[H, W]` each


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


def optical_flow(
    first: NDArray[np.floating], second: NDArray[np.floating], settings: FlowSettings | None = None
) -> NDArray[np.float32]:
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
            x, y = (2 * cv2.resize(plane, a.shape[::-1]) for plane in (x, y))
        x, y = _refine((x, y), a, b, settings)
    return np.stack((x, y))


def _pyramid(image: NDArray[np.floating], settings: FlowSettings) -> list[NDArray[np.float32]]:
    """Finest first, each at half the size of the one before."""
    levels = [gaussian_blur(image.astype(np.float32), 0.8)]
    while len(levels) < settings.levels and min(levels[-1].shape) >= 2 * SMALLEST_SIDE:
        height, width = levels[-1].shape
        half = (-(-width // 2), -(-height // 2))
        levels.append(cv2.resize(gaussian_blur(levels[-1], 0.8), half, interpolation=cv2.INTER_AREA))
    return levels


def _refine(flow: _Flow, first: NDArray[np.float32], second: NDArray[np.float32], settings: FlowSettings) -> _Flow:
    """Gauss-Newton steps at one level: flow x and y, and images, `[H, W]`.

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
    x, y = flow
    for _ in range(settings.iterations):
        warped = cv2.remap(second, columns + x, rows + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # The residual is written around zero flow, so that the ridge acts on the flow, not on its last step.
        residual = warped - first - gx * x - gy * y
        bx, by = gaussian_blur(gx * residual, settings.window), gaussian_blur(gy * residual, settings.window)
        x = gaussian_blur((xy * by - yy * bx) / determinant, settings.smoothing)
        y = gaussian_blur((xy * bx - xx * by) / determinant, settings.smoothing)
    return x, y


def gaussian_blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blurs `[H, W]` or `[H, W, C]` by `sigma` pixels; borders are repeated."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
