"""Pictures as they are stored, made upright and 8 bits deep: all that Pillow does not tell of a file or gets wrong."""

from __future__ import annotations

import itertools
import struct
import warnings
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from cv2.utils import logging
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from lavida.errors import reason

with suppress(ImportError):  # HEIF is read where its package is installed
    from pillow_heif import register_heif_opener

    register_heif_opener()

# what Pillow raises on one: its readers of damaged files let nearly anything through
BROKEN_IMAGE = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError, RuntimeError, OverflowError,
    Image.DecompressionBombError,
)  # fmt: skip
# what HEIF files of one picture or of several say they are, behind their first eight bytes
_HEIF = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"})
# what it warns of (a hundred megapixels, damaged EXIF, palettes) is read all the same, or told by us
warnings.filterwarnings("ignore", module=r"PIL\.")

FULL = 65535  # the brightest value of 16 bits
MOST_FRAMES = 32  # are enough to know what a source uses
_DARK, _BRIGHT = 0.001, 0.999  # quantiles: a few dead or hot pixels must not decide
_LITTLE = 0.5  # share of the range; a source that uses more is shown as it is
EXIF_ORIENTATION = 0x0112
ON_ITS_SIDE = 5  # from this EXIF orientation on, the stored height is the upright width
# Pillow's names for 5, 6 and 5 bits of a pixel of 16
PACKED = frozenset({"BGR;16", "RGB;16"})
# TIFF's tags
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _ALPHA, _FORMAT = 256, 257, 258, 262, 277, 284, 338, 339
_APART = 2  # of _PLANES
_SIGNED = 2  # of _FORMAT
_ODD_NUMBERS = {_SIGNED: "signed", 3: "floating-point", 5: "complex", 6: "complex"}  # by _FORMAT
_TIFF = (b"II", b"MM")  # how its files begin
_BIG_TIFF = 43  # behind that, where the usual ones have 42
_STRIPS, _TILES = (273, 279), (324, 325)  # where a page's pixels lie, and how many bytes
# and, of those that say how: compression, order of bits, orientation, rows of a strip, predictor, size of a tile
_HOW = (259, 266, 274, 278, 317, 322, 323)
_DESCRIBING = (_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _ALPHA, _FORMAT, *_HOW)
# a PNG may say how it is to be turned behind its pixels; without one of these it says nothing
_PNG_TEXT = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_PNG_MARKS = (b"eXIf", b"Raw profile type", b"tiff:Orientation")


def flaw_of(error: BaseException, path: Path) -> str:
    """Why a picture file cannot be read, in one line that does not name it.

    Args:
        error: one of `BROKEN_IMAGE`.
        path: the file; looked into where Pillow does not know what it is.
    """
    if not isinstance(error, UnidentifiedImageError):  # which says how Python shows the file
        return reason(error)
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in _HEIF and find_spec("pillow_heif") is None:
        return "HEIF is read by pillow-heif, which is not installed: pip install pillow-heif"
    if head[:2] in _TIFF and (found := odd_tiff(path)) is not None:
        return found.flaw
    return "it is no picture of a known format" if head else "the file is empty"


@dataclass(frozen=True, slots=True)
class Turn:
    """What makes a stored picture upright: swap its axes, then reverse its rows, then reverse its columns."""

    swap: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False

    def applied(self, image: NDArray[Any]) -> NDArray[Any]:
        """The upright picture, `[H, W, ...]`."""
        image = image.swapaxes(0, 1) if self.swap else image
        image = image[:: -1 if self.reverse_rows else 1, :: -1 if self.reverse_columns else 1]
        return np.ascontiguousarray(image)


# by EXIF's orientation
EXIF_TURNS = {
    1: Turn(),
    2: Turn(reverse_columns=True),
    3: Turn(reverse_rows=True, reverse_columns=True),
    4: Turn(reverse_rows=True),
    5: Turn(swap=True),
    6: Turn(swap=True, reverse_columns=True),
    7: Turn(swap=True, reverse_rows=True, reverse_columns=True),
    8: Turn(swap=True, reverse_rows=True),
}


