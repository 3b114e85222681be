"""`timeline.png`: the score over time with its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lavida.export.drawing import Colour, colours, font
from lavida.export.timeline_layout import (
    BOTTOM,
    HEIGHT,
    LARGE,
    LEFT,
    LEGEND,
    NORMAL,
    RIGHT,
    SMALL,
    TOP,
    WIDTH,
    Layout,
    is_clock,
    is_long,
    lay_out,
    thin,
    time_ticks,
)

if TYPE_CHECKING:
    from lavida.detection import Detection, Event

_FINE = 4  # lines are drawn so many times as large, and soft when they are made small again
_SHIFT = 4  # binary digits of a pixel that OpenCV takes
_INK, _DARK, _GRAY, _GRID = (0, 0, 0), (38, 38, 38), (90, 90, 90), (235, 235, 235)
_OPACITY = 0.2  # of an event, and once more of the lines at its ends
_THICK, _THIN = 2.25, 1.25  # widths of lines
_HANDLE, _LINE = 26, 20  # width of a line in the legend, height of a line of text
_DASH, _GAP = 5, 2
_TICK, _TITLE = 5, 24  # length of a tick, height of the title
_POINT, _SINGLE, _PEAK = 3.0, 4.5, 3.3  # radii of scores that stand alone, and of a peak
_STRIP, _BEYOND = 50, 8  # rows that are drawn at a time, and above and below, as OpenCV cuts lines at an edge otherwise
_MOST_DRAWN = 5_000  # points of a line, more than two for each column of pixels
_SCORES = tuple(tenth / 10 for tenth in range(0, 11, 2))  # that are marked

Points = NDArray[np.float64]  # `[N, 2]`: x, y in pixels of the picture, from its corner


class _Lines:
    """Lines and dots over a picture, at fractions of its pixels; drawn in strips, as the fine picture takes 30 MB."""

    def __init__(self, under: NDArray[np.uint8]) -> None:
        self._under = under
        self._drawn: list[Callable[[NDArray[np.uint8], int], object]] = []  # on rows, from one of them

    def line(self, points: Points, colour: Colour, width: float) -> None:
        thickness, fixed = round(width * _FINE) - 1, self._fixed(points)  # OpenCV's lines are a pixel wider than asked

        def draw(fine: NDArray[np.uint8], top: int) -> object:
            return cv2.polylines(fine, [fixed - (0, top)], False, colour, thickness, cv2.LINE_8, _SHIFT)

        self._drawn.append(draw)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        ((column, row),) = self._fixed(np.array([[x, y]])).tolist()
        fine_radius = round(radius * _FINE * 2**_SHIFT)

        def draw(fine: NDArray[np.uint8], top: int) -> object:
            return cv2.circle(fine, (column, row - top), fine_radius, colour, cv2.FILLED, cv2.LINE_8, _SHIFT)

        self._drawn.append(draw)

    def picture(self) -> Image.Image:
        strips: list[NDArray[np.uint8]] = []
        for start in range(0, len(self._under), _STRIP):
            first = max(0, start - _BEYOND)
            strip = self._under[first : start + _STRIP + _BEYOND]
            fine = np.asarray(cv2.resize(strip, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_NEAREST), np.uint8)
            for draw in self._drawn:
                draw(fine, first * _FINE << _SHIFT)
            drawn = cv2.resize(fine, strip.shape[1::-1], interpolation=cv2.INTER_AREA)
            strips.append(np.asarray(drawn, np.uint8)[start - first :][:_STRIP])
        return Image.fromarray(np.concatenate(strips))

    @staticmethod
    def _fixed(points: Points) -> NDArray[np.int32]:
        return np.rint((points * _FINE - 0.5) * 2**_SHIFT).astype(np.int32)  # OpenCV counts from a pixel's middle


def write_timeline(detection: Detection, path: Path, events: Sequence[Event] | None = None) -> None:
    """Write `timeline.png`, 1400 x 450 pixels; see `draw_timeline`."""
    draw_timeline(detection, events).save(path, format="png")


def draw_timeline(detection: Detection, events: Sequence[Event] | None = None) -> Image.Image:
    """Draw the score, each category's score (up to eight), the threshold, and the events with their peaks.

    `events` are those to shade; the detection's own if None.
    """
    events = detection.events() if events is None else events
    layout, palette = lay_out(detection, events), colours(detection.categories)
    ground = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _draw_grid(ground, layout)
    _shade(ground, layout, events, palette)
    _dash(ground, LEFT, RIGHT, layout.y(detection.threshold))
    _dash(ground, LEGEND, LEGEND + _HANDLE, TOP + _LINE)
    lines = _Lines(ground)
    _draw_scores(lines, layout, detection, palette)
    _draw_legend(lines, layout, palette, single=len(detection.times) == 1)
    _draw_peaks(lines, layout, palette)
    picture = lines.picture()
    pen, ticks = ImageDraw.Draw(picture), time_ticks(layout.start_s, layout.end_s)
    _draw_axes(pen, layout, ticks)
    _write_words(pen, layout, ticks)
    return picture


def _draw_grid(ground: NDArray[np.uint8], layout: Layout) -> None:
    for score in _SCORES:
        ground[round(layout.y(score)), LEFT:RIGHT] = _GRID


def _shade(ground: NDArray[np.uint8], layout: Layout, events: Sequence[Event], palette: Mapping[str, Colour]) -> None:
    """Lay the events over each other. Their edges keep one visible that is narrower than a pixel."""
    keep, tint = np.ones((WIDTH, 1)), np.zeros((WIDTH, 3))
    for event in events:
        left, right, colour = layout.x(event.start_s), layout.x(event.end_s), np.array(palette[event.category])
        for first, last in ((left, right), (left - 0.5, left + 0.5), (right - 0.5, right + 0.5)):
            columns = np.arange(int(first), int(last) + 1)
            covered = np.minimum(columns + 1, last) - np.maximum(columns, first)
            share = _OPACITY * covered[:, None]
            keep[columns] *= 1 - share
            tint[columns] = tint[columns] * (1 - share) + share * colour
    for row in ground[round(layout.y(1.0)) : BOTTOM]:  # all at once would take 30 MB
        row[...] = np.rint(row * keep + tint)


def _dash(ground: NDArray[np.uint8], left: int, right: int, y: float) -> None:
    for start in range(left, right, _DASH + _GAP):
        ground[round(y), start : min(start + _DASH, right)] = _GRAY


def _draw_scores(lines: _Lines, layout: Layout, detection: Detection, palette: Mapping[str, Colour]) -> None:
    def draw(scores: NDArray[np.float32], colour: Colour, *, width: float, radius: float) -> None:
        times, kept = thin(detection.times, scores, most=_MOST_DRAWN)
        points = np.stack([layout.x(times), layout.y(kept)], axis=1)
        if len(points) == 1:
            lines.dot(points[0, 0], points[0, 1], radius, colour)
        else:
            lines.line(points, colour, width)

    for name, scores in zip(layout.lines, detection.category_scores.T, strict=False):  # all of them or none
        draw(scores, palette[name], width=_THIN, radius=_POINT)
    draw(detection.scores, _DARK, width=_THIN if is_long(detection.times) else _THICK, radius=_SINGLE)


def _draw_legend(lines: _Lines, layout: Layout, palette: Mapping[str, Colour], *, single: bool) -> None:
    def draw(row: int, colour: Colour, width: float) -> None:
        y = TOP + _LINE * row + 0.5
        lines.line(np.array([[LEGEND, y], [LEGEND + _HANDLE, y]]), colour, width)

    draw(0, _DARK, _THICK)
    if single:
        lines.dot(LEGEND + _HANDLE / 2, TOP + 0.5, _SINGLE, _DARK)
    for row, name in enumerate(layout.lines, start=2):  # the threshold is in between
        draw(row, palette[name], _THIN)


def _draw_peaks(lines: _Lines, layout: Layout, palette: Mapping[str, Colour]) -> None:
    for name in layout.names:
        x, y, colour = layout.x(name.event.peak_s), layout.y(name.event.peak_score), palette[name.event.category]
        lines.line(np.array([[x, y], [x, layout.row_y(name.row)]]), colour, _THIN)
        lines.dot(x, y, _PEAK, colour)


def _draw_axes(pen: ImageDraw.ImageDraw, layout: Layout, ticks: Iterable[float]) -> None:
    pen.line((LEFT, round(layout.top), LEFT, BOTTOM), _INK)
    pen.line((LEFT, BOTTOM, RIGHT, BOTTOM), _INK)
    for score in _SCORES:
        pen.line((LEFT - _TICK, round(layout.y(score)), LEFT, round(layout.y(score))), _INK)
    for second in ticks:
        pen.line((round(layout.x(second)), BOTTOM, round(layout.x(second)), BOTTOM + _TICK), _INK)


def _write_words(pen: ImageDraw.ImageDraw, layout: Layout, ticks: Mapping[float, str]) -> None:
    pen.text((LEFT, _TITLE), layout.title, _INK, font(LARGE), anchor="lm")
    for score in _SCORES:
        pen.text((LEFT - _TICK - 5, layout.y(score)), f"{score:.1f}", _INK, font(NORMAL), anchor="rm")
    for second, said in ticks.items():
        pen.text((layout.x(second), BOTTOM + 16), said, _INK, font(NORMAL), anchor="mm")
    said = "time" if is_clock(layout.end_s) else "time (s)"
    pen.text(((LEFT + RIGHT) / 2, BOTTOM + 36), said, _INK, font(NORMAL), anchor="mm")
    upright = ImageFont.TransposedFont(font(NORMAL), Image.Transpose.ROTATE_90)
    pen.text((16, (layout.top + BOTTOM - font(NORMAL).getlength("score")) / 2), "score", _INK, upright)
    for row, text in enumerate(layout.legend):
        pen.text((LEGEND + _HANDLE + 9, TOP + _LINE * row), text, _INK, font(SMALL), anchor="lm")
    for name in layout.names:
        pen.rectangle(layout.box(name), fill="white")
        pen.text((name.centre, layout.row_y(name.row)), name.text, _INK, font(SMALL), anchor="mm")
    if layout.unnamed:
        said = f"{layout.unnamed} more event{'s' if layout.unnamed > 1 else ''}"
        pen.text((LEGEND, BOTTOM - 8), said, _GRAY, font(SMALL), anchor="lm")
