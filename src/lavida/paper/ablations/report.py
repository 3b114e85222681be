"""The tables of studies, trained or changed at inference: plain data for `<study>.json`, and from that Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from lavida import __version__
from lavida.evaluation.metrics import METRICS
from lavida.paper.ablations.studies import DEFAULT, Row, Study
from lavida.training.recipe import Recipe

HEADINGS = {"auc": "mean AUC", "mask_iou": "mask IoU", "category_accuracy": "right category"}
PED2_HEADINGS = {"ped2.pixel_auc": "Ped2 pixel AUC", "ped2.frame_auc": "Ped2 frame AUC"}
# of a trained model on a benchmark: the frame AUC is micro where nothing else is said
HEADINGS_ON_BENCHMARK = {key: name.replace(", micro", "").replace(",", "") for key, name in METRICS.items()}
SURE = 2  # standard errors that a difference must exceed
NONE = "-"


@dataclass(frozen=True)
class Measured:
    """A row and the results of its finished runs, one a seed (`Runs.result`)."""

    row: Row
    results: Sequence[Mapping[str, Any]]

    def values(self, metric: str) -> list[float]:
        return [v for result in self.results if (v := result["metrics"].get(metric)) is not None]


def summary(
    study: Study, measured: Sequence[Measured], *, recipe: Recipe, costs: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any]:
    """Everything that a table says.

    Args:
        study: what was varied.
        measured: its rows in order, one or more with results; those without are listed as not run.
        recipe: of the default row: the budget.
        costs: of the compression ratios (`compression_costs`), or None.
    """
    default = next((each for each in measured if each.row.name == DEFAULT), None)
    done = [each for each in measured if each.results]
    budget, paper, first = recipe.train, study.published, done[0].results[0]
    return {
        "study": study.name,
        "title": study.title,
        "key": study.key or None,
        "remark": study.remark,
        "lavida": __version__,
        "budget": {
            "steps": budget.steps,
            "batch_size": budget.batch_size,
            "size": list(recipe.data.size),
            "learning_rate": budget.learning_rate,
        },
        "held_out": {
            "most_pictures": first["pictures"],
            "prompts": {name: values["prompts"] for name, values in first["sets"].items()},
        },
        "noise": None if default is None else _noise(default),
        "rows": [_row(each, default, study) for each in done],
        "not_run": [each.row.name for each in measured if not each.results],
        "costs": None if costs is None else list(costs),
        "paper": None if paper is None else {"source": paper.source, "columns": paper.columns, "note": paper.note},
    }


def markdown(content: Mapping[str, Any]) -> str:
    """The table of a `summary`, with its budget, its noise and the paper's rows."""
    return _page(content, _rows_table(content), _remarks(content))


def trained_markdown(content: Mapping[str, Any]) -> str:
    """The table of a trained model in percent, with what each row costs and what it was measured on."""
    keys = measured_metrics(content)
    head = ["ratio" if is_curve(content) else "row", *(HEADINGS_ON_BENCHMARK[key] for key in keys)]
    cells = [[row["metrics"].get(key) for key in keys] for row in content["rows"]]
    body = [
        [row["label"], *(NONE if value is None else f"{100 * value:.2f}" for value in values)]
        for row, values in zip(content["rows"], cells, strict=True)
    ]
    return _page(content, _table(head, body), _trained_remarks(content))


def is_curve(content: Mapping[str, Any]) -> bool:
    """Whether the rows of a trained model lie on an axis."""
    return all(row["level"] is not None for row in content["rows"])


def measured_metrics(content: Mapping[str, Any]) -> list[str]:
    """Those that any row of a trained model has."""
    return [key for key in HEADINGS_ON_BENCHMARK if any(key in row["metrics"] for row in content["rows"])]


def _page(content: Mapping[str, Any], rows: str, remarks: Sequence[str]) -> str:
    costs = [_cost_table(content["costs"])] if content["costs"] else []
    not_run = [f"Not run: {', '.join(content['not_run'])}."] if content["not_run"] else []
    return "\n\n".join([f"# {content['title']}", rows, *costs, *remarks, *not_run]) + "\n"


def _row(measured: Measured, default: Measured | None, study: Study) -> dict[str, Any]:
    row, paper = measured.row, study.published
    metrics = dict.fromkeys(key for result in measured.results for key in result["metrics"])
    return {
        "row": row.name,
        "label": row.label,
        "level": row.level,
        "changes": dict(row.changes),
        "seeds": [result["seed"] for result in measured.results],
        "metrics": {key: _statistics(measured.values(key)) for key in metrics},
        "versus_default": None if default is None or row.name == DEFAULT else _difference(measured, default),
        "paper": None if paper is None else paper.rows.get(row.level),
    }


