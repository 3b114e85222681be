"""Picture files: their pages, their size, their pixels, upright and in 8 bits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lavida.video.contrast import FULL, MOST_FRAMES, Contrast, measured
from lavida.video.turn import EXIF_ORIENTATION, EXIF_TURNS

IMAGE_SUFFIXES = frozenset(
    ".tif .tiff .png .apng .jpg .jpeg .jpe .jfif .bmp .dib .gif .webp .avif .avifs .jp2 .j2k .jpf .jpx .j2c .jpc "
    ".pgm .ppm .pbm .pnm .pcx .qoi .sgi .tga .heic .heif .hif".split()
)
BROKEN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)  # what Pillow raises on one
_SEVERAL_PAGES = frozenset({"TIFF", "PNG", "GIF", "WEBP", "AVIF"})  # not MPO: a second eye, or a preview
_BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 258, 259, 262, 270  # TIFF's tags
_SUBFILE_TYPE, _REDUCED = 254, 1  # TIFF's tag of a page, and its bit for a preview of another
_TELL_LATE = frozenset({"WEBP", "AVIF"})  # how long a frame lasts is known once it has been decoded
_AT_ONCE_MS = 10  # browsers show frames that last no longer for a tenth of a second
_BROWSER_MS = 100

with suppress(ImportError):  # HEIF is read where its package is installed
    from pillow_heif import register_heif_opener

    register_heif_opener()


@dataclass(frozen=True, slots=True)
class Page:
    """One picture in a file.

    Attributes:
        file: the file.
        number: of the page, from 0.
        size: (width, height), upright; None where its header cannot be read.
        turned: whether EXIF turns it.
        sixteen_bits: whether it is gray or RGB of 16 bits.
        lasts_s: how long it is shown, in seconds; None where the file does not say.
        flaw: what is wrong with it.
        shift: bytes by which its pixels lie behind where the page says: ImageJ's way to store a stack.
    """

    file: Path
    number: int = 0
    size: tuple[int, int] | None = None
    turned: bool = False
    sixteen_bits: bool = False
    lasts_s: float | None = None
    flaw: str = ""
    shift: int = 0


def pages(file: Path) -> Iterator[Page]:
    """The pages of a file, by their headers; one that says what is wrong where it cannot be read. Previews are not
    among them."""
    try:
        with Image.open(file) as image:
            count = getattr(image, "n_frames", 1) if image.format in _SEVERAL_PAGES else 1
            stacked = _stacked(image) if count == 1 else ()
            for number in range(count):
                if number:
                    image.seek(number)
                    if image.format == "TIFF" and int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & _REDUCED:
                        continue
                deep, orientation = _has_sixteen_bits(image), _orientation(image)
                size = image.size[::-1] if orientation >= 5 else image.size
                page = Page(file, number, size, orientation > 1, deep, _lasts_s(image, count))
                yield page
                yield from (replace(page, shift=shift) for shift in stacked)
    except BROKEN_IMAGE as error:
        yield Page(file, flaw=f"{file.name}: {' '.join(str(getattr(error, 'strerror', None) or error).split())}")


def _stacked(image: Image.Image) -> Sequence[int]:
    """Where, in bytes behind the first, the other pictures of an ImageJ stack lie: on one page, one after the other."""
    said = str(image.tag_v2.get(_DESCRIPTION, "")) if image.format == "TIFF" else ""
    images = re.search(r"^images=(\d+)", said, re.MULTILINE) if said.startswith("ImageJ=") else None
    if images is None or image.tag_v2.get(_COMPRESSION, 1) != 1:
        return ()
    bits = image.tag_v2.get(_BITS, (8,))
    length = image.width * image.height * sum(bits) // 8
    behind = os.path.getsize(image.filename) - min(tile[2] for tile in image.tile)
    return range(length, min(int(images[1]), behind // length) * length, length)


def _lasts_s(image: Image.Image, pages: int) -> float | None:
    if pages == 1 or image.format == "TIFF":
        return None
    if image.format in _TELL_LATE:
        image.load()
    milliseconds = float(image.info.get("duration", 0) or 0)
    return (milliseconds if milliseconds > _AT_ONCE_MS else _BROWSER_MS) / 1000


def _orientation(image: Image.Image) -> int:
    """EXIF's, 1 where there is nothing to do."""
    if image.format == "TIFF":  # Pillow itself turns these
        return 1
    if image.format == "PNG" and "exif" not in image.info:  # asked for it, Pillow would decode the picture
        return 1
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    return orientation if orientation in EXIF_TURNS else 1


