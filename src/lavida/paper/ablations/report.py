"""The tables of studies, trained or changed at inference, as Markdown and as charts, from what `<study>.json` holds."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lavida.evaluation.metrics import METRICS
from lavida.files import atomic_file
from lavida.paper.ablations.studies import DEFAULT

Content = Mapping[str, Any]  # of `<study>.json`: `series.summary`, or that of `trained.ablate_trained`

HEADINGS = {"auc": "mean AUC", "mask_iou": "mask IoU", "category_accuracy": "right category"}
MASK_HEADINGS = {"boundary_f": "boundary F", "parts": "parts of a mask"}
PED2_HEADINGS = {"ped2.pixel_auc": "Ped2 pixel AUC", "ped2.frame_auc": "Ped2 frame AUC"}
# of a trained model on a benchmark: the frame AUC is micro where nothing else is said
HEADINGS_ON_BENCHMARK = {key: name.replace(", micro", "").replace(",", "") for key, name in METRICS.items()}
SURE = 2  # standard errors that a difference must exceed
NONE = "-"
COSTS = {
    "kept_tokens": "visual tokens",
    "cache_bytes": "key-value cache",
    "attention_macs": "attention operations",
    "semantics_ms": "time of the semantics stage",
}
PANEL_IN, DPI = (5.0, 4.2), 110


def markdown(content: Content) -> str:
    """The table of a `summary`, with its budget, its noise and the paper's rows."""
    rows, paper = content["rows"], content["paper"] or {"columns": ()}
    present = dict.fromkeys(key for row in rows for key in row["metrics"])
    columns = {key: f"{key.removeprefix('auc.')} AUC" for key in present if key.startswith("auc.")} | HEADINGS
    further = PED2_HEADINGS | (MASK_HEADINGS if content["further"] else {})
    columns |= {key: heading for key, heading in further.items() if key in present}
    head = [f"`{content['key']}`" if content["key"] else "row", "seeds", *columns.values()]
    head.insert(head.index(HEADINGS["auc"]) + 1, "less the default")
    head += [f"paper: {column} (%)" for column in paper["columns"]]
    body = []
    for row in rows:
        cells = [row["label"], str(len(row["seeds"]))]
        for key in columns:
            cells.append(_value(row["metrics"].get(key)))
            if key == "auc":
                cells.append(_versus(row["versus_default"]))
        body.append([*cells, *map(_number, row["paper"] or (None,) * len(paper["columns"]))])
    return _render(content, head, body)


def trained_markdown(content: Content) -> str:
    """The table of a trained model in percent, with what each row costs and what it was measured on."""
    keys = measured_metrics(content)
    head = ["ratio" if is_curve(content) else "row", *(HEADINGS_ON_BENCHMARK[key] for key in keys)]
    body = [[row["label"], *(_number(row["metrics"].get(key), scale=100) for key in keys)] for row in content["rows"]]
    return _render(content, head, body)


def is_curve(content: Content) -> bool:
    """Whether the rows of a trained model lie on an axis."""
    return all(row["level"] is not None for row in content["rows"])


def measured_metrics(content: Content) -> list[str]:
    """Those that any row of a trained model has."""
    return [key for key in HEADINGS_ON_BENCHMARK if any(key in row["metrics"] for row in content["rows"])]


def _render(content: Content, head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    environment = Environment(  # Markdown, not HTML: nothing is escaped
        loader=PackageLoader("lavida", "paper/ablations"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("table.md.jinja").render(content, head=head, body=body, sure=SURE)


def _number(value: float | None, *, scale: int = 1) -> str:
    return NONE if value is None else f"{scale * value:.2f}"


def _value(statistics: Mapping[str, Any] | None) -> str:
    if statistics is None:
        return NONE
    return f"{statistics['mean']:.3f}" + ("" if statistics["std"] is None else f" ± {statistics['std']:.3f}")


def _versus(difference: Mapping[str, Any] | None) -> str:
    return NONE if difference is None else f"{difference['auc']:+.3f}{'' if difference['clear'] is not False else ' ~'}"


def write_table(stem: Path, content: Content, *, text: str, draw: Callable[[Content, Path], None]) -> Path:
    """Write `.png`, `.md` and `.json` beside each other, none of them half; the path of the second.

    Raises:
        InputError: they cannot be written.
    """
    with atomic_file(stem.with_suffix(".png")) as path:
        draw(content, path)
    with atomic_file(stem.with_suffix(".md")) as path:
        path.write_text(text, encoding="utf-8")
    with atomic_file(stem.with_suffix(".json")) as path:
        path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return stem.with_suffix(".md")


def draw(content: Content, path: Path) -> None:
    """Draw a `summary` to a PNG file."""
    title = f"{content['title']} ({content['budget']['steps']} steps a row)"
    _draw_panels(content, path, [_draw_auc, _draw_means], title)


def draw_trained(content: Content, path: Path) -> None:
    """Draw to a PNG file: for compression metrics and costs (Figure 7), else what each row gains or loses."""
    asked = content["asked"]
    title = f"{asked['model']} on {asked['benchmark']}, protocol {asked['protocol']['name']}"
    _draw_panels(content, path, [_draw_metrics], title, fontsize=10)


def _draw_panels(
    content: Content, path: Path, panels: Sequence[Callable[[Axes, Content], None]], title: str, **style: Any
) -> None:
    panels = [*panels, _draw_costs] if content["costs"] else panels
    figure = Figure(figsize=(PANEL_IN[0] * max(len(panels), 1.4), PANEL_IN[1]), dpi=DPI, layout="constrained")
    figure.suptitle(title, **style)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel(axes, content)
    figure.savefig(path, format="png")


def _draw_auc(axes: Axes, content: Content) -> None:
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


def _draw_means(axes: Axes, content: Content) -> None:
    rows = content["rows"]
    for key, label in {"mask_iou": "mask IoU", "category_accuracy": "right category"}.items():
        axes.plot(_means(rows, key), linestyle=_line(content), marker="o", label=label)
    _name_rows(axes, rows)
    axes.set(ylim=(0, 1), ylabel="held-out pictures")
    _legend(axes, fontsize=8, ncols=2)


def _draw_metrics(axes: Axes, content: Content) -> None:
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


def _draw_costs(axes: Axes, content: Content) -> None:
    """Each cost over the compression ratio, as a share of that without compression (Figure 7b)."""
    costs = content["costs"]
    whole = max(costs, key=lambda cost: cost["ratio"])
    ratios = [cost["ratio"] for cost in costs]
    for key, label in COSTS.items():
        axes.plot(ratios, [cost[key] / whole[key] for cost in costs], marker="o", label=label)
    axes.set(ylim=(0, None), xlabel="compression ratio", ylabel=f"share of ratio {whole['ratio']:g}")
    _legend(axes, ncols=2)


def _legend(axes: Axes, *, fontsize: int = 7, ncols: int = 4) -> None:
    axes.legend(frameon=False, fontsize=fontsize, ncols=ncols, loc="lower center", bbox_to_anchor=(0.5, 1))


def _line(content: Content) -> str:
    """Levels that can be ordered are joined by a line; parts and kinds are not."""
    return "-" if all(isinstance(row["level"], (int, float)) for row in content["rows"]) else "none"


def _means(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Of each row; NaN, a gap in the line, where it was not measured."""
    return [float("nan") if (one := row["metrics"].get(key)) is None else one["mean"] for row in rows]


def _name_rows(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xticks(range(len(rows)), [row["label"] for row in rows], rotation=25, ha="right")
