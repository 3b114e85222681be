"""Label files in YOLO's text format: a line an object, `class x1 y1 x2 y2 ...` in parts of the width and height."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.reading import read_text

CORNERS = 3  # the least that a polygon has
BOX = 4  # numbers: centre, width and height
FAR = 1.0  # widths or heights beyond the photo: no polygon reaches so far, one in pixels does
LITTLE = 0.1  # what tools let people draw over the border


def read_polygons(path: Path, classes: Mapping[int, str]) -> list[tuple[str, np.ndarray]]:
    """Class name and corners [N, 2], in parts of the width and height, of every object of a label file.

    Raises:
        InputError: the file cannot be read; a line is no polygon (a box, one with its confidence), is of no class, or
            is not in parts of the photo.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [_polygon(line.split(), classes, where=f"{path}, line {row}") for row, line in lines if line.strip()]


def check_reach(polygons: list[tuple[str, np.ndarray]], *, path: Path) -> None:
    """Raise InputError where a polygon leaves the photo by more than a little: it was drawn on another picture."""
    for name, corners in polygons:
        if (beyond := _beyond(corners)) > LITTLE:
            raise InputError(f"a polygon of {name!r} leaves the photo by {beyond:.0%} of its size: {path}; mend it")


def _polygon(parts: list[str], classes: Mapping[int, str], *, where: str) -> tuple[str, np.ndarray]:
    try:
        number, *values = map(float, parts)  # some tools write the class as 0.0
        name = classes[number]  # an int and a float that are equal are one key
    except (ValueError, KeyError):
        raise InputError(f"not `class x1 y1 x2 y2 ...` of a known class: {where}; mend it") from None
    if len(values) == BOX:
        mend = "boxes have no mask, export polygons instead (of CVAT: Ultralytics YOLO Segmentation)"
        raise InputError(f"a box, not a polygon: {where}; {mend}")
    if len(values) % 2:
        raise InputError(f"a number too many or too few for x and y: {where}; take a confidence at the end away")
    corners = np.array(values).reshape(-1, 2)
    if len(corners) < CORNERS or not np.isfinite(corners).all():
        raise InputError(f"not a polygon: {where}; give three corners or more, x and y of each")
    if _beyond(corners) > FAR:
        raise InputError(f"not in parts of the photo: {where}; divide x by its width and y by its height")
    return name, corners


def _beyond(corners: np.ndarray) -> float:
    """How far corners lie outside the photo, in its widths or heights."""
    return max(-corners.min(), corners.max() - 1, 0)
