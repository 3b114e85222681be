"""Figures 4 and 5: what was found in videos, as scores over time with telling frames, and as masks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Patch
from numpy.typing import NDArray

from lavida.detection import Detection
from lavida.export.drawing import TRUTH, colours, paint, shorten
from lavida.export.moments import frames_at, stretches, telling_moments
from lavida.export.timeline_layout import is_clock, thin, time_ticks
from lavida.paper.figures.sheet import LARGE, MARGIN, SMALL, Case, Sheet, proportion

RGB = tuple[float, float, float]  # each in [0, 1]

_PANEL_WIDTH, _AXIS_LEFT, _CAPTION, _LINK, _PLOT, _TICKS, _LEGEND = 7.2, 0.5, 0.18, 0.2, 1.15, 0.4, 0.36  # inches
_GAP, _HEAD, _FOOT = 0.06, 0.3, _TICKS + _LEGEND
_MOST_NAMES, _NAME_LENGTH = 5, 20
_MASK_PICTURE, _MASK_GAP, _MASK_SPACE, _MASK_HEAD, _MASK_FOOT = 2.3, 0.05, 0.3, 0.36, 0.3  # inches
_NOT_FOUND = "0.45"


def _rgb(colour: Sequence[int]) -> RGB:
    red, green, blue = (value / 255 for value in colour)
    return red, green, blue


_TRUTH_RGB = _rgb(TRUTH)
_SHADE = (*_TRUTH_RGB, 0.22)


def draw_scores(cases: Sequence[Case], *, moments: int = 5, at: Sequence[float] = ()) -> Sheet:
    """Figure 4: the frame score over time, annotated stretches shaded, masks at telling moments above it.

    One panel for each of one or more videos, two side by side, with so many `moments`, or with the frames `at` some
    seconds.

    Raises:
        InputError: a frame cannot be read, or a time of `at` lies outside a video.
    """
    columns = min(2, len(cases))
    heights = [_panel_height(case, count=len(set(at)) or moments) for case in cases]
    rows = [max(heights[first : first + columns]) for first in range(0, len(cases), columns)]
    sheet = Sheet(width=columns * _PANEL_WIDTH + MARGIN, height=sum(rows) + MARGIN)
    for place, case in enumerate(cases):
        row, column = divmod(place, columns)
        _draw_panel(sheet, case, column * _PANEL_WIDTH + MARGIN, sum(rows[:row]) + MARGIN, moments=moments, at=at)
    return sheet


def _picture_inches(case: Case, *, count: int) -> tuple[float, float]:
    """(width, height) of each of `count` pictures beside each other."""
    width = (_PANEL_WIDTH - MARGIN - (count - 1) * _GAP) / count
    info = case.source.info
    return width, width * proportion(info.height, info.width)


def _panel_height(case: Case, *, count: int) -> float:
    return _HEAD + _CAPTION + _picture_inches(case, count=count)[1] + _LINK + _PLOT + _FOOT


def _draw_panel(sheet: Sheet, case: Case, left: float, top: float, *, moments: int, at: Sequence[float]) -> None:
    detection, labels = case.detection, case.labels()
    chosen = frames_at(detection, at) if at else telling_moments(detection, labels, count=moments)
    rgb = {name: _rgb(colour) for name, colour in colours(detection.categories).items()}
    sheet.write(shorten(case.title, length=70), left, top + _HEAD - 0.12, size=LARGE, weight="bold")
    plot_top = top + _panel_height(case, count=len(chosen)) - _PLOT - _FOOT
    plot = sheet.axes((left + _AXIS_LEFT, plot_top, _PANEL_WIDTH - MARGIN - _AXIS_LEFT, _PLOT))
    _draw_curve(plot, detection, labels, rgb)
    for axes, frame in zip(_draw_pictures(sheet, case, chosen, labels, left, top + _HEAD), chosen, strict=True):
        point = detection.times[frame], detection.scores[frame]
        link = ConnectionPatch(
            (0.5, 0), point, "axes fraction", "data", axesA=axes, axesB=plot, color="0.55", lw=0.7, zorder=3
        )
        sheet.figure.add_artist(link)
        plot.plot(*point, "o", color="0.1", ms=3.2, zorder=6, clip_on=False)
    legend = sheet.axes((left + _AXIS_LEFT, plot_top + _PLOT + _TICKS, _PANEL_WIDTH - MARGIN - _AXIS_LEFT, _LEGEND))
    _draw_legend(legend, detection, rgb, annotated=labels is not None)


def _draw_pictures(
    sheet: Sheet, case: Case, chosen: Sequence[int], labels: NDArray[np.uint8] | None, left: float, top: float
) -> list[Axes]:
    width, height = _picture_inches(case, count=len(chosen))
    pictures, true = case.pictures(chosen), case.true_masks(chosen)
    palette = colours(case.detection.categories)
    drawn = []
    for place, frame in enumerate(chosen):
        image = paint(pictures[frame], found=case.found_masks(frame), colours=palette, true=true.get(frame))
        x = left + place * (width + _GAP)
        box = x, top + _CAPTION, width, height
        if labels is not None and labels[frame]:
            drawn.append(sheet.picture(image, box, edge=_TRUTH_RGB, line=1.6))
        else:
            drawn.append(sheet.picture(image, box))
        said = f"{case.detection.times[frame]:.1f} s   score {case.detection.scores[frame]:.2f}"
        sheet.write(said, x + width / 2, top + _CAPTION - 0.05, size=SMALL, ha="center")
    return drawn


def _draw_curve(axes: Axes, detection: Detection, labels: NDArray[np.uint8] | None, rgb: Mapping[str, RGB]) -> None:
    times, end = detection.times, detection.end_s
    _score_axes(axes, start=float(times[0]), end=end)
    ends = np.append(times, end)
    for first, stop in [] if labels is None else stretches(labels):
        axes.axvspan(times[first], ends[stop], facecolor=_SHADE, edgecolor="none", zorder=1)
    axes.axhline(detection.threshold, color="0.45", lw=0.8, ls="--", zorder=2)
    axes.plot(*thin(times, detection.scores), color="0.1", lw=1.3, zorder=4, solid_joinstyle="round")
    for event in detection.events():  # a bar above the curve, so that it does not hide the truth below
        axes.fill_between([event.start_s, event.end_s], 1.06, 1.12, color=rgb[event.category], lw=0, zorder=5)


def _score_axes(axes: Axes, *, start: float, end: float) -> None:
    """Prepare axes for scores of 0 to 1 over the seconds from `start` to `end`."""
    ticks = time_ticks(start, end, most=10)
    axes.set(xlim=(start, end), ylim=(0, 1.12))
    axes.set_xticks(list(ticks), labels=list(ticks.values()))
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlabel("time" if is_clock(end) else "time (s)", fontsize=SMALL)
    axes.set_ylabel("score", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_bounds(0, 1)


def _draw_legend(axes: Axes, detection: Detection, rgb: Mapping[str, RGB], *, annotated: bool) -> None:
    """What the colours mean, and what was not found."""
    found = {mask.category for mask in detection.masks} | {event.category for event in detection.events()}
    names = [name for name in detection.categories if name in found][:_MOST_NAMES]
    entries: list[tuple[Artist, str]] = [
        (Patch(facecolor=rgb[name], edgecolor="none"), shorten(name, length=_NAME_LENGTH)) for name in names
    ]
    entries.append((Line2D([], [], color="0.45", lw=0.8, ls="--"), f"threshold {detection.threshold:g}"))
    if annotated:
        entries.append((Patch(facecolor=_SHADE, edgecolor=_TRUTH_RGB, linewidth=0.8), "annotated as abnormal"))
    if silent := [name for name in detection.categories if name not in found]:
        said = shorten(silent[0], length=_NAME_LENGTH) if len(silent) == 1 else f"{len(silent)} categories"
        entries.append((Patch(facecolor="none", edgecolor="none"), f"{said}: not found"))
    axes.set_axis_off()
    legend = axes.legend(
        [handle for handle, _ in entries], ["x"] * len(entries), ncols=min(len(entries), 5), loc="upper center",
        bbox_to_anchor=(0.5, 1), borderaxespad=0, borderpad=0, frameon=False, fontsize=SMALL, handlelength=1.4,
        columnspacing=1.4, labelspacing=0.25,
    )  # fmt: skip
    for text, (_, name) in zip(legend.get_texts(), entries, strict=True):
        text.set(text=name, parse_math=False)


class _Entry(NamedTuple):
    case: Case
    category: str
    frame: int

    @property
    def height(self) -> float:
        info = self.case.source.info
        return _MASK_PICTURE * proportion(info.height, info.width)


def draw_masks(cases: Sequence[Case], *, at: Sequence[float] = ()) -> Sheet:
    """Figure 5: a pair of pictures, plain and with the mask, for each category of each video where it is surest.

    `at` some seconds: the frames there instead.

    Raises:
        InputError: a frame cannot be read, or a time of `at` lies outside a video.
    """
    entries = [entry for case in cases for entry in _entries(case, at)]
    columns = min(2 if len(entries) <= 8 else 3, len(entries))
    rows = [entries[first : first + columns] for first in range(0, len(entries), columns)]
    heights = [_MASK_HEAD + max(entry.height for entry in row) + _MASK_FOOT for row in rows]
    pair = 2 * _MASK_PICTURE + _MASK_GAP
    width = columns * pair + (columns - 1) * _MASK_SPACE + 2 * MARGIN
    sheet = Sheet(width=width, height=sum(heights) + MARGIN)
    for index, row in enumerate(rows):
        for column, entry in enumerate(row):
            _draw_pair(sheet, entry, MARGIN + column * (pair + _MASK_SPACE), sum(heights[:index]) + MARGIN)
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
    picture, true = case.pictures([frame])[frame], case.true_masks([frame]).get(frame)
    found = [mask for mask in case.found_masks(frame) if mask.category == category]
    head = top + _MASK_HEAD - 0.14
    edge = _rgb(colour) if found else _NOT_FOUND
    sheet.write(shorten(category, length=44), left, head, size=LARGE, weight="bold", color=edge)
    verdict = f"score {score:.2f}" + ("" if found else ", not found")
    sheet.write(verdict, left + 2 * _MASK_PICTURE + _MASK_GAP, head, size=SMALL, ha="right", color="0.25")
    both = (paint(picture, colours={}, true=true), paint(picture, found=found, colours={category: colour}))
    for place, image in enumerate(both):
        x = left + place * (_MASK_PICTURE + _MASK_GAP)
        sheet.picture(image, (x, top + _MASK_HEAD, _MASK_PICTURE, entry.height))
    where = f"{shorten(case.title, length=60)}, {detection.times[frame]:.1f} s"
    if true is not None and true.any():
        where += "; annotated pixels outlined on the left"
    sheet.write(where, left, top + _MASK_HEAD + entry.height + 0.14, size=SMALL, color="0.35")