@dataclass(frozen=True, slots=True)
class Contrast:
    """Which values of 16 bits are shown as black and as white; what lies outside is clipped.

    One stretch for all pictures of a source that use little of the range, as thermal cameras write them.

    Attributes:
        low: shown as 0.
        high: shown as 255; more than `low`.
    """

    low: int = 0
    high: int = FULL

    @property
    def share(self) -> float:
        """How much of the range of 16 bits it takes, 0 to 1."""
        return (self.high - self.low) / FULL

    def told(self, path: Path) -> str:
        """What was done with the pictures of this file or folder, for people."""
        used = f"{self.share:.1%} of 16 bits are used: {path}"
        return f"{used}; values from {self.low} to {self.high} are stretched, for all pictures alike"

    def eight_bit(self, values: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Values of any shape as they are shown."""
        scaled = (values.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        return np.round(scaled).clip(0, 255).astype(np.uint8)


def measured(pictures: Iterable[NDArray[np.uint16]]) -> Contrast:
    """The contrast for all pictures of one source: a stretch where they use less than half of the range.

    Args:
        pictures: uint16 of any shape, up to 32 frames of the source; all channels of a colour picture count alike.

    Returns:
        The 0.1 and 99.9 percentiles of all values, or the whole range where these are half of it or more, or equal.
    """
    counts = np.zeros(FULL + 1, np.int64)
    for picture in pictures:
        counts += np.bincount(picture.ravel(), minlength=FULL + 1)
    below = np.cumsum(counts)
    if not below[-1]:
        return Contrast()
    low, high = (int(np.searchsorted(below, quantile * below[-1])) for quantile in (_DARK, _BRIGHT))
    used = Contrast(low, high)
    return used if 0 < used.share < _LITTLE else Contrast()


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


def header_of(image: ImageFile) -> Header:
    """The header of a picture file that is open and not decoded."""
    # of colours of 16 bits Pillow keeps the upper 8; only the description of its pixels tells
    deep = image.mode.startswith("I") or any(";16" in kind and kind not in PACKED for kind in _raw_modes(image))
    orientation = _orientation(image)
    width, height = image.size
    if isinstance(image, TiffImageFile):
        deep = deep or _numbers(image, _BITS)[:1] == (16,)
        # releases of Pillow differ in whose size they tell, the stored or the upright one's
        width, height = image.tag_v2.get(_WIDTH, width), image.tag_v2.get(_HEIGHT, height)
    size = (width, height) if orientation >= ON_ITS_SIDE else (height, width)
    return Header(size, orientation, image.mode, deep)


def _raw_modes(image: ImageFile) -> list[str]:
    """How the pixels are stored, by Pillow's names; of some decoders they are the first of several arguments."""
    return [str(tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]) for tile in image.tile]


@dataclass(frozen=True, slots=True)
class OddTiff:
    """A TIFF that Pillow does not know for the kind of its numbers.

    Attributes:
        size: height and width as they are stored.
        flaw: what is wrong with it and how to mend it.
    """

    size: tuple[int, int]
    flaw: str


def odd_tiff(path: Path) -> OddTiff | None:
    """What a file holds that is such a TIFF. FFmpeg would read its numbers as if they were unsigned ones."""
    with suppress(*BROKEN_IMAGE, struct.error), path.open("rb") as file:
        head = file.read(8)
        if head[:2] not in _TIFF:
            return None
        tags = ImageFileDirectory_v2(head + (file.read(8) if _BIG_TIFF in head[2:4] else b""))
        file.seek(tags.next)
        tags.load(file)
        given = tags.get(_FORMAT, 1)
        kinds = {_ODD_NUMBERS.get(each) for each in (given if isinstance(given, tuple) else (given,))} - {None}
        if kinds:
            flaw = f"{kinds.pop()} pixels have no fixed range, save them with 8 or 16 bits"
            return OddTiff((int(tags[_HEIGHT]), int(tags[_WIDTH])), flaw)
    return None


def check_sign(image: ImageFile) -> None:
    """Raise ValueError for a picture of 8 bits with values below 0, which Pillow shows as bright."""
    if isinstance(image, TiffImageFile) and image.mode == "L" and _SIGNED in _numbers(image, _FORMAT):
        values = np.array(image).view(np.int8)
        if values.size and values.min() < 0:
            raise ValueError(f"values from {values.min()} to {values.max()} do not fit 8 bits; save it with 0 to 255")


def upright(pixels: NDArray[Any], image: ImageFile, header: Header) -> NDArray[Any]:
    """Pixels as Pillow or OpenCV gave them, turned; both turn a TIFF by themselves."""
    return pixels if isinstance(image, TiffImageFile) else EXIF_TURNS[header.orientation].applied(pixels)


