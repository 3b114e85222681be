"""Where in a picture events count: masks are cut to regions, and what no mask is left of scores nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.live.scorer import ClipScores
from lavida.video.pixels import Contrast, check_sign, deep_values, flaw_of, header_of, upright

LEAST_INSIDE = 0.25  # of a connected part of a mask: things that only reach into a region are not in it

USUAL_SIZE = (1080, 1920)
WHITE = 128  # from this gray level on a pixel of a picture counts
Polygon = tuple[tuple[float, float], ...]  # x, y as shares of width and height
Size = tuple[int, int]  # height, width
Area = Callable[[Size], np.ndarray]  # bool [H, W] at any size: where masks count


@dataclass(frozen=True)
class Painted:
    """An area as a picture, of any size.

    Attributes:
        size: height and width.
        bits: row after row, eight pixels a byte.
    """

    size: Size
    bits: bytes

    def at(self, size: Size) -> np.ndarray:
        """The area at another size, bool `[H, W]`, by the nearest pixel."""
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.size[0] * self.size[1])
        return cv2.resize(flat.reshape(self.size), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


Shape = tuple[Polygon, ...] | Painted


@dataclass(frozen=True)
class Regions:
    """Where events count.

    Attributes:
        only: events count in these polygons or this picture; everywhere if there are none.
        ignore: but not in these.
    """

    only: Shape = ()
    ignore: Shape = ()

    @classmethod
    def of(cls, only: Any, ignore: Any, *, beside: Path | None = None) -> Regions:
        """From lists of polygons, each a list of x, y, or paths of pictures.

        Args:
            only: see the class.
            ignore: see the class.
            beside: paths are relative to the folder of this file; None: to the working directory.

        Raises:
            InputError: for anything else.
        """
        regions = cls(_shape(only, "regions", beside), _shape(ignore, "ignore", beside))
        if isinstance(regions.only, Painted) and not any(regions.only.bits):
            raise InputError(f"regions: {only} has nothing white, so no event would count; paint white where they do")
        sizes = [shape.size for shape in (regions.only, regions.ignore) if isinstance(shape, Painted)]
        if regions and not regions.area(max(sizes, default=USUAL_SIZE)).any():
            raise InputError("ignore: it covers all that counts, so no event would; leave out of it where they do")
        return regions

    def __bool__(self) -> bool:
        return bool(self.only or self.ignore)

    def area(self, size: Size) -> np.ndarray:
        """Where events count, bool `[H, W]`."""
        return _drawn(self, size)


@lru_cache(maxsize=64)
def _drawn(regions: Regions, size: Size) -> np.ndarray:
    height, width = size
    area = np.full(size, not regions.only, np.uint8)
    for shape, value in ((regions.only, 1), (regions.ignore, 0)):
        if isinstance(shape, Painted):
            area[shape.at(size)] = value
            continue
        for polygon in shape:
            corners = np.round(np.array(polygon) * (width - 1, height - 1)).astype(np.int32)
            cv2.fillPoly(area, [corners], value)
    return area.astype(bool)


def outlines(shape: Shape) -> list[list[list[float]]]:
    """The polygons as lists; none of a picture, which is not drawn on others."""
    return [] if isinstance(shape, Painted) else [[list(corner) for corner in polygon] for polygon in shape]


def picture_path(given: Any, beside: Path | None) -> Path | None:
    """The picture that a setting names; None where it names none. `beside`: see `Regions.of`."""
    if not isinstance(given, str):
        return None
    return Path(given) if beside is None else beside.parent / given


def _shape(given: Any, name: str, beside: Path | None) -> Shape:
    path = picture_path(given, beside)
    return _polygons(given, name) if path is None else _painted(path, name)


def _painted(path: Path, name: str) -> Painted:
    try:
        with path.open("rb") as file, Image.open(file) as picture:
            gray = _gray(picture)
    except Exception as error:  # a damaged one can raise nearly anything
        said = f"{name}: the picture cannot be read: {path}; {flaw_of(error, path)}"
        raise InputError(f"{said}; give one that is white where it counts") from error
    return Painted(gray.shape, np.packbits(gray >= WHITE).tobytes())


def _gray(picture: ImageFile) -> np.ndarray:
    """Upright gray levels of a picture, uint8 `[H, W]`; what shows through is black."""
    header = header_of(picture)
    if header.mode == "F":
        raise ValueError("floating-point pixels have no fixed range, save them with 8 or 16 bits")
    if header.mode.startswith("I"):  # of 16 bits Pillow would take all over 255 for white
        return Contrast().eight_bit(deep_values(picture, header))
    check_sign(picture)
    shown: Image.Image = picture
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        shown = picture.convert("RGBA")
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "black"), shown)
    return upright(np.asarray(shown.convert("L")), picture, header)


def _polygons(given: Any, name: str) -> tuple[Polygon, ...]:
    example = "[[[0, 0.5], [1, 0.5], [1, 1]]]"
    how = f"{name}: give polygons of three or more points, x and y from 0 to 1: {example}, or the path of a picture"
    if not isinstance(given, list):
        raise InputError(how)
    found = []
    for polygon in given:
        if not isinstance(polygon, list) or len(polygon) < 3:
            raise InputError(how)
        for point in polygon:
            fits = isinstance(point, list) and len(point) == 2
            if not fits or not all(_share(each) for each in point):
                raise InputError(f"{how}; not {point}")
        corners = np.array(polygon, float)
        if np.linalg.matrix_rank(corners - corners[0]) < 2:
            raise InputError(f"{how}; {polygon} lies on one line")
        found.append(tuple((float(x), float(y)) for x, y in polygon))
    return tuple(found)


def _share(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1


def within(
    clip: ClipScores, categories: Sequence[str], area: Callable[[str], Area], *, size: Size, floor: float
) -> ClipScores:
    """The scores of a clip where only what lies in an area counts.

    Of each mask the connected parts stay that lie in the area by a quarter or more. A category that reaches `floor`
    and has no mask left scores 0. What does not reach the floor stays as it is: no event depends on it.

    Args:
        clip: with masks of all that reaches the floor.
        categories: K texts.
        area: that of each text.
        size: height and width of the masks.
        floor: at most the score at which events end.
    """
    scores, rows = clip.scores.copy(), clip.category_scores.copy()
    kept: list[list[Mask]] = []
    for t, masks in enumerate(clip.masks):
        inside = [cut for mask in masks if (cut := _cut(mask, area(mask.category)(size))) is not None]
        kept.append(inside)
        if scores[t] < floor:
            continue
        left = {mask.category for mask in inside}
        for k, category in enumerate(categories):
            if rows[t, k] >= floor and category not in left:
                rows[t, k] = 0.0
        if (rows[t] != clip.category_scores[t]).any():
            scores[t] = min(scores[t], rows[t].max())
    return ClipScores(scores, rows, kept)


def _cut(mask: Mask, area: np.ndarray) -> Mask | None:
    """The parts of a mask that lie in the area by a quarter or more, whole; None if there are none."""
    pixels = mask.pixels
    if area.all() or not (pixels & ~area).any():
        return mask
    count, labels = cv2.connectedComponents(pixels.astype(np.uint8))
    sizes = np.bincount(labels.ravel(), minlength=count)
    inside = np.bincount(labels[area], minlength=count)
    chosen = inside >= np.maximum(1, LEAST_INSIDE * sizes)
    chosen[0] = False  # what is no mask
    if not chosen.any():
        return None
    return Mask.from_pixels(chosen[labels], frame=mask.frame, category=mask.category, score=mask.score)
