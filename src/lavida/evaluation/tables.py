"""Results as tables: beside the published rows and other results on a benchmark, and those of the held-out test."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lavida.errors import InputError
from lavida.evaluation.metrics import METRICS
from lavida.evaluation.protocols import shown
from lavida.evaluation.results import read_metrics
from lavida.paper import PUBLISHED, PublishedRow
from lavida.terminal import print_result

_TRAINING = {"baseline": "none", "detector": "zero-shot"}
_HELD_OUT = {
    "auc": "frame\nAUC",
    "auc_words": "words\nalone",
    "auc_untrained": "no\ntraining",
    "mask_iou": "mask\nIoU",
    "boundary_f": "outline\nF",
    "parts": "parts of\na mask",
    "category_accuracy": "right\ncategory",
}


def sibling_results(folder: Path) -> list[Path]:
    """The `metrics.json` of the result folders beside this one; files of this name that others wrote are none."""
    own = folder.resolve()
    found = own.parent.glob("*/metrics.json")
    return sorted(path for path in found if path.parent != own and read_metrics(path) is not None)


def comparison_table(result: Mapping[str, Any], *, siblings: Sequence[Path] = ()) -> Table:
    """Published rows, then results found in `siblings`, baselines first, and last this result; values in percent.

    Args:
        result: what `evaluate` returned.
        siblings: paths of other `metrics.json`; those of another benchmark are left out.

    Raises:
        InputError: a sibling cannot be read as a result.
    """
    benchmark, headline = result["benchmark"], result["settings"].get("headline")
    published = PUBLISHED.get(benchmark, ())
    others: list[Mapping[str, Any]] = []
    for path in siblings:
        if (other := read_metrics(path)) is None:
            raise InputError(f"not a result: {path}; give the metrics.json of an evaluation")
        if other["benchmark"] == benchmark:
            others.append(other)
    measured = [*sorted(others, key=lambda other: other["settings"]["scorer"] != "baseline"), result]
    rows = [*(row.metrics for row in published), *measured]
    keys = [key for key in METRICS if any(row.get(key) is not None for row in rows)]
    keys.sort(key=lambda key: (key != headline, not key.startswith("pixel")))

    caption = _caption(published, measured, headline=headline)
    table = Table(title=f"{benchmark} (%)", caption=caption, box=box.SIMPLE_HEAD, padding=0)
    table.add_column("method", overflow="fold", min_width=19)  # a model may be a long path
    table.add_column("training", no_wrap=True)
    table.add_column("protocol", overflow="fold", min_width=len("lavida-upstream"))  # a custom one lists its changes
    table.add_column("videos", no_wrap=True)
    for key in keys:
        table.add_column(_heading(key) + "*" * (key == headline), justify="right", no_wrap=True)
    for row in published:
        method = f"{row.method}, {row.venue}" if row.venue else row.method
        table.add_row(method, row.training, "paper", "-", *(_number(row.metrics.get(key), ".2f") for key in keys))
    table.add_section()
    for each in measured[:-1]:
        table.add_row(*_measured_cells(each, keys))
    table.add_section()
    table.add_row(*_measured_cells(result, keys), style="bold")
    return table


def print_comparison(result: Mapping[str, Any], *, siblings: Sequence[Path] = (), file: TextIO | None = None) -> None:
    """Prints `comparison_table` and the protocol to stdout, or to the file; whole, however narrow the terminal is."""
    console = Console(file=file)
    table = comparison_table(result, siblings=siblings)
    needed = console.measure(table, options=console.options.update(width=1000)).minimum
    console.width = max(console.width, needed)
    # each choice as `--set` takes it
    choices = {key: value for key, value in result["settings"].get("protocol", {}).items() if key != "name"}
    said = (f"{key}={shown(value)}" for key, value in choices.items())
    with console.capture() as printed:  # a reader who goes in the middle of it does not end the command
        console.print(table)
        console.print(f"Protocol {result['protocol']}: {' '.join(said)}", markup=False, highlight=False)
    if file is None:
        print_result(printed.get().rstrip("\n"))
    else:
        file.write(printed.get())


def exposure_tables(result: Mapping[str, Any]) -> list[Table]:
    """The rows of the held-out test with the baselines beside the model, and the categories removed from training."""
    error = result["reliability"]["expected_calibration_error"]
    caption = (
        "Words alone and no training are frame AUCs, too: of a bag of words that never sees a picture, and of "
        "the backbone's own classifier. "
        f"Expected calibration error {error:.3f} on the pictures that calibration did not use."
    )
    sets = _plain_table(
        "exposure test on held-out pictures and clips",
        caption,
        ["set", "prompts", *_HELD_OUT.values()],
        [[name, row["prompts"], *(row.get(key) for key in _HELD_OUT)] for name, row in result["sets"].items()],
    )
    tables = [sets, *(_qualified_tables(result["qualified"]) if "qualified" in result else [])]
    if not result["removed"]:
        return tables
    removed = _plain_table(
        "categories removed from training",
        "Frame AUC of the prompts that name the category: where it is there against where it is not.",
        ["category", "there", "not there", "frame AUC"],
        [[name, row["present"], row["absent"], row["auc"]] for name, row in result["removed"].items()],
    )
    return [*tables, removed]


def _qualified_tables(measured: Mapping[str, Any]) -> list[Table]:
    """Pairs of a true and a false qualifier by kind, and verbs that nothing proves."""
    headings = ["kind", "pairs", "AUC", "right order", "true found", "false alarms"]
    keys = ("pairs", "auc", "order", "found", "alarms")
    titles = {"made": "a true against a false qualifier, made from masks", "by_hand": "the same, written by hand"}
    tables = [
        _plain_table(
            title,
            "AUC pooled over the texts of a kind; found and alarms: over the default threshold.",
            headings,
            [[kind, *(row[key] for key in keys)] for kind, row in measured[part].items()],
        )
        for part, title in titles.items()
    ]
    unproven = measured["unproven"]
    rows = [["any unproven verb", unproven["alarms"]], ["the thing alone", unproven["noun"]]]
    rows += [["a true qualifier", unproven["proven"]], *unproven["texts"].items()]
    caption = f"Share of {unproven['samples']} pictures and clips that show the thing."
    return [*tables, _plain_table("over the default threshold", caption, ["text", "share"], rows)]


def _plain_table(title: str, caption: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Texts on the left, numbers on the right."""
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*(str(cell) if isinstance(cell, str | int) else _number(cell, ".3f") for cell in row))
    return table


