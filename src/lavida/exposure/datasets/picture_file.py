"""Picture files as arrays: upright, with 8 or 16 bits a value as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from lavida.errors import InputError

ON_ITS_SIDE = 5  # from this EXIF orientation on, the stored height is the upright width
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises on a broken picture
TIFF_WIDTH, TIFF_HEIGHT = 256, 257
# a PNG may say how it is to be turned behind its pixels; without one of these it says nothing
PNG_MARKS = (b"eXIf", b"Raw profile type", b"tiff:Orientation")

# EXIF orientation -> the turn that makes the stored pixels [H, W, ...] upright
TURNS: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself before its pixels are decoded.

    Attributes:
        size: height and width of the upright picture.
        orientation: of the stored pixels by EXIF: 1 is upright, 3 upside down, 6 and 8 on a side; 2, 4, 5 and 7 are
            mirrored.
        mode: Pillow's, such as "L" or "RGB".
        deep: whether a value has 16 bits or more.
    """

    size: tuple[int, int]
    orientation: int
    mode: str
    deep: bool


def header_of(image: Image.Image) -> Header:
    """The header of a picture file that is open and not decoded."""
    deep = image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    orientation = _orientation(image)
    width, height = image.size
    if image.format == "TIFF":  # releases of Pillow differ in whose size they tell, the stored or the upright one's
        width, height = image.tag_v2.get(TIFF_WIDTH, width), image.tag_v2.get(TIFF_HEIGHT, height)
    size = (width, height) if orientation >= ON_ITS_SIDE else (height, width)
    return Header(size, orientation, image.mode, deep)


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
        if not header.deep:
            return _upright(np.array(image.convert("RGB")), image, header)
        if header.mode.startswith("I"):
            return _upright(_sixteen_bit(np.array(image), path), image, header)
        return _upright(_colours_of_16_bits(path), image, header)


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
        return _upright(np.array(image if mode is None else image.convert(mode)), image, header)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels [H, W, ...] as they are upright; [W, H, ...] for the orientations 5 to 8."""
    return np.ascontiguousarray(TURNS[orientation](pixels)) if orientation in TURNS else pixels


def _upright(pixels: np.ndarray, image: Image.Image, header: Header) -> np.ndarray:
    """Pixels as Pillow or OpenCV gave them; both turn a TIFF by themselves."""
    return pixels if image.format == "TIFF" else turned(pixels, header.orientation)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        # by its name, Pillow 13 maps an uncompressed gray TIFF into memory and scrambles one that lies on its side
        with path.open("rb") as file, Image.open(file) as image:
            yield image
    except FileNotFoundError:
        raise InputError(f"file is missing: {path}; restore the data set") from None
    except BROKEN as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read image: {path} ({reason}); restore the data set") from None


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info and not _may_be_turned(image):
        return 1  # Pillow would decode the pixels to look behind them
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except OSError:  # the pixels of a PNG
        raise
    except Exception:  # broken EXIF data, of which Pillow raises nearly anything, tell no turn
        return 1
    return orientation if orientation in TURNS else 1


def _may_be_turned(image: Image.Image) -> bool:
    place = image.fp.tell()
    image.fp.seek(0)
    content = image.fp.read()
    image.fp.seek(place)
    return any(mark in content for mark in PNG_MARKS)


def _sixteen_bit(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype != np.uint16 and values.size and not 0 <= values.min() <= values.max() <= np.iinfo(np.uint16).max:
        found = f"values from {values.min()} to {values.max()}"
        raise InputError(f"{found} do not fit 16 bits: {path}; save the picture with values from 0 to 65535")
    return values.astype(np.uint16)


def _colours_of_16_bits(path: Path) -> np.ndarray:
    """uint16 [H, W] or [H, W, 3]; Pillow has no mode for them and keeps 8 bits of each."""
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise InputError(f"cannot read 16 bits a colour: {path}; save the picture as PNG, or with 8 bits")
    return values if values.ndim == 2 else np.ascontiguousarray(values[:, :, 2::-1])  # BGR or BGRA
