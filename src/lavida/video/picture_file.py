"""Picture files: their pages, their size, their pixels, upright and in 8 bits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lavida.video.pixels import (
    BROKEN_IMAGE,
    MOST_FRAMES,
    Contrast,
    Header,
    check_sign,
    deep_values,
    flaw_of,
    header_of,
    measured,
    odd_tiff,
)

IMAGE_SUFFIXES = frozenset(
    ".tif .tiff .png .apng .jpg .jpeg .jpe .jfif .bmp .dib .gif .webp .avif .avifs .jp2 .j2k .jpf .jpx .j2c .jpc "
    ".pgm .ppm .pbm .pnm .pcx .qoi .sgi .tga .heic .heif .hif".split()
)
_SEVERAL_PAGES = frozenset({"TIFF", "PNG", "GIF", "WEBP", "AVIF"})  # not MPO: a second eye, or a preview
_BITS, _COMPRESSION, _DESCRIPTION = 258, 259, 270  # TIFF's tags
_SUBFILE_TYPE, _REDUCED = 254, 1  # TIFF's tag of a page, and its bit for a preview of another
_TELL_LATE = frozenset({"WEBP", "AVIF"})  # how long a frame lasts is known once it has been decoded
_AT_ONCE_MS = 10  # browsers show frames that last no longer for a tenth of a second
_BROWSER_MS = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One picture in a file.

    Attributes:
        file: the file.
        number: of the page, from 0.
        header: what it says of itself; None where that cannot be read.
        lasts_s: how long it is shown, in seconds, of an animation, whose frames build on those before; None of others.
        flaw: what is wrong with it.
        shift: bytes by which its pixels lie behind where the page says: ImageJ's way to store a stack.
    """

    file: Path
    number: int = 0
    header: Header | None = None
    lasts_s: float | None = None
    flaw: str = ""
    shift: int = 0


def pages(file: Path) -> Iterator[Page]:
    """The pages of a file, by their headers; one that says what is wrong where it cannot be read.

    Previews are not among them.
    """
    try:
        # by its name, Pillow 13 maps an uncompressed gray TIFF into memory and scrambles one that lies on its side
        with file.open("rb") as opened, Image.open(opened) as image:
            count = getattr(image, "n_frames", 1) if image.format in _SEVERAL_PAGES else 1
            stacked = _stacked(image, os.path.getsize(file)) if count == 1 else ()
            header = None
            for number in range(count):
                if number:
                    image.seek(number)
                    if isinstance(image, TiffImageFile) and int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & _REDUCED:
                        continue
                # all frames of an animation have one canvas; a TIFF's pages are pictures of their own
                header = header_of(image) if header is None or image.format == "TIFF" else header
                page = Page(file, number, header, _lasts_s(image, count))
                if number == 0 and count > 1 and getattr(image, "default_image", False):
                    continue  # what is shown where APNG is not known, no part of the animation
                yield page
                yield from (replace(page, shift=shift) for shift in stacked)
    except BROKEN_IMAGE as error:
        odd = odd_tiff(file) if isinstance(error, UnidentifiedImageError) else None
        if odd is not None:  # a picture all the same, and none for FFmpeg
            yield Page(file, header=Header(odd.size, 1, "", deep=False), flaw=f"{file.name}: {odd.flaw}")
            return
        yield Page(file, flaw=f"{file.name}: {flaw_of(error, file)}")


def _stacked(image: ImageFile, file_size: int) -> Sequence[int]:
    """Where, in bytes behind the first, the other pictures of an ImageJ stack lie: on one page, one after the other."""
    if not isinstance(image, TiffImageFile):
        return ()
    said = str(image.tag_v2.get(_DESCRIPTION, ""))
    images = re.search(r"^images=(\d+)", said, re.MULTILINE) if said.startswith("ImageJ=") else None
    if images is None or image.tag_v2.get(_COMPRESSION, 1) != 1:
        return ()
    bits = image.tag_v2.get(_BITS, (8,))
    length = image.width * image.height * sum(bits) // 8
    behind = file_size - min(tile[2] for tile in image.tile)
    return range(length, min(int(images[1]), behind // length) * length, length)


def _lasts_s(image: ImageFile, pages: int) -> float | None:
    if pages == 1 or image.format == "TIFF":
        return None
    if image.format in _TELL_LATE:
        image.load()
    milliseconds = float(image.info.get("duration", 0) or 0)
    return (milliseconds if milliseconds > _AT_ONCE_MS else _BROWSER_MS) / 1000


class PictureReader:
    """Reads pages; the last file stays open, so that the pages of one file are read in one go.

    Args:
        contrast: how 16 bits become 8.
    """

    def __init__(self, contrast: Contrast | None = None) -> None:
        self._contrast = contrast or Contrast()
        self._open: tuple[Path, int, BinaryIO, ImageFile] | None = None

    def read(self, page: Page) -> Image.Image:
        """Upright and 8 bits deep, of any mode.

        Raises:
            OSError, SyntaxError, ValueError, EOFError: it cannot be read (`BROKEN_IMAGE`).
        """
        header, image = self._page(page)
        if header.deep:
            return Image.fromarray(self._contrast.eight_bit(deep_values(image, header, shift=page.shift)))
        if image.mode == "F":
            raise ValueError("floating-point pixels have no fixed range, save them with 8 or 16 bits")
        check_sign(image)
        picture = image if header.orientation == 1 else ImageOps.exif_transpose(image)
        # the next page would take the place of this one
        return picture.copy() if picture is image and _has_others(image) else picture

    def values(self, page: Page) -> NDArray[np.uint16]:
        """A page of 16 bits as it is, upright, `[H, W]` or `[H, W, 3]`. Raises as `read`."""
        header, image = self._page(page)
        return deep_values(image, header, shift=page.shift)

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open[2].close()
            self._open = None

    def _page(self, page: Page) -> tuple[Header, ImageFile]:
        if page.header is None or page.flaw:
            raise ValueError(page.flaw.partition(": ")[2] or "its header cannot be read")
        image = self._file(page)
        try:
            if page.number or _has_others(image):
                image.seek(page.number)
            if not page.header.deep:  # those are read by their values
                image.load()
        except BROKEN_IMAGE:
            self.close()
            raise
        return page.header, image

    def _file(self, page: Page) -> ImageFile:
        if self._open is not None:
            path, shift, _, image = self._open
            # an animation is read forwards: Pillow loses its way back in PNG, and would begin anew in others
            behind = image.tell() > page.number and not isinstance(image, TiffImageFile)
            if (path, shift) == (page.file, page.shift) and not behind:
                return image
            self.close()
        file = page.file.open("rb")
        image = Image.open(file)
        if page.shift:
            image.tile = [tile._replace(offset=tile.offset + page.shift) for tile in image.tile]
        self._open = page.file, page.shift, file, image
        return image


def _has_others(image: ImageFile) -> bool:
    return bool(getattr(image, "is_animated", False))


def contrast_of(shown: list[Page]) -> Contrast | None:
    """The contrast of pages of 16 bits, from up to 32 that are spread over them; None where it changes nothing."""
    deep = [page for page in shown if page.header is not None and page.header.deep]
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
