"""Dense optical flow, small enough to be read: pyramidal Lucas-Kanade with a prior for rest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE = 16  # pixels; a pyramid stops here


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
    flow = np.zeros((*firsts[-1].shape, 2), np.float32)
    for a, b in zip(reversed(firsts), reversed(seconds), strict=True):
        if flow.shape[:2] != a.shape:
            flow = 2 * cv2.resize(flow, a.shape[::-1])
        flow = _refine(flow, a, b, settings)
    return flow.transpose(2, 0, 1)


def _pyramid(image: NDArray[np.floating], settings: FlowSettings) -> list[NDArray[np.float32]]:
    """Finest first, each at half the size of the one before."""
    levels = [gaussian_blur(image.astype(np.float32), 0.8)]
    while len(levels) < settings.levels and min(levels[-1].shape) >= 2 * SMALLEST_SIDE:
        height, width = levels[-1].shape
        half = (-(-width // 2), -(-height // 2))
        levels.append(cv2.resize(gaussian_blur(levels[-1], 0.8), half, interpolation=cv2.INTER_AREA))
    return levels


def _refine(
    flow: NDArray[np.float32], first: NDArray[np.float32], second: NDArray[np.float32], settings: FlowSettings
) -> NDArray[np.float32]:
    """Gauss-Newton steps at one level: flow `[H, W, 2]`, images `[H, W]`."""
    height, width = first.shape
    gx = cv2.Sobel(first, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Sobel(first, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
    products = gaussian_blur(np.dstack((gx * gx, gx * gy, gy * gy)), settings.window)
    xx, xy, yy = products[..., 0] + settings.rest, products[..., 1], products[..., 2] + settings.rest
    determinant = xx * yy - xy * xy
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for _ in range(settings.iterations):
        x, y = flow[..., 0], flow[..., 1]
        warped = cv2.remap(second, columns + x, rows + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # The residual is written around zero flow, so that the ridge acts on the flow, not on its last step.
        residual = warped - first - gx * x - gy * y
        right = gaussian_blur(np.dstack((gx * residual, gy * residual)), settings.window)
        bx, by = right[..., 0], right[..., 1]
        solved = np.dstack(((xy * by - yy * bx) / determinant, (xy * bx - xx * by) / determinant))
        flow = gaussian_blur(solved, settings.smoothing)
    return flow


def gaussian_blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blurs `[H, W]` or `[H, W, C]` by `sigma` pixels; borders are repeated."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
