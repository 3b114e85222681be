"""A result beside the published rows and beside other results on the same benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lavida.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A row of a paper's table.

    Attributes:
        method: as the paper calls it.
        training: the training regime, in the paper's words.
        metrics: key of `metrics.json` -> value in percent, as printed.
        source: the table it was read from.
    """

    method: str
    training: str
    metrics: Mapping[str, float]
    source: str


def _ped2(method: str, training: str, pixel_auc: float) -> PublishedRow:
    source = "Table 2 of the LAVIDA paper"
    return PublishedRow(method=method, training=training, metrics={"pixel_auc": pixel_auc}, source=source)


PUBLISHED: dict[str, tuple[PublishedRow, ...]] = {
    "ucsd-ped2": (
        _ped2("AdaCLIP", "finetune", 53.06),
        _ped2("AnomalyCLIP", "finetune", 54.25),
        _ped2("DDAD", "supervised", 55.87),
        _ped2("SimpleNet", "supervised", 52.49),
        _ped2("DRAEM", "supervised", 69.58),
        _ped2("TAO", "finetune", 75.11),
        _ped2("LAVIDA (paper)", "zero-shot", 87.68),
    ),
}

_HEADINGS = {
    "pixel_auc": "pixel\nAUC",
    "pixel_ap": "pixel\nAP",
    "frame_auc_micro": "frame\nmicro\nAUC",
    "frame_auc_macro": "frame\nmacro\nAUC",
    "frame_ap": "frame\nAP",
    "rbdc": "RBDC",
    "tbdc": "TBDC",
}
_TRAINING = {"baseline": "none", "detector": "zero-shot"}


def comparison_table(result: Mapping[str, Any], *, siblings: Sequence[Path] = ()) -> Table:
    """Published rows, results found in `siblings`, and last this result; values in percent.

    Args:
        result: what `evaluate` returned.
        siblings: paths of other `metrics.json`; those of another benchmark are left out.

    Raises:
        InputError: a sibling cannot be read as a result.
    """
    benchmark = result["benchmark"]
    published = PUBLISHED.get(benchmark, ())
    others = [other for other in map(_read, siblings) if other["benchmark"] == benchmark]
    measured = [*others, result]
    keys = [k for k in _HEADINGS if _shown(k, [row.metrics for row in published], measured)]

    caption = _caption(published, measured)
    table = Table(title=f"{benchmark} (%)", caption=caption, box=box.SIMPLE_HEAD, padding=0)
    table.add_column("method", overflow="fold", min_width=19)  # a model may be a long path
    for heading in ("training", "protocol", "videos"):
        table.add_column(heading, no_wrap=True)
    for key in keys:
        table.add_column(_HEADINGS[key], justify="right", no_wrap=True)
    for row in published:
        table.add_row(row.method, row.training, "paper", "-", *(_percent(row.metrics.get(k)) for k in keys))
    for other in others:
        table.add_row(*_measured_cells(other, keys))
    table.add_section()
    table.add_row(*_measured_cells(result, keys), style="bold")
    return table


def print_comparison(result: Mapping[str, Any], *, siblings: Sequence[Path] = (), file: TextIO | None = None) -> None:
    """Prints `comparison_table` to stdout, or to the file given; whole, however narrow the terminal is."""
    console = Console(file=file)
    table = comparison_table(result, siblings=siblings)
    needed = console.measure(table, options=console.options.update(width=1000)).minimum
    console.width = max(console.width, needed)
    console.print(table)


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(Path(path).read_text())
        result["benchmark"], result["settings"]["scorer"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a result: {path}; give the metrics.json of an evaluation") from error
    return result


def _shown(key: str, published: Iterable[Mapping[str, float]], measured: Iterable[Mapping[str, Any]]) -> bool:
    return any(row.get(key) is not None for row in (*published, *measured))


def _measured_cells(result: Mapping[str, Any], keys: Iterable[str]) -> list[Text | str]:
    settings = result["settings"]
    return [
        Text(_described(result)),  # a model's path may hold brackets, which are markup to rich
        _TRAINING[settings["scorer"]],
        result["protocol"],
        f"{result['videos']}/{settings['official_videos']}",
        *(_percent(None if result.get(k) is None else 100 * result[k]) for k in keys),
    ]


def _described(result: Mapping[str, Any]) -> str:
    """The model, and how it was handicapped, if it was."""
    settings = result["settings"]
    words = [] if settings.get("own_categories", True) else ["asked for " + ", ".join(settings["categories"])]
    still = ["without motion"] if settings.get("motion") is False and settings["scorer"] == "detector" else []
    return ", ".join([result["model"], *still, *words])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _is_partial(result: Mapping[str, Any]) -> bool:
    settings = result["settings"]
    return result["videos"] < settings["official_videos"] or bool(settings["notes"])


def _caption(published: Sequence[PublishedRow], measured: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    if sources := sorted({row.source for row in published}):
        lines.append(f"Paper rows: {', '.join(sources)}.")
    if any(_is_partial(row) for row in measured):
        lines.append("A row on a part of the benchmark is not comparable with the others.")
    if any(row["settings"]["scorer"] == "baseline" for row in measured):
        lines.append("Training none: a trivial baseline.")
    return " ".join(lines)
