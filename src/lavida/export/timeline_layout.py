"""Where things stand in `timeline.png`, and what is written there: numbers and words, in pixels from the top left."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lavida.export.drawing import font, shorten

if TYPE_CHECKING:
    from lavida.detection import Detection, Event

WIDTH, HEIGHT = 1400, 450
LEFT, RIGHT, TOP, BOTTOM = 70, 1141, 42, 396  # of the scores with the names of events above them
LEGEND = RIGHT + 24
SMALL, NORMAL, LARGE = 13, 14, 17  # sizes of the letters
ROW = 24  # from one row of names to the next
_TO_NAMES = 15  # from score 1 up to the middle of the lowest row
_MOST_ROWS, _MOST_LABELS = 3, 100
_PLATE = 4  # from a name to the edge of what belongs to it, at the left and right
_MOST_CATEGORY_LINES = 8
_MOST_POINTS = 20_000  # of a line
_TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)

_Where = TypeVar("_Where", float, np.ndarray)


@dataclass(frozen=True)
class PeakName:
    """The name of an event above its peak; `centre` is that of the text, `row` counts upwards."""

    event: Event
    text: str
    centre: float
    half: float  # of the width of what it takes
    row: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a second, a score and a name of an event stand.

    Attributes:
        start_s, end_s: at `LEFT` and `RIGHT`.
        names: of the strongest events, as many as there is room for.
        unnamed: how many events have none.
        title: above all.
        lines: categories that have a line; none where there are too many to be told apart.
        legend: what stands there: score, threshold, lines.
    """

    start_s: float
    end_s: float
    names: tuple[PeakName, ...]
    unnamed: int
    title: str
    lines: tuple[str, ...]
    legend: tuple[str, ...]

    @property
    def top(self) -> float:
        """The height of score 1: lower where names stand above it."""
        return TOP + ROW * (1 + max((name.row for name in self.names), default=-1))

    def x(self, second: _Where) -> _Where:
        """Pixels from the left of a time in seconds, or of many."""
        return _across(second, self.start_s, self.end_s)

    def y(self, score: _Where) -> _Where:
        """Pixels from the top of a score, or of many."""
        return BOTTOM - score * (BOTTOM - self.top)

    def row_y(self, row: int) -> float:
        """The middle of a row of names."""
        return self.top - _TO_NAMES - ROW * row

    def box(self, name: PeakName) -> tuple[float, float, float, float]:
        """What a name takes: left, top, right, bottom."""
        y = self.row_y(name.row)
        return name.centre - name.half + 2, y - ROW / 3, name.centre + name.half - 2, y + ROW / 3


def _across(second: _Where, start: float, end: float) -> _Where:
    """Pixels from the left where `start` and `end` stand at `LEFT` and `RIGHT`."""
    return LEFT + (second - start) / (end - start) * (RIGHT - LEFT)


def lay_out(detection: Detection, events: Sequence[Event]) -> Layout:
    """Where everything stands when these events are shown."""
    start, end = float(detection.times[0]), detection.end_s
    peaks = [_across(event.peak_s, start, end) for event in events]
    names = tuple(_names(events, peaks))
    lines = detection.categories if len(detection.categories) <= _MOST_CATEGORY_LINES else ()
    return Layout(
        start_s=start,
        end_s=end,
        names=names,
        unnamed=len(events) - len(names),
        title=shorten(detection.info.path.name, length=110),
        lines=lines,
        legend=("score", f"threshold {detection.threshold:.2f}", *(shorten(line, length=22) for line in lines)),
    )


def _names(events: Sequence[Event], peaks: Sequence[float]) -> Iterator[PeakName]:
    """Name the events, the strongest first, where there is room: at the peak, in the lowest row that is free there."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_MOST_ROWS)]
    strongest = sorted(zip(events, peaks, strict=True), key=lambda each: -each[0].peak_score)
    for event, peak in strongest[:_MOST_LABELS]:
        text = f"{shorten(event.category, length=28)} {event.peak_score:.2f}"
        half = font(SMALL).getlength(text) / 2 + _PLATE
        centre = float(np.clip(peak, LEFT + half, max(RIGHT - half, LEFT + half)))
        left, right = centre - half, centre + half
        free = (row for row, others in enumerate(taken) if all(right <= one or other <= left for one, other in others))
        if (row := next(free, None)) is not None:
            taken[row].append((left, right))
            yield PeakName(event, text, centre, half, row)


def time_ticks(start: float, end: float, *, most: int = 12) -> dict[float, str]:
    """Seconds between `start` and `end`, hardly more than `most`, and how each is written."""
    step = next((step for step in _TICK_STEPS_S if (end - start) / step <= most), (end - start) / 8)
    steps = range(math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9) + 1)
    return {second: _clock(second) if is_clock(end) else f"{second:g}" for second in (i * step for i in steps)}


def is_clock(end: float) -> bool:
    """Whether times up to `end` seconds are written as minutes and hours."""
    return end >= 120


def _clock(second: float) -> str:
    minutes, seconds = divmod(round(second), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def is_long(times: np.ndarray) -> bool:
    """Whether frames at these times lie so close in the picture that a thick line would be one dark area."""
    return len(times) > _MOST_POINTS


def thin(times: np.ndarray, values: np.ndarray, *, most: int = _MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Keep the lowest and the highest value of every stretch, at most `most`, which looks the same when drawn."""
    if len(values) <= most:
        return times, values
    bounds = np.linspace(0, len(values), most // 2 + 1).astype(int)
    kept = []
    for first, stop in itertools.pairwise(bounds):
        part = values[first:stop]
        kept += sorted({first + int(part.argmin()), first + int(part.argmax())})
    return times[kept], values[kept]
