"""Frames of pictures: a folder of them in natural order, or one file with one or more pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.files import natural_order
from lavida.video.motion import pair_gap
from lavida.video.picture_file import IMAGE_SUFFIXES, Page, PictureReader, contrast_of, pages
from lavida.video.pixels import BROKEN_IMAGE
from lavida.video.sampling import FrameSampling, check_stride, with_next
from lavida.video.source import Frame, Pair, SourceInfo, one_line

FOLDER_FPS = 25.0
MOST_KINDS = 5  # of files left out that are named


class Pictures:
    """Pages of one size that follow each other; see `Source`. An unreadable one keeps its place, without an image.

    Args:
        path: what they come from, for messages.
        stem: the name for results.
        shown: the pages.
        fps: frames a second, where the pages do not say how long they last.
    """

    def __init__(self, path: Path, stem: str, shown: list[Page], *, fps: float) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise InputError(f"frames a second must be positive: {fps:g} for {path}; try 25")
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self._pages = shown
        height, width = _common_size(path, shown)
        lasts = [page.lasts_s for page in shown]
        if len(shown) > 1 and None not in lasts:
            self._times = [0.0, *accumulate(lasts[:-1])]
            fps = len(lasts) / sum(lasts)
        else:
            self._times = [index / fps for index in range(len(shown))]
        contrast = contrast_of(shown)
        if contrast is not None:
            self.notes.append(f"{contrast.share:.1%} of 16 bits are used: {path}; {contrast.told}")
        self.info = SourceInfo(path, stem, width, height, float(fps), len(shown), contrast)

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`. Unreadable images end in one warning."""
        check_stride(stride)
        return self._frames(stride, size or (self.info.height, self.info.width), pair_size)

    def _frames(self, stride: int | None, size: tuple[int, int], pair_size: tuple[int, int] | None) -> Iterator[Frame]:
        selected, broken, first = 0, 0, ""
        sampling, reader = FrameSampling(stride, fps=self.info.fps), PictureReader(self.info.contrast)
        for index, (time_s, next_s) in enumerate(with_next(self._times)):
            image = pair = None
            if sampling.takes(index, time_s, next_s):
                selected += 1
                try:
                    image, pair = self._look(reader, index, size, pair_size)
                except BROKEN_IMAGE as error:
                    broken += 1
                    first = first or f"{self._pages[index].file.name}: {one_line(error)}"
            yield Frame(index, time_s, image, pair)
        reader.close()
        if broken == selected:
            raise InputError(f"no image can be decoded: {self.info.path}; {first}; replace the images")
        line = f"{broken} images cannot be read: {self.info.path}; the first is {first}"
        if broken and line not in self.warnings:
            self.warnings.append(line)

    def _look(
        self, reader: PictureReader, index: int, size: tuple[int, int], pair_size: tuple[int, int] | None
    ) -> tuple[np.ndarray, Pair | None]:
        page = self._pages[index]
        if pair_size is None:
            return reader.read(page, size), None
        gap = pair_gap(self.info.fps)
        other = index - gap if index >= gap else index + gap
        before = None
        if other < len(self._pages):
            try:  # the earlier page first: an animation is read forwards
                before = reader.read(self._pages[other], pair_size, mode="L")
            except BROKEN_IMAGE:  # counted where that image itself is read
                before = None
        now, seconds = reader.read(page, pair_size, mode="L"), (index - other) / self.info.fps
        if before is not None:
            seconds = self._times[index] - self._times[other]
        return reader.read(page, size), Pair(now, before, seconds)


class ImageFolder(Pictures):
    """A folder of images, every page of a file a frame; see `Pictures`."""

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        files, left_out = _image_files(path)
        shown = [page for file in files for page in pages(file)]
        # a folder is a film of pictures: what single files say of their own pace does not count
        shown = [replace(page, lasts_s=None) for page in shown]
        super().__init__(path, path.resolve().name, shown, fps=fps)
        if left_out:
            self.notes.append(f"{told(left_out)} left out: {path}; no pictures by their names")


class PictureFile(Pictures):
    """One picture file: a frame, or the frames of an animation at their own times, or the pages of a TIFF."""

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        super().__init__(path, path.stem, list(pages(path)), fps=fps)


def _image_files(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The pictures in natural order, and what else is there, by kind."""
    files, left_out = [], Counter()
    for file in folder.iterdir():
        if file.name.startswith("."):
            continue
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
            files.append(file)
        else:
            left_out["folder" if file.is_dir() else file.suffix.lower() or "file without a suffix"] += 1
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
    readable = [page for page in shown if page.header is not None]
    if not readable:
        flaw = next((page.flaw for page in shown if page.flaw), "no picture in it")
        raise InputError(f"no image can be decoded: {path}; {flaw}; replace the images")
    model, size = readable[0].file.name, readable[0].header.size
    for page in readable:
        if page.header.size != size:
            height, width = page.header.size
            raise InputError(
                f"images of different sizes: {page.file} is {width}x{height}, but {model} is {size[1]}x{size[0]}; "
                "resize it or move it out of the folder"
            )
    return size