def _heading(key: str) -> str:
    """`frame AUC, micro` in lines, the average before the AUC."""
    name, _, average = METRICS[key].partition(", ")
    first, *rest = name.split()
    return "\n".join([first, *filter(None, [average]), *rest])


def _measured_cells(result: Mapping[str, Any], keys: Iterable[str]) -> list[Text | str]:
    settings = result["settings"]
    described = [result["model"]]  # and how it was handicapped, if it was
    if settings.get("motion") is False and settings["scorer"] == "detector":
        described.append("without motion")
    if not settings.get("own_categories", True):
        described.append("asked for " + ", ".join(settings["categories"]))
    return [
        Text(", ".join(described)),  # a model's path may hold brackets, which are markup to rich
        _TRAINING[settings["scorer"]],
        result["protocol"],
        f"{result['videos']}/{settings['official_videos']}",
        *(_number(None if result.get(key) is None else 100 * result[key], ".2f") for key in keys),
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _caption(published: Sequence[PublishedRow], measured: Sequence[Mapping[str, Any]], *, headline: str | None) -> str:
    lines = []
    if headline is not None:
        lines.append("* what counts here.")
    if sources := sorted({row.source for row in published}):
        lines.append(f"Paper rows: {', '.join(sources)}.")
    settings = [row["settings"] for row in measured]
    if any(r["videos"] < s["official_videos"] or s["notes"] for r, s in zip(measured, settings, strict=True)):
        lines.append("A row on a part of the benchmark is not comparable with the others.")
    if any(each["scorer"] == "baseline" for each in settings):
        lines.append("Training none: a trivial baseline.")
    return " ".join(lines)
