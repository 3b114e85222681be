"""Visual tokens of real frames, as an MLLM would see them, for benchmarks that need no MLLM."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lavida.errors import InputError
from lavida.video.decode import open_source

WIDTH = 1536
PATCH = 14
STRIDE = 32  # of the backbone's last map
PER_PAIR = 512  # tokens of one pair of frames in long sequences; short ones have four pairs
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
DESCRIPTIONS = {
    "patches": "14x14 patches of two frames, normalised",
    "backbone": "last map of nano's frozen backbone, two frames side by side",
}


@dataclass(frozen=True)
class FrameTokens:
    """Tokens of one clip.

    Attributes:
        tokens: `[L, WIDTH]`, float32.
        grid: pairs of frames, rows and columns, whose first L tokens these are.
        frames: uint8 `[T, 3, H, W]`.
    """

    tokens: Tensor
    grid: tuple[int, int, int]
    frames: Tensor


def videos(root: Path) -> list[Path]:
    """The kit's clips, those of still cameras first.

    Raises:
        InputError: there are none.
    """
    found = sorted(p for p in (root / "videos").glob("*") if p.suffix in (".mp4", ".avi"))
    if not found:
        raise InputError(f"no clips: {root / 'videos'}; give the data kit as DATA_ROOT")
    return sorted(found, key=lambda path: "detection" not in path.stem)


def frame_tokens(video: Path, length: int, *, kind: str = "patches") -> FrameTokens:
    """`length` tokens of the first frames of a video, a shorter one repeated.

    Patches are brought to `WIDTH` by a fixed isometry, so all distances are those of the pixels; backbone features by
    a fixed random orthogonal map, from whichever side is wider.

    Args:
        video: a video file.
        length: L.
        kind: a key of `DESCRIPTIONS`.
    """
    pairs = max(4, length // PER_PAIR)
    cell = PATCH if kind == "patches" else STRIDE
    source = open_source(video)
    rows = max(1, int((length / pairs * source.info.height / source.info.width) ** 0.5))
    columns = -(-length // (pairs * rows))
    read = source.read(stride=1, size=(rows * cell, columns * cell))
    images = list(itertools.islice((frame.image for frame in read if frame.image is not None), 2 * pairs))
    images = list(itertools.islice(itertools.cycle(images), 2 * pairs))
    frames = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # [T, 3, H, W]
    values = _patches(frames) if kind == "patches" else _features(frames)  # [L, C]
    return FrameTokens(_brought_to_width(values[:length]), (pairs, rows, columns), frames)


def patches(frames: Tensor) -> Tensor:
    """float `[T, 3, H, W]` to patches of pairs of frames, `[T/2 * H/14 * W/14, 1176]`."""
    time, _, height, width = frames.shape
    cells = frames.reshape(time // 2, 2, 3, height // PATCH, PATCH, width // PATCH, PATCH)
    return cells.permute(0, 3, 5, 1, 2, 4, 6).flatten(3).flatten(0, 2)


def _patches(frames: Tensor) -> Tensor:
    mean, std = (torch.tensor(each, dtype=torch.float64)[:, None, None] for each in (MEAN, STD))
    return patches((frames.double() / 255 - mean) / std)


@torch.inference_mode()
def _features(frames: Tensor) -> Tensor:
    import lavida

    model = lavida.load("nano", runtime="torch").model
    backbone, config = model.sam2.vision_encoder.backbone, model.config
    mean, std = (torch.tensor(each)[:, None, None] for each in (config.image_mean, config.image_std))
    maps = [backbone((two / 255 - mean) / std).last_hidden_state for two in frames.float().split(2)]
    return torch.stack(maps).permute(0, 2, 3, 1, 4).flatten(3).flatten(0, 2).double()  # [pairs * h * w, 2 C]


def _brought_to_width(values: Tensor) -> Tensor:
    given = values.shape[1]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(max(given, WIDTH), min(given, WIDTH), generator=generator, dtype=values.dtype)
    basis = torch.linalg.qr(noise).Q
    # in double precision, so that patches that are equal stay equal
    return (values @ (basis.T if given <= WIDTH else basis)).float()
