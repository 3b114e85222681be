"""Benchmarks in the official layout of UCSD Ped2 for the stand-in model of `bright.py`: what is bright is abnormal."""

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH, FRAMES = 48, 72, 12
ABNORMAL = {"Test001": range(4, 9), "Test002": range(6, 12)}
SIDE = 14


def square(name: str) -> tuple[slice, slice]:
    """Where the bright square of a video lies: left in Test001, right in Test002."""
    left = 8 if name == "Test001" else 48
    return slice(16, 16 + SIDE), slice(left, left + SIDE)


def bright_ped2(folder: Path, *, glare: int | None = None) -> Path:
    """The folder UCSDped2 with two videos of a gray scene in which a square lights up in the abnormal frames.

    `glare`: a normal frame of Test001 in which something unannotated is nearly as bright.
    """
    root = folder / "UCSDped2"
    for name, abnormal in ABNORMAL.items():
        frames, masks = root / "Test" / name, root / "Test" / f"{name}_gt"
        frames.mkdir(parents=True)
        masks.mkdir()
        for index in range(FRAMES):
            image = np.full((HEIGHT, WIDTH), 90, dtype=np.uint8)
            mask = np.zeros_like(image)
            if index in abnormal:
                image[square(name)], mask[square(name)] = 255, 255
            elif index == glare and name == "Test001":
                image[30:44, 50:64] = 240
            Image.fromarray(image).save(frames / f"{index + 1:03d}.tif")
            Image.fromarray(mask).save(masks / f"{index + 1:03d}.bmp")
    return root
