"""Tiny pictures and label images on disk for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT = 6  # of every picture


def write_picture(path: Path, *, width: int) -> None:
    """A grey picture of HEIGHT rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, HEIGHT), (120, 120, 120)).save(path)


def write_labels(path: Path, columns: Sequence[int], *, palette: bool = False) -> None:
    """A label image of HEIGHT rows, whose column i has the value columns[i]; with colours if wanted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = Image.fromarray(np.tile(np.array(columns, np.uint8), (HEIGHT, 1)))
    if palette:
        labels.putpalette([(value * 53 + shift * 91) % 256 for value in range(256) for shift in range(3)])
        assert labels.mode == "P"
    labels.save(path)


def columns_of(mask: np.ndarray) -> list[int]:
    """The columns that a mask [1, HEIGHT, W] fills from top to bottom; any other pixel is an error."""
    assert mask.dtype == bool and mask.shape[:2] == (1, HEIGHT)
    assert (mask.all(axis=(0, 1)) == mask.any(axis=(0, 1))).all()
    return np.flatnonzero(mask.all(axis=(0, 1))).tolist()
