"""Where in a picture events count: masks are cut to regions, and what no mask is left of scores nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.live.scorer import ClipScores

LEAST_INSIDE = 0.25  # of a connected part of a mask: things that only reach into a region are not in it

Polygon = tuple[tuple[float, float], ...]  # x, y as shares of width and height
Size = tuple[int, int]  # height, width
Area = Callable[[Size], np.ndarray]  # bool [H, W] at any size: where masks count


@dataclass(frozen=True)
class Regions:
    """Polygons in which events count.

    Attributes:
        only: events count in these; everywhere if there are none.
        ignore: but not in these.
    """

    only: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()

    @classmethod
    def of(cls, only: Any, ignore: Any) -> Regions:
        """From lists of polygons, each a list of x, y. Raises InputError for anything else."""
        return cls(_polygons(only, "regions"), _polygons(ignore, "ignore"))

    def __bool__(self) -> bool:
        return bool(self.only or self.ignore)

    def area(self, size: Size) -> np.ndarray:
        """Where events count, bool `[H, W]`."""
        return _drawn(self, size)


@lru_cache(maxsize=64)
def _drawn(regions: Regions, size: Size) -> np.ndarray:
    height, width = size
    area = np.full(size, not regions.only, np.uint8)
    for polygons, value in ((regions.only, 1), (regions.ignore, 0)):
        for polygon in polygons:
            corners = np.round(np.array(polygon) * (width - 1, height - 1)).astype(np.int32)
            cv2.fillPoly(area, [corners], value)
    return area.astype(bool)


def _polygons(given: Any, name: str) -> tuple[Polygon, ...]:
    how = f"{name}: give polygons of three or more points, x and y from 0 to 1: [[[0, 0.5], [1, 0.5], [1, 1]]]"
    if not isinstance(given, list):
        raise InputError(how)
    found = []
    for polygon in given:
        if not isinstance(polygon, list) or len(polygon) < 3:
            raise InputError(how)
        for point in polygon:
            fits = isinstance(point, list) and len(point) == 2
            if not fits or not all(isinstance(each, int | float) and 0 <= each <= 1 for each in point):
                raise InputError(f"{how}; not {point}")
        found.append(tuple((float(x), float(y)) for x, y in polygon))
    return tuple(found)


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
