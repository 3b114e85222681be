"""The files of a study's table: its chart (accuracy over the rows, what compression saves), Markdown and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lavida.errors import mendable
from lavida.paper.ablations.report import HEADINGS_ON_BENCHMARK, is_curve, measured_metrics
from lavida.paper.ablations.studies import DEFAULT

PANEL_IN, DPI = (5.0, 4.2), 110
COSTS = {
    "kept_tokens": "visual tokens",
    "cache_bytes": "key-value cache",
    "attention_macs": "attention operations",
    "semantics_ms": "time of the semantics stage",
}


def write_table(
    stem: Path, content: Mapping[str, Any], *, text: str, draw: Callable[[Mapping[str, Any], Path], None]
) -> Path:
    """Write `.png`, `.md` and, never half of it, `.json` beside each other; the path of the second.

    Raises:
        InputError: they cannot be written.
    """
    with mendable(stem.parent):
        stem.parent.mkdir(parents=True, exist_ok=True)
        draw(content, stem.with_suffix(".png"))
        stem.with_suffix(".md").write_text(text, encoding="utf-8")
        partial = stem.with_name(f".{stem.name}.json")
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, stem.with_suffix(".json"))
    return stem.with_suffix(".md")


def draw(content: Mapping[str, Any], path: Path) -> None:
    """Draw a `summary` to a PNG file."""
    panels = 3 if content["costs"] else 2
    figure = Figure(figsize=(PANEL_IN[0] * panels, PANEL_IN[1]), dpi=DPI, layout="constrained")
    figure.suptitle(f"{content['title']} ({content['budget']['steps']} steps a row)")
    axes = figure.subplots(1, panels)
    _draw_auc(axes[0], content)
    _draw_means(axes[1], content)
    if content["costs"]:
        _draw_costs(axes[2], content["costs"])
    figure.savefig(path, format="png")


def draw_trained(content: Mapping[str, Any], path: Path) -> None:
    """Draw to a PNG file: for compression metrics and costs (Figure 7), else what each row gains or loses."""
    asked, panels = content["asked"], 2 if content["costs"] else 1
    figure = Figure(figsize=(PANEL_IN[0] * max(panels, 1.4), PANEL_IN[1]), dpi=DPI, layout="constrained")
    figure.suptitle(f"{asked['model']} on {asked['benchmark']}, protocol {asked['protocol']['name']}", fontsize=10)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_metrics(axes[0], content)
    if content["costs"]:
        _draw_costs(axes[1], content["costs"])
    figure.savefig(path, format="png")


def _draw_auc(axes: Axes, content: Mapping[str, Any]) -> None:
    """Frame AUC of each set, their mean with every seed as a point, and the default's spread as a band."""
    rows, style = content["rows"], _line(content)
    sets = dict.fromkeys(key for row in rows for key in row["metrics"] if key.startswith("auc."))
    for key, marker in zip(sets, cycle("v^<>sDpX"), strict=False):
        name = key.removeprefix("auc.")
        axes.plot(_means(rows, key), linestyle=style, color="0.65", linewidth=0.8, marker=marker, label=name)
    axes.plot(_means(rows, "auc"), linestyle=style, color="C0", linewidth=2, marker="_", markersize=12, label="mean")
    for place, row in enumerate(rows):
        values = (row["metrics"].get("auc") or {"values": []})["values"]
        axes.plot([place] * len(values), values, "o", color="C3" if row["row"] == DEFAULT else "C0", zorder=3)
    if content["noise"]:
        values = content["noise"]["auc"]
        axes.axhspan(min(values), max(values), color="C3", alpha=0.15, label="default, its seeds")
    _name_rows(axes, rows)
    axes.set_ylabel("frame AUC, held-out pictures")
    _legend(axes)


def _draw_means(axes: Axes, content: Mapping[str, Any]) -> None:
    rows = content["rows"]
    for key, label in {"mask_iou": "mask IoU", "category_accuracy": "right category"}.items():
        axes.plot(_means(rows, key), linestyle=_line(content), marker="o", label=label)
    _name_rows(axes, rows)
    axes.set(ylim=(0, 1), ylabel="held-out pictures")
    _legend(axes, fontsize=8, ncols=2)


def _draw_metrics(axes: Axes, content: Mapping[str, Any]) -> None:
    rows, curve = content["rows"], is_curve(content)
    places = [row["level"] for row in rows] if curve else list(range(len(rows)))
    for key in measured_metrics(content):
        values = np.array([100 * row["metrics"].get(key, float("nan")) for row in rows])
        values = values if curve else values - values[0]
        axes.plot(places, values, linestyle="-" if curve else "none", marker="o", label=HEADINGS_ON_BENCHMARK[key])
    if curve:
        axes.set(xlabel="compression ratio", ylabel="%")
    else:
        _name_rows(axes, rows)
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.margins(x=0.15)
        axes.set_ylabel(f"points beside {rows[0]['label']}")
    axes.grid(axis="y", color="0.92")
    _legend(axes)


def _draw_costs(axes: Axes, costs: Sequence[Mapping[str, Any]]) -> None:
    """Each cost over the compression ratio, as a share of that without compression (Figure 7b)."""
    whole = max(costs, key=lambda cost: cost["ratio"])
    ratios = [cost["ratio"] for cost in costs]
    for key, label in COSTS.items():
        axes.plot(ratios, [cost[key] / whole[key] for cost in costs], marker="o", label=label)
    axes.set(ylim=(0, None), xlabel="compression ratio", ylabel=f"share of ratio {whole['ratio']:g}")
    _legend(axes, ncols=2)


def _legend(axes: Axes, *, fontsize: int = 7, ncols: int = 4) -> None:
    axes.legend(frameon=False, fontsize=fontsize, ncols=ncols, loc="lower center", bbox_to_anchor=(0.5, 1))


def _line(content: Mapping[str, Any]) -> str:
    """Levels that can be ordered are joined by a line; parts and kinds are not."""
    return "-" if all(isinstance(row["level"], (int, float)) for row in content["rows"]) else "none"


def _means(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Of each row; NaN, a gap in the line, where it was not measured."""
    return [float("nan") if (one := row["metrics"].get(key)) is None else one["mean"] for row in rows]


def _name_rows(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xticks(range(len(rows)), [row["label"] for row in rows], rotation=25, ha="right")
