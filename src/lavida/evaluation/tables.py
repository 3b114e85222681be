"""A result beside the published rows and beside other results on the same benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lavida.console import tell
from lavida.errors import InputError
from lavida.paper.published import PUBLISHED, PublishedRow

_HEADINGS = {
    "pixel_auc": "pixel\nAUC",
    "pixel_ap": "pixel\nAP",
    "frame_auc_micro": "frame\nmicro\nAUC",
    "frame_auc_macro": "frame\nmacro\nAUC",
    "frame_ap": "frame\nAP",
    "rbdc": "RBDC",
    "tbdc": "TBDC",
}
_RESULT, _SETTINGS = {"benchmark", "model", "protocol", "videos"}, {"scorer", "official_videos", "notes"}
_TRAINING = {"baseline": "none", "detector": "zero-shot"}


def sibling_results(folder: Path) -> list[Path]:
    """The `metrics.json` of the result folders beside this one; files of this name that others wrote are none."""
    own = folder.resolve()
    return sorted(path for path in own.parent.glob("*/metrics.json") if path.parent != own and _is_result(path))


def comparison_table(result: Mapping[str, Any], *, siblings: Sequence[Path] = ()) -> Table:
    """Published rows, then results found in `siblings`, baselines first, and last this result; values in percent.

    Args:
        result: what `evaluate` returned.
        siblings: paths of other `metrics.json`; those of another benchmark are left out.

    Raises:
        InputError: a sibling cannot be read as a result.
    """
    benchmark = result["benchmark"]
    published = PUBLISHED.get(benchmark, ())
    others = [other for other in map(_read, siblings) if other["benchmark"] == benchmark]
    others.sort(key=lambda other: other["settings"]["scorer"] != "baseline")
    measured = [*others, result]
    headline = result["settings"].get("headline")
    keys = [k for k in _HEADINGS if _shown(k, [row.metrics for row in published], measured)]
    keys.sort(key=lambda key: key != headline)

    caption = _caption(published, measured, headline=headline)
    table = Table(title=f"{benchmark} (%)", caption=caption, box=box.SIMPLE_HEAD, padding=0)
    table.add_column("method", overflow="fold", min_width=19)  # a model may be a long path
    table.add_column("training", no_wrap=True)
    table.add_column("protocol", overflow="fold", min_width=len("lavida-upstream"))  # a custom one lists its changes
    table.add_column("videos", no_wrap=True)
    for key in keys:
        table.add_column(_HEADINGS[key] + "*" * (key == headline), justify="right", no_wrap=True)
    for row in published:
        method = f"{row.method}, {row.venue}" if row.venue else row.method
        table.add_row(method, row.training, "paper", "-", *(_percent(row.metrics.get(k)) for k in keys))
    table.add_section()
    for other in others:
        table.add_row(*_measured_cells(other, keys))
    table.add_section()
    table.add_row(*_measured_cells(result, keys), style="bold")
    return table


def print_comparison(result: Mapping[str, Any], *, siblings: Sequence[Path] = (), file: TextIO | None = None) -> None:
    """Prints `comparison_table` and the protocol to stdout, or to the file; whole, however narrow the terminal is."""
    console = Console(file=file)
    table = comparison_table(result, siblings=siblings)
    needed = console.measure(table, options=console.options.update(width=1000)).minimum
    console.width = max(console.width, needed)
    with console.capture() as printed:  # a reader who goes in the middle of it does not end the command
        console.print(table)
        console.print(protocol_line(result), markup=False, highlight=False)
    if file is None:
        tell(printed.get().rstrip("\n"))
    else:
        file.write(printed.get())


def protocol_line(result: Mapping[str, Any]) -> str:
    """The name of the protocol and each of its choices, as `--set` takes them."""
    choices = {key: value for key, value in result["settings"].get("protocol", {}).items() if key != "name"}
    said = (
        f"{key}={'x'.join(map(str, value)) if isinstance(value, list) else value}" for key, value in choices.items()
    )
    return f"Protocol {result['protocol']}: {' '.join(said)}"


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(Path(path).read_text())
        if not (_RESULT <= result.keys() and _SETTINGS <= result["settings"].keys()):
            raise ValueError("no result of an evaluation")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"not a result: {path}; give the metrics.json of an evaluation") from error
    return result


def _is_result(path: Path) -> bool:
    try:
        _read(path)
    except InputError:
        return False
    return True


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


def _caption(published: Sequence[PublishedRow], measured: Sequence[Mapping[str, Any]], *, headline: str | None) -> str:
    lines = []
    if headline is not None:
        lines.append("* what counts here.")
    if sources := sorted({row.source for row in published}):
        lines.append(f"Paper rows: {', '.join(sources)}.")
    if any(_is_partial(row) for row in measured):
        lines.append("A row on a part of the benchmark is not comparable with the others.")
    if any(row["settings"]["scorer"] == "baseline" for row in measured):
        lines.append("Training none: a trivial baseline.")
    return " ".join(lines)
