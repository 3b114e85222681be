"""Dense optical flow, small enough to be read: pyramidal Lucas-Kanade with a prior for rest."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 3
_SMALLEST_SIDE = 16  # pixels; a pyramid stops here
_ITERATIONS = 3
_WINDOW = 3.0  # pixels, sigma of the window over which motion is assumed constant
_SMOOTHING = 2.0  # pixels, sigma by which each estimate is smoothed
_REST = 20.0  # squared gray levels: gradients weaker than this cannot move a pixel


@torch.inference_mode()
def optical_flow(first: Tensor, second: Tensor) -> Tensor:
    """Displacement of each pixel of `first` on its way to `second`.

    Lucas & Kanade (1981) on an image pyramid (Bouguet 2001). A ridge term pulls the flow itself to zero where
    there is little texture, which keeps sensor noise from looking like motion: a score of motion rather than
    a measurement of it, since low contrast shortens the estimate.

    Args:
        first: gray image `[H, W]`, float32, 0 to 255.
        second: the next one, of the same shape.

    Returns:
        `[2, H, W]`, x then y, in pixels.
    """
    levels = _pyramid(torch.stack((first, second))[:, None])
    flow = levels[-1].new_zeros(1, 2, *levels[-1].shape[-2:])
    for images in reversed(levels):
        size = images.shape[-2:]
        if flow.shape[-2:] != size:
            flow = 2 * F.interpolate(flow, size=size, mode="bilinear", align_corners=False)
        flow = _refine(flow, images[:1], images[1:])
    return flow[0]


def _pyramid(images: Tensor) -> list[Tensor]:
    """Finest first, each `[2, 1, H, W]` at half the size of the one before."""
    levels = [gaussian_blur(images, 0.8)]
    while len(levels) < _LEVELS and min(levels[-1].shape[-2:]) >= 2 * _SMALLEST_SIDE:
        levels.append(F.avg_pool2d(gaussian_blur(levels[-1], 0.8), 2, ceil_mode=True))
    return levels


def _refine(flow: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Gauss-Newton steps at one level: flow `[1, 2, H, W]`, images `[1, 1, H, W]`."""
    gx, gy = _gradients(first)
    xx, xy, yy = gaussian_blur(torch.cat((gx * gx, gx * gy, gy * gy), 1), _WINDOW).split(1, dim=1)
    xx, yy = xx + _REST, yy + _REST
    determinant = xx * yy - xy * xy
    for _ in range(_ITERATIONS):
        # The residual is written around zero flow, so that the ridge acts on the flow, not on its last step.
        residual = _warp(second, flow) - first - gx * flow[:, :1] - gy * flow[:, 1:]
        bx, by = gaussian_blur(torch.cat((gx * residual, gy * residual), 1), _WINDOW).split(1, dim=1)
        flow = torch.cat((xy * by - yy * bx, xy * bx - xx * by), 1) / determinant
        flow = gaussian_blur(flow, _SMOOTHING)
    return flow


def _gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return gx, gy


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    """`image [1, 1, H, W]` read at each pixel's position plus its flow."""
    height, width = image.shape[-2:]
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid_x = (xs + flow[:, 0]) * 2 / max(width - 1, 1) - 1
    grid_y = (ys + flow[:, 1]) * 2 / max(height - 1, 1) - 1
    grid = torch.stack((grid_x, grid_y), dim=-1)  # [1, H, W, 2]
    return F.grid_sample(image, grid, padding_mode="border", align_corners=True)


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Blurs each channel of `[N, C, H, W]` by `sigma` pixels; borders are repeated."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    planes = images.flatten(0, 1)[:, None]  # [N*C, 1, H, W]
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return planes.view_as(images)
