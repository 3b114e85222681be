"""Frames to what vision towers read: resizing, normalisation, patches. Own torch code, no torchvision."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)  # mean and standard deviation of SigLIP's inputs: pixels in [-1, 1]
RESIZE_CHUNK = 2  # frames held as float32 at full size at a time


def resize_frames(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of `[N, 3, H, W]` frames in 0..255 to float32 `[N, 3, h, w]`."""
    resize = partial(F.interpolate, size=size, mode="bilinear", antialias=True, align_corners=False)
    if frames.dtype == torch.uint8 and frames.device.type == "cpu":  # 5 times faster, within 1 grey level
        return resize(frames).float()
    return torch.cat([resize(part.float()) for part in frames.split(RESIZE_CHUNK)])


def pixel_values(frames: Tensor, size: tuple[int, int], *, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Resized and normalised clips: `[B, T, 3, H, W]` in 0..255 to float32 `[B, T, 3, *size]`."""
    small = resize_frames(frames.flatten(0, 1), size)  # [B*T, 3, h, w]
    scaled = (small / 255 - small.new_tensor(mean).view(3, 1, 1)) / small.new_tensor(std).view(3, 1, 1)
    return scaled.unflatten(0, frames.shape[:2])


def fill_group(frames: Tensor, temporal: int) -> Tensor:
    """Clips `[B, T, ...]` whose T is a multiple of `temporal`: the last frame is repeated where it is not."""
    if short := -frames.shape[1] % temporal:
        last = frames[:, -1:].expand(-1, short, *frames.shape[2:])
        frames = torch.cat([frames, last], dim=1)
    return frames


def patchify(frames: Tensor, *, patch: int, merge: int, temporal: int) -> Tensor:
    """Cut normalised frames into Qwen-VL's flat patches; too short a last group of frames repeats its last.

    Args:
        frames: `[B, T, C, H, W]`, H and W multiples of `patch * merge`.
        patch: Side of a patch in pixels.
        merge: Patches per side that the vision tower merges to one token; these are neighbours in the output.
        temporal: Frames per patch.

    Returns:
        `[B, N, C * temporal * patch * patch]`.
    """
    frames = fill_group(frames, temporal)
    b, t, c, h, w = frames.shape
    groups, rows, cols = t // temporal, h // (patch * merge), w // (patch * merge)
    x = frames.reshape(b, groups, temporal, c, rows, merge, patch, cols, merge, patch)
    x = x.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9)  # [B, group, row, col, merge, merge, C, time, patch, patch]
    return x.reshape(b, groups * rows * cols * merge**2, c * temporal * patch**2)


class PatchProjection(nn.Module):
    """Projects single patches by one matrix product: a fifth of the time of PyTorch's own convolution on a CPU.

    Takes the place of `conv`, whose stride is its kernel, with its weights under their names.
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, patches: Tensor) -> Tensor:
        """`[N, C, *kernel]` -> `[N, D, 1, 1, 1]`."""
        return F.linear(patches.flatten(1), self.weight.flatten(1), self.bias)[..., None, None, None]


def static_cells(pixels: Tensor, *, cell: int, temporal: int, threshold: float) -> Tensor:
    """Which cells of a clip look as they do in its first group of frames.

    Args:
        pixels: Normalised clips `[B, T, 3, h, w]`, h and w multiples of `cell`.
        cell: Pixels a side that become one visual token.
        temporal: Frames that become one visual token.
        threshold: Cosine distance of the pixels below which a cell is static.

    Returns:
        Bool `[B, groups * rows * cols]`; never true in the first group.
    """
    cells = patchify(pixels, patch=cell, merge=1, temporal=temporal)  # [B, L, values]
    groups = -(-pixels.shape[1] // temporal)
    cells = cells.unflatten(1, (groups, -1))  # [B, groups, rows * cols, values]
    static = 1 - F.cosine_similarity(cells, cells[:, :1], dim=-1) < threshold
    static[:, 0] = False
    return static.flatten(1)