def resized(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture of 8 bits as it is analysed, of `size` (height, width): `[H, W, 3]`, or `[H, W]` of a gray one."""
    if picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(picture)


def deep_values(image: ImageFile, header: Header, *, shift: int = 0) -> NDArray[np.uint16]:
    """The values of a picture of 16 bits, upright: `[H, W]`, or `[H, W, 3]` of colours.

    Args:
        image: open, at its page.
        header: its own.
        shift: bytes by which its pixels lie behind where a TIFF says.

    Raises:
        OSError, SyntaxError, ValueError, EOFError: it cannot be read, or does not fit 16 bits (`BROKEN_IMAGE`).
    """
    if not header.mode.startswith("I"):
        return upright(_colours(image, shift), image, header)
    values = np.array(image)
    if values.dtype != np.uint16 and values.size and not 0 <= values.min() <= values.max() <= FULL:
        raise ValueError(f"values from {values.min()} to {values.max()} do not fit 16 bits; save it with 0 to 65535")
    values = values.astype(np.uint16)
    # Pillow turns round a picture in which zero is white for 8 bits only
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0
    return upright(FULL - values if inverted else values, image, header)


def _colours(image: ImageFile, shift: int) -> NDArray[np.uint16]:
    file = _file_of(image)
    place = file.tell()
    if not isinstance(image, TiffImageFile):
        file.seek(0)
        values = _decoded(_without_notes(file.read()) if image.format == "PNG" else file.read())
    elif image.tag_v2.get(_PLANES) == _APART:  # OpenCV scrambles them, Pillow takes their bytes for pixels
        colours = range(min(3, image.tag_v2.get(_SAMPLES, 3)))
        values = np.stack([_decoded(_page_alone(image, file, shift, colour=colour)) for colour in colours], axis=-1)
    else:
        values = _decoded(_page_alone(image, file, shift))
    file.seek(place)
    return values


def _decoded(data: bytes) -> NDArray[np.uint16]:
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # what is wrong is told by whoever reads
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        logging.setLogLevel(level)
    if values is None or values.dtype != np.uint16:
        raise ValueError("cannot read 16 bits a colour; save it as PNG, or with 8 bits")
    values = values if values.ndim == 2 else values[:, :, 2::-1]  # BGR or BGRA
    return np.ascontiguousarray(values, np.uint16)


def _without_notes(png: bytes) -> bytes:
    """A PNG that is whole, reduced to what makes its pixels: of all else OpenCV's libpng talks on stderr."""
    parts, place, kind = [png[:8]], 8, b""
    while kind != b"IEND":
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kind, checksum = png[place + 4 : place + 8], zlib.crc32(png[place + 4 : end - 4])
        if end > len(png) or checksum != int.from_bytes(png[end - 4 : end], "big"):
            raise OSError("image file is truncated or damaged")
        if kind[:1].isupper():
            parts.append(png[place:end])
        place = end
    return b"".join(parts)


def _page_alone(image: TiffImageFile, file: IO[bytes], shift: int, colour: int | None = None) -> bytes:
    """The page at which a TIFF is open as a file of its own: OpenCV takes whole files only, and there may be many.

    Args:
        image: the TIFF.
        file: what it is read from.
        shift: bytes by which the pixels lie behind where it says.
        colour: of pixels whose colours lie apart, one after the other: this one alone, as gray.
    """
    places, lengths = _TILES if _TILES[0] in image.tag_v2 else _STRIPS
    where = list(zip(_numbers(image, places), _numbers(image, lengths), strict=True))
    tags = {tag: _numbers(image, tag) for tag in _DESCRIBING if tag in image.tag_v2}
    if colour is not None:
        count = len(where) // tags[_SAMPLES][0]
        where = where[colour * count : (colour + 1) * count]
        tags |= {_BITS: (16,), _PHOTOMETRIC: (1,), _SAMPLES: (1,), _PLANES: (1,), _FORMAT: (1,)}
        tags.pop(_ALPHA, None)
    parts = []
    for start, length in where:
        file.seek(start + shift)
        parts.append(file.read(length))
    sizes = tuple(len(part) for part in parts)
    tags |= {lengths: sizes, places: sizes}  # so many places, filled in below
    behind = 8 + 2 + 12 * len(tags) + 4  # header, number of entries, entries, no next page
    start = behind + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[places] = tuple(itertools.accumulate(sizes[:-1], initial=start))
    prefix = image.tag_v2.prefix  # the order of bytes, also of the pixels
    order = ">" if prefix == b"MM" else "<"
    entries, arrays = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, arrays = struct.pack(f"{order}I", behind + len(arrays)), arrays + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed  # 4: of 32 bits
    head = prefix + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return b"".join([head, entries, bytes(4), arrays, *parts])


def _numbers(image: TiffImageFile, tag: int) -> tuple[int, ...]:
    value = image.tag_v2.get(tag, ())
    return value if isinstance(value, tuple) else (value,)


def _orientation(image: ImageFile) -> int:
    if image.format == "PNG" and "exif" not in image.info and not _may_be_turned(_file_of(image)):
        return 1  # Pillow would decode the pixels to look behind them
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except OSError:  # the pixels of a PNG
        raise
    except Exception:  # broken EXIF data, of which Pillow raises nearly anything, tell no turn
        return 1
    return orientation if orientation in EXIF_TURNS else 1


def _may_be_turned(file: IO[bytes]) -> bool:
    place, found = file.tell(), False
    file.seek(8)
    while len(head := file.read(8)) == 8 and not found:  # chunk by chunk: the pixels are not read
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in _PNG_TEXT:
            content = kind + file.read(length)
            found = any(mark in content for mark in _PNG_MARKS)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)
    file.seek(place)
    return found


def _file_of(image: ImageFile) -> IO[bytes]:
    if image.fp is None:
        raise ValueError("the file is closed")
    return image.fp
