"""Figure 4: the frame score over time with the annotated stretches shaded, and masks at telling moments above it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Patch

from lavida.export.drawing import TRUTH, colours, paint, shorten
from lavida.export.moments import frames_at, stretches, telling_moments
from lavida.export.timeline import score_axes, thin
from lavida.paper.figures.sheet import LARGE, SMALL, Case, Sheet, proportion

_PANEL_WIDTH, _MARGIN, _AXIS_LEFT = 7.2, 0.15, 0.5  # inches
_GAP, _HEAD, _CAPTION, _LINK, _PLOT, _TICKS, _LEGEND = 0.06, 0.3, 0.18, 0.2, 1.15, 0.4, 0.36
_FOOT = _TICKS + _LEGEND
_TRUTH_RGB = tuple(np.array(TRUTH) / 255)
_SHADE = (*_TRUTH_RGB, 0.22)
_MOST_NAMES, _NAME_LENGTH = 5, 20


def draw_scores(cases: Sequence[Case], *, moments: int = 5, at: Sequence[float] = ()) -> Sheet:
    """One panel a video, two side by side.

    Args:
        cases: at least one.
        moments: how many frames are shown of each.
        at: show the frames at these seconds instead of telling ones.

    Raises:
        InputError: a frame cannot be read, or a time of `at` lies outside a video.
    """
    columns = min(2, len(cases))
    heights = [_panel_height(case, count=len(set(at)) or moments) for case in cases]
    rows = [max(heights[first : first + columns]) for first in range(0, len(cases), columns)]
    sheet = Sheet(width=columns * _PANEL_WIDTH + _MARGIN, height=sum(rows) + _MARGIN)
    for place, case in enumerate(cases):
        row, column = divmod(place, columns)
        _draw_panel(sheet, case, column * _PANEL_WIDTH + _MARGIN, sum(rows[:row]) + _MARGIN, moments=moments, at=at)
    return sheet


def _picture_inches(case: Case, *, count: int) -> tuple[float, float]:
    """(width, height) of each of `count` pictures beside each other."""
    width = (_PANEL_WIDTH - _MARGIN - (count - 1) * _GAP) / count
    info = case.source.info
    return width, width * proportion(info.height, info.width)


def _panel_height(case: Case, *, count: int) -> float:
    return _HEAD + _CAPTION + _picture_inches(case, count=count)[1] + _LINK + _PLOT + _FOOT


def _draw_panel(sheet: Sheet, case: Case, left: float, top: float, *, moments: int, at: Sequence[float]) -> None:
    detection, labels = case.detection, case.labels()
    chosen = frames_at(detection, at) if at else telling_moments(detection, labels, count=moments)
    rgb = {name: tuple(np.array(colour) / 255) for name, colour in colours(detection.categories).items()}
    sheet.write(shorten(case.title, length=70), left, top + _HEAD - 0.12, size=LARGE, weight="bold")
    plot_top = top + _panel_height(case, count=len(chosen)) - _PLOT - _FOOT
    plot = sheet.axes((left + _AXIS_LEFT, plot_top, _PANEL_WIDTH - _MARGIN - _AXIS_LEFT, _PLOT))
    _draw_curve(plot, case, labels, rgb)
    for axes, frame in zip(_draw_pictures(sheet, case, chosen, labels, left, top + _HEAD), chosen, strict=True):
        _link(sheet, axes, plot, detection.times[frame], detection.scores[frame])
    _draw_legend(sheet, case, rgb, left, plot_top + _PLOT + _TICKS, annotated=labels is not None)


def _draw_pictures(
    sheet: Sheet, case: Case, chosen: Sequence[int], labels: np.ndarray | None, left: float, top: float
) -> list[Axes]:
    width, height = _picture_inches(case, count=len(chosen))
    pictures, true = case.pictures(chosen), case.true_masks(chosen)
    palette = colours(case.detection.categories)
    drawn = []
    for place, frame in enumerate(chosen):
        image = paint(pictures[frame], found=case.found_masks(frame), colours=palette, true=true.get(frame))
        abnormal = labels is not None and labels[frame]
        x = left + place * (width + _GAP)
        edge, line = (_TRUTH_RGB, 1.6) if abnormal else ("0.75", 0.6)
        drawn.append(sheet.picture(image, (x, top + _CAPTION, width, height), edge=edge, line=line))
        said = f"{case.detection.times[frame]:.1f} s   score {case.detection.scores[frame]:.2f}"
        sheet.write(said, x + width / 2, top + _CAPTION - 0.05, size=SMALL, ha="center")
    return drawn


def _draw_curve(axes: Axes, case: Case, labels: np.ndarray | None, rgb: dict) -> None:
    detection = case.detection
    times, end = detection.times, detection.end_s
    score_axes(axes, start=float(times[0]), end=end, most_ticks=10)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylim(0, 1.12)
    axes.tick_params(labelsize=SMALL)
    axes.xaxis.label.set_size(SMALL)
    axes.yaxis.label.set_size(SMALL)
    ends = np.append(times, end)
    for first, stop in [] if labels is None else stretches(labels):
        axes.axvspan(times[first], ends[stop], facecolor=_SHADE, edgecolor="none", zorder=1)
    axes.axhline(detection.threshold, color="0.45", lw=0.8, ls="--", zorder=2)
    axes.plot(*thin(times, detection.scores), color="0.1", lw=1.3, zorder=4, solid_joinstyle="round")
    for event in detection.events():  # a bar above the curve, so that it does not hide the truth below
        axes.fill_between([event.start_s, event.end_s], 1.06, 1.12, color=rgb[event.category], lw=0, zorder=5)


def _link(sheet: Sheet, picture: Axes, plot: Axes, second: float, score: float) -> None:
    line = ConnectionPatch(
        (0.5, 0), (second, score), "axes fraction", "data", axesA=picture, axesB=plot, color="0.55", lw=0.7, zorder=3
    )
    sheet.figure.add_artist(line)
    plot.plot(second, score, "o", color="0.1", ms=3.2, zorder=6, clip_on=False)


def _draw_legend(sheet: Sheet, case: Case, rgb: dict, left: float, top: float, *, annotated: bool) -> None:
    """What the colours mean, and what was not found."""
    detection = case.detection
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
    axes = sheet.axes((left + _AXIS_LEFT, top, _PANEL_WIDTH - _MARGIN - _AXIS_LEFT, _LEGEND))
    axes.set_axis_off()
    legend = axes.legend(
        [handle for handle, _ in entries], ["x"] * len(entries), ncols=min(len(entries), 5), loc="upper center",
        bbox_to_anchor=(0.5, 1), borderaxespad=0, borderpad=0, frameon=False, fontsize=SMALL, handlelength=1.4,
        columnspacing=1.4, labelspacing=0.25,
    )  # fmt: skip
    for text, (_, name) in zip(legend.get_texts(), entries, strict=True):
        text.set(text=name, parse_math=False)
