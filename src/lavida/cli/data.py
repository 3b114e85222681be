"""`lavida data`: which data sets and benchmarks there are, and whether a copy of one is complete."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lavida.cli.options import print_help, refuse
from lavida.errors import InputError, unknown
from lavida.terminal import print_result, progress_bars

if TYPE_CHECKING:
    from lavida.exposure.check import CheckedDataset, CheckReport

SPLITS = ("train", "heldout")
MOST_LINES, SAMPLES = 20, 12

data = typer.Typer(help="Training data sets and benchmarks: what there is, and whether a copy is complete.")


data.callback(invoke_without_command=True)(print_help)


@data.command("list")
def list_all() -> None:
    """List the data sets that can be trained on and the benchmarks, with their official counts and layouts."""
    from lavida.evaluation.benchmarks import BENCHMARKS
    from lavida.exposure.datasets import DATASETS

    for name, kind in DATASETS.items():
        checked = cast("type[CheckedDataset]", kind)  # as all that have a name are
        _print_entry(name, {split: checked.expected.get(split, {}) for split in SPLITS}, checked.layout)
    for name, benchmark in BENCHMARKS.items():
        expected = asdict(benchmark.expected).items()
        counts = {unit.replace("_", " "): count for unit, count in expected if count is not None}
        _print_entry(name, {"test": counts}, benchmark.layout)


def _print_entry(name: str, expected: Mapping[str, Mapping[str, int]], layout: str) -> None:
    # no table: a layout stays on one line, to be read as it is
    rows = {split: ", ".join(f"{count:,} {unit}" for unit, count in units.items()) for split, units in expected.items()}
    rows["folder"] = layout
    print_result("\n".join([name, *(f"  {heading:<8} {text}" for heading, text in rows.items() if text)]))


@data.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A data set of `lavida data list`, or module:Class for your own.")],
    root: Annotated[Path, typer.Option(help="The data set's own folder.")],
    split: Annotated[str, typer.Option(help="train, heldout or all.")] = "all",
    samples: Annotated[
        int | None, typer.Option(help="How many samples to read and draw, 0 for none; default: 12.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="PNG for the drawn samples; default: ./NAME-samples.png.")] = None,
) -> None:
    """Count, open every file, and draw a few samples with their masks; exit code 2 when something is missing."""
    from lavida.evaluation.benchmarks import BENCHMARKS

    if name in BENCHMARKS:
        given = {f"--split {split}": split != "all", f"--samples {samples}": samples is not None, f"--out {out}": out}
        refuse(given, f"{name} is a benchmark, of which the test videos are checked and none is drawn")
        problem = _check_benchmark(name, root)
    else:
        if split not in (*SPLITS, "all"):
            raise unknown("split", split, (*SPLITS, "all"))
        samples = SAMPLES if samples is None else samples
        if samples < 0:
            raise InputError(f"--samples is {samples}: choose 0 or more")
        sheet = Path(f"{name.replace(':', '-')}-samples.png") if out is None else out
        if samples and (sheet.is_dir() or sheet.suffix.lower() != ".png"):
            raise InputError(f"--out {sheet} is no name for a PNG; give one that ends in .png")
        problem = _check_dataset(name, root, SPLITS if split == "all" else (split,), samples=samples, sheet_path=sheet)
    if problem:
        raise InputError(f"data check {name}: {problem}")


@data.command("pack")
def pack(
    recipe: Annotated[Path, typer.Argument(help="A recipe such as configs/nano.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, for example data.root=DIR.")] = None,
    out: Annotated[Path, typer.Option(help="The file to write; train with data.root=FILE.")] = Path("data.pack"),
    heldout: Annotated[
        bool, typer.Option("--heldout", help="Pack the held-out pictures of the sets, too: for calibration.")
    ] = False,
    megabytes: Annotated[float, typer.Option(help="The most that the file may have.")] = 60,
) -> None:
    """Pack the data sets of a recipe into one file, at the best picture quality that fits."""
    from lavida.exposure.packing import PackedSet
    from lavida.exposure.packing import pack as pack_sets
    from lavida.training.recipe import load_recipe

    if not 0 < megabytes < math.inf:
        raise InputError(f"--megabytes is {megabytes:g}: choose more than 0")
    given = load_recipe(recipe, overrides or ()).data
    sets = [PackedSet(each.name, each.folder, each.split, each.clips) for each in given.used]
    if heldout:
        sets += [replace(each, split="heldout") for each in sets]
    with progress_bars() as progress:
        done = pack_sets(
            sets,
            root=Path(given.root),
            out=out,
            max_side=given.max_side,
            most_bytes=int(megabytes * 1e6),
            progress=progress,
        )
    print_result(f"{done.samples} samples packed in {out}: {done.size / 1e6:.1f} MB, quality {done.quality}")


def _check_dataset(name: str, root: Path, splits: Sequence[str], *, samples: int, sheet_path: Path) -> str | None:
    """Print what was found in a training data set and draw the contact sheet; what is wrong with it, if anything."""
    from lavida.exposure.check import check
    from lavida.exposure.contact_sheet import ContactSheet
    from lavida.exposure.datasets import load

    sheet = ContactSheet()
    opened = {split: load(name, root, split) for split in splits}
    with progress_bars() as progress:
        report = check(opened, samples=samples, look=sheet.add, progress=progress)
    rows = ((c.split, c.unit, c.found, c.expected, "differs" if c.differs else "") for c in report.counts)
    _print_table(("split", "unit", "found", "expected", ""), rows)
    _print_findings(report)
    if len(sheet):
        sheet.save(sheet_path)
        print_result(f"{len(sheet)} samples drawn in {sheet_path}")
    return report.problem


def _check_benchmark(name: str, root: Path) -> str | None:
    """Print what was found in a benchmark's folder; what is wrong with it, if anything."""
    from lavida.evaluation.benchmarks import read_benchmark
    from lavida.evaluation.benchmarks.check import check_benchmark

    with progress_bars() as progress:
        report = check_benchmark(read_benchmark(name, root), progress=progress)
    rows = ((c.unit, c.annotated, c.found, c.expected, "differs" if c.differs else "") for c in report.counts)
    _print_table(("unit", "annotated", "found", "expected", ""), rows)
    for remark in report.remarks:
        print_result(remark)
    _print_some("missing", [str(path) for path in report.missing])
    _print_some("wrong", report.faults)
    _print_some("damaged, but readable", report.damaged)
    return report.problem


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> None:
    """Numbers stand on the right, with `-` for those that are not known."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("annotated", "found", "expected") else "left")
    for row in rows:
        table.add_row(*("-" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
    Console().print(table)


def _print_findings(report: CheckReport) -> None:
    """What was opened and what is wrong with it."""
    print_result(f"{report.files - len(report.missing) - len(report.unreadable)} of {report.files} files can be read")
    _print_some("missing", [str(path) for path in report.missing])
    _print_some("unreadable", [f"{flaw.where}: {flaw.why}" for flaw in report.unreadable])
    _print_some("wrong", report.wrong)
    _print_some("refused", [f"{flaw.where}: {flaw.why}" for flaw in report.refused])
    for note in report.notes:
        print_result(f"note: {note}")


def _print_some(heading: str, entries: Sequence[str]) -> None:
    """The first entries below their heading, and how many more there are."""
    if entries:
        print_result(f"{heading} ({len(entries)}):")
        for entry in entries[:MOST_LINES]:
            print_result(f"  {entry}")
    if len(entries) > MOST_LINES:
        print_result(f"  and {len(entries) - MOST_LINES} more")