def _statistics(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None, "values": list(values)}


def _noise(default: Measured) -> dict[str, Any] | None:
    """How far the default row is from itself with another seed; None with fewer than two seeds."""
    values = default.values("auc")
    if len(values) < 2:
        return None
    seeds = [result["seed"] for result in default.results]
    return {"seeds": seeds, "auc": values, "std": stdev(values), "range": max(values) - min(values)}


def _difference(measured: Measured, default: Measured) -> dict[str, Any] | None:
    """Mean AUC less the default's, its standard error from the default's spread, and whether it stands out."""
    own, other = measured.values("auc"), default.values("auc")
    if not own or not other:
        return None
    difference = fmean(own) - fmean(other)
    error = stdev(other) * math.sqrt(1 / len(own) + 1 / len(other)) if len(other) > 1 else None
    clear = None if error is None else abs(difference) > SURE * error
    return {"auc": difference, "standard_error": error, "clear": clear}


def _rows_table(content: Mapping[str, Any]) -> str:
    rows, paper = content["rows"], content["paper"] or {"columns": ()}
    present = dict.fromkeys(key for row in rows for key in row["metrics"])
    columns = {key: f"{key.removeprefix('auc.')} AUC" for key in present if key.startswith("auc.")} | HEADINGS
    columns |= {key: heading for key, heading in PED2_HEADINGS.items() if key in present}
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
        numbers = row["paper"] or (None,) * len(paper["columns"])
        body.append([*cells, *(NONE if number is None else f"{number:.2f}" for number in numbers)])
    return _table(head, body)


def _cost_table(costs: Sequence[Mapping[str, Any]]) -> str:
    """`compression_costs`, with what the numbers are."""
    head = ["ratio", f"kept of {costs[0]['visual_tokens']} visual tokens", "tokens read", "key-value cache (kB)"]
    head += ["attention (million multiply-adds)", "semantics stage (ms)"]
    body = [
        [
            f"{cost['ratio']:g}",
            str(cost["kept_tokens"]),
            str(cost["sequence"]),
            f"{cost['cache_bytes'] / 1000:.1f}",
            f"{cost['attention_macs'] / 1e6:.2f}",
            f"{cost['semantics_ms']:.1f}",
        ]
        for cost in costs
    ]
    return (
        f"{_table(head, body)}\n\n"
        "One clip: tokens as they are; cache (half precision) and attention of the language model's prefill from "
        "shapes; time measured, median of the vision tower, compression and the prefill together."
    )


def _remarks(content: Mapping[str, Any]) -> list[str]:
    budget, noise, paper, asked = content["budget"], content["noise"], content["paper"], content["held_out"]
    height, width = budget["size"]
    prompts = ", ".join(f"{name} {count}" for name, count in asked["prompts"].items())
    remarks = [
        f"Budget of a row: {budget['steps']} steps of {budget['batch_size']} pictures at {height}x{width}, learning "
        f"rate {budget['learning_rate']:g}, no calibration; far from converged, so rows say what helps early. "
        f"Held-out exposure test with at most {asked['most_pictures']} pictures of a set; prompts: {prompts}."
    ]
    if noise:
        seeds, aucs = (", ".join(map(form, noise[k])) for k, form in (("seeds", str), ("auc", "{:.3f}".format)))
        remarks.append(
            f"Noise: the default row with seeds {seeds} has a mean AUC of {aucs} (range {noise['range']:.3f}, "
            f"standard deviation {noise['std']:.3f}). A difference marked ~ is below {SURE} standard errors made of "
            f"that, which {len(noise['auc'])} seeds can only hint at."
        )
    else:
        remarks.append("Noise: unknown, the default row has fewer than two seeds. Read no difference as an effect.")
    if paper:
        what = "are the paper's" if paper["columns"] else f"says: {paper['note']}"
        where = f"columns marked paper ({paper['source']})" if paper["columns"] else f"{paper['source']} of the paper"
        remarks.append(
            f"Reference, of another scale (a 7B language model on video benchmarks, not this model on held-out "
            f"pictures): {where} {what}."
        )
    return [*remarks, content["remark"]] if content["remark"] else remarks


def _trained_remarks(content: Mapping[str, Any]) -> list[str]:
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
    return remarks


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _value(statistics: Mapping[str, Any] | None) -> str:
    if statistics is None:
        return NONE
    return f"{statistics['mean']:.3f}" + ("" if statistics["std"] is None else f" ± {statistics['std']:.3f}")


def _versus(difference: Mapping[str, Any] | None) -> str:
    return NONE if difference is None else f"{difference['auc']:+.3f}{'' if difference['clear'] is not False else ' ~'}"