def _has_sixteen_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I") or _is_deep_colour(image)


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether it is a colour picture of 16 bits, of which Pillow reads the upper 8."""
    raw = image.tile[0][3] if image.tile else None
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    return image.mode in ("RGB", "RGBA") and isinstance(raw, str) and ";16" in raw


class PictureReader:
    """Reads pages; the last file stays open, so that the pages of one file are read in one go.

    Args:
        contrast: how 16 bits become 8.
    """

    def __init__(self, contrast: Contrast | None = None) -> None:
        self._contrast = contrast or Contrast()
        self._open: tuple[tuple[Path, int], Image.Image] | None = None

    def read(self, page: Page, size: tuple[int, int], *, mode: str = "RGB") -> NDArray[np.uint8]:
        """Upright, of `size` (height, width): `[H, W, 3]`, or `[H, W]` for mode "L".

        Raises:
            OSError, SyntaxError, ValueError, EOFError: it cannot be read (`BROKEN_IMAGE`).
        """
        image = self._page(page)
        if page.sixteen_bits:
            values = self._contrast.eight_bit(_sixteen_bits(image, page))
            picture = Image.fromarray(values).convert(mode)
        elif image.mode == "F":
            raise ValueError("floating-point pixels have no fixed range, save them with 8 or 16 bits")
        else:
            picture = (ImageOps.exif_transpose(image) if page.turned else image).convert(mode)
        if picture.size != size[::-1]:
            picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.array(picture)

    def values(self, page: Page) -> NDArray[np.uint16]:
        """A page of 16 bits as it is, upright, `[H, W]` or `[H, W, 3]`. Raises as `read`."""
        return _sixteen_bits(self._page(page), page)

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _page(self, page: Page) -> Image.Image:
        place = page.file, page.shift
        behind = self._open is not None and self._open[1].tell() > page.number
        if self._open is None or self._open[0] != place or behind:  # Pillow loses its way back in animated PNG
            self.close()
            self._open = place, Image.open(page.file)
            if page.shift:
                self._open[1].tile = [_moved(tile, by=page.shift) for tile in self._open[1].tile]
        image = self._open[1]
        try:
            if page.number or getattr(image, "is_animated", False):
                image.seek(page.number)
            image.load()
        except BROKEN_IMAGE:
            self.close()
            raise
        return image


def _moved(tile: Any, *, by: int) -> Any:
    moved = (*tile[:2], tile[2] + by, *tile[3:])
    return tile._make(moved) if hasattr(tile, "_make") else moved  # before Pillow 11 they were plain tuples


def _sixteen_bits(image: Image.Image, page: Page) -> NDArray[np.uint16]:
    turn = EXIF_TURNS.get(image.getexif().get(EXIF_ORIENTATION, 1), EXIF_TURNS[1])
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > FULL:
            raise ValueError("pixels of more than 16 bits, save them with 8 or 16 bits")
        if image.format != "TIFF":
            return turn.applied(values.astype(np.uint16))
        white_is_zero = image.tag_v2.get(_PHOTOMETRIC) == 0  # Pillow turns that round for 8 bits only
        return (FULL - values if white_is_zero else values).astype(np.uint16)
    data = np.frombuffer(page.file.read_bytes(), np.uint8)
    if page.number:
        _, (values, *_) = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(page.number, page.number + 1))
    else:
        values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise ValueError("not a colour picture of 16 bits")
    return turn.applied(np.ascontiguousarray(values[..., 2::-1]))  # from blue, green, red, alpha


def contrast_of(shown: list[Page]) -> Contrast | None:
    """The contrast of pages of 16 bits, from up to 32 that are spread over them; None where it changes nothing."""
    deep = [page for page in shown if page.sixteen_bits]
    if not deep:
        return None
    reader = PictureReader()
    chosen = sorted({round(place) for place in np.linspace(0, len(deep) - 1, min(MOST_FRAMES, len(deep)))})

    def values() -> Iterator[NDArray[np.uint16]]:
        for place in chosen:
            with suppress(*BROKEN_IMAGE):  # told when it is read
                yield reader.values(deep[place])

    contrast = measured(values())
    reader.close()
    return None if contrast == Contrast() else contrast
