"""`timeline.png`: the score over time with its events."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MultipleLocator

from lavida.export.drawing import colours, shorten

if TYPE_CHECKING:
    from lavida.detection import Detection, Event

_SIZE_IN, _DPI = (14.0, 4.5), 100  # 1400 x 450 pixels
_MOST_POINTS = 20_000  # of a line; the drawing library gives up on noisy lines of millions
_MOST_CATEGORY_LINES = 8
_LABEL_ROWS = (1.06, 1.155, 1.25)  # heights over the scores, which end at 1
_ROW_HEIGHT = 0.095
_MOST_LABELS = 100
_TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


def write_timeline(detection: Detection, path: Path, events: Sequence[Event] | None = None) -> None:
    """Write `timeline.png`, 1400 x 450 pixels; see `draw_timeline`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the box in the picture says enough
        draw_timeline(detection, events).savefig(path, format="png")


def draw_timeline(detection: Detection, events: Sequence[Event] | None = None) -> Figure:
    """Draw the score, each category's score (up to eight), the threshold, and the events with their peaks.

    `events` are those to shade; the detection's own if None.
    """
    figure = Figure(figsize=_SIZE_IN, dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.05, 0.12, 0.765, 0.79))
    rgb = {name: tuple(np.array(colour) / 255) for name, colour in colours(detection.categories).items()}
    events = detection.events() if events is None else events
    score_axes(axes, start=float(detection.times[0]), end=detection.end_s)
    axes.set_title(shorten(detection.info.path.name, length=110), loc="left", fontsize=12, parse_math=False)
    _draw_scores(axes, detection, rgb)
    _shade(axes, events, rgb)
    _label_peaks(axes, events, rgb)
    return figure


def score_axes(axes: Axes, *, start: float, end: float, most_ticks: int = 12) -> None:
    """Prepare axes for scores of 0 to 1 over the seconds from `start` to `end`."""
    axes.set_xlim(start, end)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_ylabel("score")
    step = next((step for step in _TICK_STEPS_S if (end - start) / step <= most_ticks), (end - start) / 8)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    clock = end >= 120
    form = _clock if clock else "{:g}".format
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: form(second)))
    axes.set_xlabel("time" if clock else "time (s)")
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_bounds(0, 1)


def _clock(second: float) -> str:
    minutes, seconds = divmod(round(second), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _draw_scores(axes: Axes, detection: Detection, rgb: dict[str, tuple[float, ...]]) -> None:
    names = ["score", f"threshold {detection.threshold:.2f}"]
    width = 1.6 if len(detection.times) <= _MOST_POINTS else 0.8
    lines: list[Line2D] = axes.plot(*thin(detection.times, detection.scores), color="0.15", lw=width, zorder=4)
    if len(detection.times) == 1:
        lines[0].set_marker("o")
    lines.append(axes.axhline(detection.threshold, color="0.4", lw=1, ls="--", zorder=2))
    if len(detection.categories) <= _MOST_CATEGORY_LINES:
        for name, scores in zip(detection.categories, detection.category_scores.T, strict=True):
            lines += axes.plot(*thin(detection.times, scores), color=rgb[name], lw=0.9, zorder=3)
            names.append(shorten(name, length=22))
    # the legend would leave out names with a leading underscore and read $ as mathematics
    legend = axes.legend(
        lines, ["x"] * len(lines), loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


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


def _shade(axes: Axes, events: Sequence[Event], rgb: dict[str, tuple[float, ...]]) -> None:
    if events:
        spans = [(event.start_s, event.end_s - event.start_s) for event in events]
        fills = [(*rgb[event.category], 0.2) for event in events]
        # the edge keeps an event visible that is narrower than a pixel
        axes.broken_barh(spans, (0, 1), facecolors=fills, edgecolors=fills, linewidth=0.8, zorder=1)


def _label_peaks(axes: Axes, events: Sequence[Event], rgb: dict[str, tuple[float, ...]]) -> None:
    """Name the events, the strongest first, where there is room, and say how many stay without a name."""
    taken: list[list[tuple[float, float]]] = [[] for _ in _LABEL_ROWS]
    strongest = sorted(events, key=lambda event: -event.peak_score)
    named = sum(_name(axes, event, taken, rgb[event.category]) for event in strongest[:_MOST_LABELS])
    axes.set_ylim(0, 1.015 + _ROW_HEIGHT * sum(map(bool, taken)))
    if named < len(events):
        text = f"{len(events) - named} more events"
        axes.annotate(text, (1.015, 0), xycoords="axes fraction", fontsize=9, color="0.4", va="bottom")


def _name(axes: Axes, event: Event, taken: list[list[tuple[float, float]]], colour: tuple[float, ...]) -> bool:
    """Write the name in the lowest row with room at the peak; False if there is none."""
    name = f"{shorten(event.category, length=28)} {event.peak_score:.2f}"
    plate = {"fc": "white", "ec": "none", "pad": 1}
    text = axes.text(0, 0, name, fontsize=9, ha="center", va="center", parse_math=False, zorder=6, bbox=plate)
    left, right = axes.get_window_extent().intervalx
    half = text.get_window_extent().width / 2 + 4
    peak = axes.transData.transform((event.peak_s, 0))[0]
    centre = float(np.clip(peak, left + half, max(right - half, left + half)))
    span = (centre - half, centre + half)
    free = (
        row for row, others in enumerate(taken) if all(span[1] <= left or right <= span[0] for left, right in others)
    )
    row = next(free, None)
    if row is None:
        text.remove()
        return False
    taken[row].append(span)
    text.set_position((axes.transData.inverted().transform((centre, 0))[0], _LABEL_ROWS[row]))
    axes.plot([event.peak_s] * 2, [event.peak_score, _LABEL_ROWS[row]], color=colour, lw=0.8, zorder=5)
    axes.plot(event.peak_s, event.peak_score, "o", color=colour, ms=4, zorder=5)
    return True
