"""Table and chart of an ablation of a trained model: for compression the two curves of the paper's Figure 7."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lavida.ablations.chart import DPI, PANEL_IN, draw_costs, name_rows
from lavida.ablations.report import NONE, cost_table, table

METRICS = {
    "frame_auc_micro": "frame AUC",
    "frame_auc_macro": "frame AUC macro",
    "frame_ap": "frame AP",
    "pixel_auc": "pixel AUC",
    "pixel_ap": "pixel AP",
    "rbdc": "RBDC",
    "tbdc": "TBDC",
}


def markdown(content: Mapping[str, Any]) -> str:
    """The table, in percent, with what each row costs and what it was measured on."""
    rows = content["rows"]
    keys = _measured(content)
    head = ["ratio" if _is_curve(content) else "row", *(METRICS[key] for key in keys)]
    body = [[row["label"], *(_percent(row["metrics"].get(key)) for key in keys)] for row in rows]
    parts = [f"# {content['title']}", table(head, body)]
    if content["costs"]:
        parts.append(cost_table(content["costs"]))
    return "\n\n".join([*parts, *_remarks(content)]) + "\n"


def draw(content: Mapping[str, Any], path: Path) -> None:
    """Draw to a PNG file: for compression metrics and costs (Figure 7), else what each row gains or loses."""
    asked, panels = content["asked"], 2 if content["costs"] else 1
    figure = Figure(figsize=(PANEL_IN[0] * max(panels, 1.4), PANEL_IN[1]), dpi=DPI, layout="constrained")
    figure.suptitle(f"{asked['model']} on {asked['benchmark']}, protocol {asked['protocol']['name']}", fontsize=10)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_metrics(axes[0], content)
    if content["costs"]:
        draw_costs(axes[1], content["costs"])
    figure.savefig(path, format="png")


def _draw_metrics(axes: Axes, content: Mapping[str, Any]) -> None:
    rows, curve = content["rows"], _is_curve(content)
    places = [row["level"] for row in rows] if curve else list(range(len(rows)))
    for key in _measured(content):
        values = np.array([100 * row["metrics"].get(key, float("nan")) for row in rows])
        values = values if curve else values - values[0]
        axes.plot(places, values, linestyle="-" if curve else "none", marker="o", label=METRICS[key])
    if curve:
        axes.set(xlabel="compression ratio", ylabel="%")
    else:
        name_rows(axes, rows)
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axes.margins(x=0.15)
        axes.set_ylabel(f"points beside {rows[0]['label']}")
    axes.grid(axis="y", color="0.92")
    axes.legend(frameon=False, fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))


def _is_curve(content: Mapping[str, Any]) -> bool:
    return all(row["level"] is not None for row in content["rows"])


def _measured(content: Mapping[str, Any]) -> list[str]:
    return [key for key in METRICS if any(key in row["metrics"] for row in content["rows"])]


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.2f}"


def _remarks(content: Mapping[str, Any]) -> list[str]:
    asked, first, paper = content["asked"], content["rows"][0], content["paper"]
    choices = ", ".join(f"{key} {value}" for key, value in asked["protocol"].items() if key != "name")
    remarks = [
        f"{asked['model']} on {asked['benchmark']}, {first['videos']} of {first['official_videos']} videos, in %. "
        "Nothing was trained for a row: it says what these weights rely on, not what a model trained so could do.",
        f"Protocol {asked['protocol']['name']}: {choices}.",
    ]
    if first["notes"]:
        remarks.append(f"The benchmark's folder: {'; '.join(first['notes'])}.")
    if paper:
        remarks.append(f"The paper ({paper['source']}), on a 7B language model: {paper['note']}.")
    if content["not_run"]:
        remarks.append(f"Not run: {', '.join(content['not_run'])}.")
    return remarks
