"""Picture files as arrays: upright, with 8 or 16 bits a value as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from lavida.errors import InputError
from lavida.video.pixels import BROKEN_IMAGE, Header, deep_values, header_of, upright


def read_header(path: Path) -> Header:
    """The header of a picture file. Raises InputError where the file is missing or no picture."""
    with _opened(path) as image:
        return header_of(image)


def read_picture(path: Path) -> np.ndarray:
    """The upright picture of a file: uint8 [H, W, 3], or of 16 bits uint16 [H, W] or [H, W, 3].

    Raises:
        InputError: the file is missing, is no picture, or has values that no fixed range holds.
    """
    with _opened(path) as image:
        header = header_of(image)
        if header.mode == "F":
            raise InputError(f"floating-point values have no fixed range: {path}; save the picture with 8 or 16 bits")
        if header.deep:
            return deep_values(image, header)
        return upright(np.array(image.convert("RGB")), image, header)


def read_values(path: Path, mode: str | None) -> np.ndarray:
    """The upright values of a file, [H, W] or [H, W, C].

    Args:
        path: the file.
        mode: that of Pillow to convert to, or None for the values as they are stored.

    Raises:
        InputError: the file is missing or no picture.
    """
    with _opened(path) as image:
        header = header_of(image)
        return upright(np.array(image if mode is None else image.convert(mode)), image, header)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        # by its name, Pillow 13 maps an uncompressed gray TIFF into memory and scrambles one that lies on its side
        with path.open("rb") as file, Image.open(file) as image:
            yield image
    except FileNotFoundError:
        raise InputError(f"file is missing: {path}; restore the data set") from None
    except BROKEN_IMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read image: {path} ({reason}); restore the data set") from None
