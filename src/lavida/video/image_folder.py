"""Frames of a folder of images, one file a frame, in natural order."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lavida.errors import InputError
from lavida.video.motion import pair_gap
from lavida.video.source import Frame, Pair, SourceInfo, check_stride, one_line

IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"})
FOLDER_FPS = 25.0
BROKEN_IMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises on one


class ImageFolder:
    """A folder of images of one size; see `Source`. An unreadable image keeps its place, without an image."""

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise InputError(f"frames a second must be positive: {fps:g} for {path}; try 25")
        self.warnings: list[str] = []
        self._files = _image_files(path)
        width, height = _common_size(path, self._files)
        self.info = SourceInfo(path, path.resolve().name, width, height, float(fps), len(self._files))

    def read(
        self, *, stride: int, size: tuple[int, int] | None = None, pair_size: tuple[int, int] | None = None
    ) -> Iterator[Frame]:
        """See `Source.read`. Unreadable images end in one warning."""
        check_stride(stride)
        return self._frames(stride, size or (self.info.height, self.info.width), pair_size)

    def _frames(self, stride: int, size: tuple[int, int], pair_size: tuple[int, int] | None) -> Iterator[Frame]:
        last, selected, broken, first = len(self._files) - 1, 0, 0, ""
        for index, file in enumerate(self._files):
            image = pair = None
            if index % stride == 0 or index == last:
                selected += 1
                try:
                    image = _load(file, size)
                    pair = None if pair_size is None else self._pair(index, pair_size)
                except BROKEN_IMAGE as error:
                    broken += 1
                    first = first or f"{file.name}: {one_line(error)}"
            yield Frame(index, index / self.info.fps, image, pair)
        if broken == selected:
            raise InputError(f"no image can be decoded: {self.info.path}; {first}; replace the images")
        line = f"{broken} images cannot be read: {self.info.path}; the first is {first}"
        if broken and line not in self.warnings:
            self.warnings.append(line)

    def _pair(self, index: int, size: tuple[int, int]) -> Pair:
        gap = pair_gap(self.info.fps)
        other = index - gap if index >= gap else index + gap
        try:
            before = _load(self._files[other], size, mode="L") if other < len(self._files) else None
        except BROKEN_IMAGE:  # counted where that image itself is read
            before = None
        return Pair(_load(self._files[index], size, mode="L"), before, (index - other) / self.info.fps)


def _image_files(folder: Path) -> list[Path]:
    def natural(file: Path) -> tuple[list, str]:
        parts = re.split(r"(\d+)", file.name.casefold())  # text, number, text, ...
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], file.name

    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise InputError(f"no images in the folder: {folder}; it needs TIFF, PNG, JPEG or BMP files")
    return sorted(files, key=natural)


def _common_size(folder: Path, files: list[Path]) -> tuple[int, int]:
    """The (width, height) that all images share, from their headers; unreadable ones are passed over."""
    common, model, reason = None, "", ""
    for file in files:
        try:
            with Image.open(file) as image:
                size = _shown_size(image)
        except BROKEN_IMAGE as error:
            reason = reason or f"{file.name}: {one_line(error)}"
            continue
        if common is None:
            common, model = size, file.name
        elif size != common:
            raise InputError(
                f"images of different sizes: {file} is {size[0]}x{size[1]}, but {model} is "
                f"{common[0]}x{common[1]}; resize it or move it out of the folder"
            )
    if common is None:
        raise InputError(f"no image can be decoded: {folder}; {reason}; replace the images")
    return common


def _shown_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(0x0112, 1) >= 5 and image.format != "TIFF"  # Pillow itself turns TIFF
    return (image.height, image.width) if turned else image.size


def _load(file: Path, size: tuple[int, int], *, mode: str = "RGB") -> np.ndarray:
    """`[H, W, 3]`, or `[H, W]` for mode "L"."""
    with Image.open(file) as image:
        picture = _eight_bit(ImageOps.exif_transpose(image)).convert(mode)
    if picture.size != size[::-1]:
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(picture)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range, save them with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("pixels of more than 16 bits, save them with 8 or 16 bits")
    return Image.fromarray(np.round(values * (255 / 65535)).astype(np.uint8))
