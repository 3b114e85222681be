"""What is always there: where a word's masks lie in most of a camera's normal footage, on a coarse grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import cv2
import numpy as np
from pycocotools import mask as coco_rle

from lavida.builder import CANDIDATE_FLOOR
from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.live.regions import Area, within
from lavida.live.scorer import ClipScores

GRID = (54, 96)  # rows, columns: one cell is 20x20 pixels of 1920x1080
ALWAYS_SHARE = 0.5  # of the frames in which a word has to lie in a cell to be always there
CELL_SHARE = 0.25  # of a cell that a mask has to cover
GROWN_CELLS = 1  # what stands still trembles by so much


def learnt(masks: Sequence[Mask], frames: int) -> str | None:
    """Where one word always is; None where that is nowhere.

    Args:
        masks: all of the word, of one camera.
        frames: how many were analysed, those without a mask too.
    """
    seen = np.zeros(GRID)
    for mask in masks:
        small = cv2.resize(mask.pixels.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)
        seen += small >= CELL_SHARE
    always = (seen >= ALWAYS_SHARE * max(1, frames)).astype(np.uint8)
    if not always.any():
        return None
    grown = cv2.dilate(always, np.ones((1 + 2 * GROWN_CELLS,) * 2, np.uint8))
    counts: bytes = coco_rle.encode(np.asfortranarray(grown))["counts"]
    return counts.decode("ascii")


def is_one(background: object) -> bool:
    """Whether it is what `learnt` makes: lengths of runs that fill the grid, as pycocotools writes them.

    What it is given is not looked at by `pycocotools.mask.decode`, which takes nearly any text for one.
    """
    if not isinstance(background, str):
        return False
    runs, value, shift = list[int](), 0, 0
    for letter in background:
        code = ord(letter) - ord("0")
        if not 0 <= code < 64:
            return False
        value, shift = value | (code & 31) << shift, shift + 5
        if code & 32:  # the number goes on
            continue
        value -= (code >> 4 & 1) << shift  # the sign
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))  # from the fourth on, what it is more than two before
        value, shift = 0, 0
    return shift == 0 and min(runs, default=-1) >= 0 and sum(runs) == GRID[0] * GRID[1]


def covered(background: str | None, size: tuple[int, int]) -> np.ndarray:
    """Where a word always is, bool `[H, W]`. Raises InputError for what `learnt` has not made."""
    if background is None:
        return np.zeros(size, bool)
    try:
        grid = coco_rle.decode({"size": list(GRID), "counts": background})
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError("the background of a profile cannot be read; calibrate again") from error
    return cv2.resize(grid, size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)


def learnt_from(found: Sequence[Detection]) -> dict[str, str | None]:
    """Where each word always is in the footage of one camera."""
    masks: dict[str, list[Mask]] = {text: [] for text in found[0].categories}
    for each in found:
        for mask in each.candidates:
            masks[mask.category].append(mask)
    frames = sum(len(each.sampled) for each in found)
    return {text: learnt(of_word, frames) for text, of_word in masks.items()}


def foreground_scores(found: Detection, backgrounds: Mapping[str, str | None]) -> np.ndarray:
    """The scores of each word, float32 `[S, K]`, where only what is not always there counts."""
    rows = found.sampled_category_scores
    clip = ClipScores(rows.max(axis=1), rows, by_frame(found, found.candidates))
    areas = {text: outside(background) for text, background in backgrounds.items()}
    size = (found.info.height, found.info.width)
    return within(clip, found.categories, areas.__getitem__, size=size, floor=CANDIDATE_FLOOR).category_scores


def by_frame(found: Detection, masks: Sequence[Mask]) -> list[list[Mask]]:
    """Masks of a detection, for each analysed frame those that are its own."""
    frames: dict[int, list[Mask]] = {index: [] for index in found.sampled.tolist()}
    for mask in masks:
        frames[mask.frame].append(mask)
    return list(frames.values())


def outside(background: str | None) -> Area:
    """Where a word counts: not where it always is."""
    return lambda size: _uncovered(background, size)


@lru_cache(maxsize=64)
def _uncovered(background: str | None, size: tuple[int, int]) -> np.ndarray:
    return ~covered(background, size)  # asked for with every mask
