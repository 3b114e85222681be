"""What a picture file says of itself, and its values of 16 bits: all that Pillow does not tell or gets wrong."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.video.contrast import FULL
from lavida.video.turn import EXIF_ORIENTATION, EXIF_TURNS

# what Pillow raises on one: its readers of damaged files let nearly anything through
BROKEN_IMAGE = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError, RuntimeError, OverflowError,
    Image.DecompressionBombError,
)  # fmt: skip
ON_ITS_SIDE = 5  # from this EXIF orientation on, the stored height is the upright width
_WIDTH, _HEIGHT, _PHOTOMETRIC = 256, 257, 262  # TIFF's tags
# a PNG may say how it is to be turned behind its pixels; without one of these it says nothing
_PNG_TEXT = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_PNG_MARKS = (b"eXIf", b"Raw profile type", b"tiff:Orientation")


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
    # of colours of 16 bits Pillow keeps the upper 8; only the description of its pixels tells
    deep = image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    orientation = _orientation(image)
    width, height = image.size
    if image.format == "TIFF":  # releases of Pillow differ in whose size they tell, the stored or the upright one's
        width, height = image.tag_v2.get(_WIDTH, width), image.tag_v2.get(_HEIGHT, height)
    size = (width, height) if orientation >= ON_ITS_SIDE else (height, width)
    return Header(size, orientation, image.mode, deep)


def upright(pixels: NDArray, image: Image.Image, header: Header) -> NDArray:
    """Pixels as Pillow or OpenCV gave them, turned; both turn a TIFF by themselves."""
    return pixels if image.format == "TIFF" else EXIF_TURNS[header.orientation].applied(pixels)


def deep_values(image: Image.Image, header: Header, *, page: int = 0) -> NDArray[np.uint16]:
    """The values of a picture of 16 bits, upright: `[H, W]`, or `[H, W, 3]` of colours.

    Args:
        image: open, at this page.
        header: its own.
        page: of a file of several.

    Raises:
        OSError, SyntaxError, ValueError, EOFError: it cannot be read, or does not fit 16 bits (`BROKEN_IMAGE`).
    """
    if not header.mode.startswith("I"):
        return upright(_colours(image, page), image, header)
    values = np.array(image)
    if values.dtype != np.uint16 and values.size and not 0 <= values.min() <= values.max() <= FULL:
        raise ValueError(f"values from {values.min()} to {values.max()} do not fit 16 bits; save it with 0 to 65535")
    values = values.astype(np.uint16)
    # Pillow turns round a picture in which zero is white for 8 bits only
    inverted = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0
    return upright(FULL - values if inverted else values, image, header)


def _colours(image: Image.Image, page: int) -> NDArray[np.uint16]:
    place = image.fp.tell()
    image.fp.seek(0)
    data = np.frombuffer(image.fp.read(), np.uint8)
    image.fp.seek(place)
    if page:
        _, (values, *_) = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
    else:
        values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ValueError("cannot read 16 bits a colour; save it as PNG, or with 8 bits")
    return values if values.ndim == 2 else np.ascontiguousarray(values[:, :, 2::-1])  # BGR or BGRA


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info and not _may_be_turned(image):
        return 1  # Pillow would decode the pixels to look behind them
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except OSError:  # the pixels of a PNG
        raise
    except Exception:  # broken EXIF data, of which Pillow raises nearly anything, tell no turn
        return 1
    return orientation if orientation in EXIF_TURNS else 1


def _may_be_turned(image: Image.Image) -> bool:
    place, found = image.fp.tell(), False
    image.fp.seek(8)
    while len(head := image.fp.read(8)) == 8 and not found:  # chunk by chunk: the pixels are not read
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in _PNG_TEXT:
            content = kind + image.fp.read(length)
            found = any(mark in content for mark in _PNG_MARKS)
            image.fp.seek(4, 1)
        else:
            image.fp.seek(length + 4, 1)
    image.fp.seek(place)
    return found
