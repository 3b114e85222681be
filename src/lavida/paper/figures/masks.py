"""Figure 5: for each video and category the frame in which it is surest, as it is and with the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lavida.export.drawing import colours, paint, shorten
from lavida.export.moments import frames_at
from lavida.paper.figures.sheet import LARGE, SMALL, Case, Sheet, proportion

_PICTURE, _GAP, _SPACE, _MARGIN, _HEAD, _FOOT = 2.3, 0.05, 0.3, 0.15, 0.36, 0.3  # inches
_NOT_FOUND = "0.45"


class _Entry(NamedTuple):
    case: Case
    category: str
    frame: int

    @property
    def height(self) -> float:
        info = self.case.source.info
        return _PICTURE * proportion(info.height, info.width)


def draw_masks(cases: Sequence[Case], *, at: Sequence[float] = ()) -> Sheet:
    """A grid: a pair of pictures for each category of each video, and for each time of `at`.

    Args:
        cases: at least one.
        at: the frames at these seconds instead of the one in which the category is surest.

    Raises:
        InputError: a frame cannot be read, or a time of `at` lies outside a video.
    """
    entries = [entry for case in cases for entry in _entries(case, at)]
    columns = min(2 if len(entries) <= 8 else 3, len(entries))
    rows = [entries[first : first + columns] for first in range(0, len(entries), columns)]
    heights = [_HEAD + max(entry.height for entry in row) + _FOOT for row in rows]
    pair = 2 * _PICTURE + _GAP
    sheet = Sheet(width=columns * pair + (columns - 1) * _SPACE + 2 * _MARGIN, height=sum(heights) + _MARGIN)
    for index, row in enumerate(rows):
        for column, entry in enumerate(row):
            _draw_pair(sheet, entry, _MARGIN + column * (pair + _SPACE), sum(heights[:index]) + _MARGIN)
    return sheet


def _entries(case: Case, at: Sequence[float]) -> list[_Entry]:
    detection = case.detection
    if at:
        return [_Entry(case, name, frame) for frame in frames_at(detection, at) for name in detection.categories]
    surest = detection.sampled[detection.sampled_category_scores.argmax(axis=0)]
    return [_Entry(case, name, int(frame)) for name, frame in zip(detection.categories, surest, strict=True)]


def _draw_pair(sheet: Sheet, entry: _Entry, left: float, top: float) -> None:
    case, category, frame = entry
    detection, colour = case.detection, colours(case.detection.categories)[category]
    score = float(detection.category_scores[frame, detection.categories.index(category)])
    picture = case.pictures([frame])[frame]
    found = [mask for mask in case.found_masks(frame) if mask.category == category]
    true = case.true_masks([frame]).get(frame)
    edge = tuple(np.array(colour) / 255) if found else _NOT_FOUND
    name = shorten(category, length=44)
    sheet.write(name, left, top + _HEAD - 0.14, size=LARGE, weight="bold", color=edge)
    verdict = f"score {score:.2f}" + ("" if found else ", not found")
    right = left + 2 * _PICTURE + _GAP
    sheet.write(verdict, right, top + _HEAD - 0.14, size=SMALL, ha="right", color="0.25")
    both = (paint(picture, colours={}, true=true), paint(picture, found=found, colours={category: colour}))
    for place, image in enumerate(both):
        sheet.picture(image, (left + place * (_PICTURE + _GAP), top + _HEAD, _PICTURE, entry.height))
    where = f"{shorten(case.title, length=60)}, {detection.times[frame]:.1f} s"
    if true is not None and true.any():
        where += "; annotated pixels outlined on the left"
    sheet.write(where, left, top + _HEAD + entry.height + 0.14, size=SMALL, color="0.35")
