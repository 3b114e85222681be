"""Frames of pictures: a folder of them in natural order, or one file with one or more pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.errors import InputError
from lavida.files import natural_order
from lavida.video.picture_file import IMAGE_SUFFIXES, Page, PictureReader, contrast_of, pages
from lavida.video.pixels import BROKEN_IMAGE, flaw_of, resized
from lavida.video.sampling import GAP_SECONDS, FrameSampling, SampledSource, Timed, frames_of
from lavida.video.source import Frame, SourceInfo

FOLDER_FPS = 25.0
MOST_KINDS = 5  # of files left out that are named


class Pictures(SampledSource):
    """Pages of one size that follow each other; see `Source`. An unreadable one keeps its place, without an image.

    Args:
        path: what they come from, for messages.
        stem: the name for results.
        shown: the pages.
        fps: frames a second, where the pages do not say how long they last.
        paced: whether that counts.
    """

    def __init__(self, path: Path, stem: str, shown: list[Page], *, fps: float, paced: bool) -> None:
        super().__init__()
        if not (math.isfinite(fps) and fps > 0):
            raise InputError(f"frames a second must be positive: {fps:g} for {path}; try 25")
        self._pages = shown
        height, width = _common_size(path, shown)
        lasts = [page.lasts_s for page in shown if page.lasts_s is not None]
        if paced and len(lasts) == len(shown) > 1:
            self._times = [0.0, *accumulate(lasts[:-1])]
            fps = len(lasts) / sum(lasts)
        else:
            self._times = [index / fps for index in range(len(shown))]
        contrast = contrast_of(shown)
        if contrast is not None:
            self._note(contrast.told(path))
        self.info = SourceInfo(path, stem, width, height, float(fps), len(shown), contrast)

    def _frames(
        self, sampling: FrameSampling, size: tuple[int, int], pair_size: tuple[int, int] | None
    ) -> Iterator[Frame]:
        reader, flaws, asked = PictureReader(self.info.contrast), [], 0

        def rgb(shot: _Shot) -> NDArray[np.uint8] | None:
            nonlocal asked
            asked += 1
            shot.look()
            if shot.picture is None:
                flaws.append(shot.flaw)
                return None
            picture, shot.picture = shot.picture, None  # asked for once: the memory is needed
            return resized(picture.convert("RGB"), size)

        shots, paired = self._shots(reader, pair_size), pair_size is not None
        gray = (lambda shot: shot.look().gray) if paired else None
        yield from frames_of(shots, sampling, rgb=rgb, gray=gray, most_earlier=self.info.fps * GAP_SECONDS)
        reader.close()
        if len(flaws) == asked:
            raise InputError(f"no image can be decoded: {self.info.path}; {flaws[0]}; replace the images")
        if flaws:
            self._warn(f"{len(flaws)} images cannot be read: {self.info.path}; the first is {flaws[0]}")

    def _shots(self, reader: PictureReader, pair_size: tuple[int, int] | None) -> Iterator[Timed[_Shot]]:
        for page, time_s in zip(self._pages, self._times, strict=True):
            shot = _Shot(page, reader, pair_size)
            yield Timed(shot, time_s)
            if page.lasts_s is not None and pair_size is not None:
                shot.look()  # while it comes by: there is no way back in an animation


@dataclass(slots=True)
class _Shot:
    """A page that is read when it is looked at first, and once only.

    Attributes:
        picture: upright and 8 bits deep, until it is shown; None where it cannot be read.
        gray: `[h, w]` of `pair_size`.
        flaw: what is wrong with it; None before it was looked at.
    """

    page: Page
    reader: PictureReader
    pair_size: tuple[int, int] | None
    picture: Image.Image | None = None
    gray: NDArray[np.uint8] | None = None
    flaw: str | None = None

    def look(self) -> _Shot:
        if self.flaw is None:
            self.flaw = ""
            try:
                picture = self.reader.read(self.page)
                if self.pair_size is not None:
                    self.gray = resized(picture.convert("L"), self.pair_size)
                self.picture = picture
            except BROKEN_IMAGE as error:
                self.flaw = f"{self.page.file.name}: {flaw_of(error, self.page.file)}"
        return self


class ImageFolder(Pictures):
    """A folder of images, every page of a file a frame; see `Pictures`."""

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        files, left_out = _image_files(path)
        shown = [page for file in files for page in pages(file)]
        # a folder is a film of pictures: what single files say of their own pace does not count
        super().__init__(path, path.resolve().name, shown, fps=fps, paced=False)
        if left_out:
            self._note(f"{told(left_out)} left out: {path}; no pictures by their names")


class PictureFile(Pictures):
    """One picture file: a frame, or the frames of an animation at their own times, or the pages of a TIFF."""

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        super().__init__(path, path.stem, list(pages(path)), fps=fps, paced=True)


def picture_names(path: Path) -> list[str] | None:
    """The names of the files of a folder of pictures, in the order of its frames, or that of a single picture.

    Returns:
        None where it is neither, or frames are pages of a file.
    """
    if not path.is_dir():
        return [path.name] if path.suffix.lower() in IMAGE_SUFFIXES else None
    try:
        files, _ = _image_files(path)
    except InputError:
        return None
    return [file.name for file in files]


def _image_files(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The pictures in natural order, and what else is there, by kind."""
    files: list[Path] = []
    left_out: Counter[str] = Counter()
    for file in folder.iterdir():
        if file.name.startswith("."):
            continue
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
            files.append(file)
        elif file.exists() and not file.is_file():
            left_out["folder" if file.is_dir() else "pipe or device"] += 1
        else:
            left_out[file.suffix.lower() or "file without a suffix"] += 1
    if not files:
        raise InputError(f"no images in the folder: {folder}; it needs TIFF, PNG, JPEG or other picture files")
    return sorted(files, key=lambda file: natural_order(file.name)), left_out


def told(left_out: Counter[str]) -> str:
    """What was left out, for people: `3 .txt, 1 folder`."""
    kinds = [f"{count} {kind}" for kind, count in left_out.most_common(MOST_KINDS)]
    more = sum(left_out.values()) - sum(count for _, count in left_out.most_common(MOST_KINDS))
    return ", ".join(kinds) + (f" and {more} more" if more else "")


def _common_size(path: Path, shown: list[Page]) -> tuple[int, int]:
    """The (height, width) that all pages share, from their headers; unreadable ones are passed over."""
    readable = [(page, page.header.size) for page in shown if page.header is not None]
    if not readable:
        flaw = next((page.flaw for page in shown if page.flaw), "no picture in it")
        raise InputError(f"no image can be decoded: {path}; {flaw}; replace the images")
    model, (height, width) = readable[0]
    for page, size in readable:
        if size != (height, width):
            named = page.file == model.file or page.number
            this = f"page {page.number + 1} of {page.file}" if named else f"{page.file}"
            other = f"page {model.number + 1}" if page.file == model.file else model.file.name
            mend = "save the file with pages of one size" if named else "resize it or move it out of the folder"
            found = f"{this} is {size[1]}x{size[0]}, but {other} is {width}x{height}"
            raise InputError(f"images of different sizes: {found}; {mend}")
    return height, width
