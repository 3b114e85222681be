"""`lavida data`: which data sets and benchmarks there are, and whether a copy of one is complete."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lavida.commands.bars import progress_bars
from lavida.console import tell
from lavida.errors import InputError
from lavida.evaluation.benchmarks import BENCHMARKS, Expected, read_benchmark
from lavida.evaluation.benchmarks.check import BenchmarkReport, check_benchmark
from lavida.exposure.check import CheckReport, Count, check
from lavida.exposure.contact_sheet import ContactSheet
from lavida.exposure.datasets import DATASETS, load
from lavida.progress import progress_bar

SPLITS = ("train", "heldout")
MOST_LINES = 20


def list_command() -> None:
    """Print every data set and benchmark with its official counts and what its folder holds."""
    for name, kind in DATASETS.items():
        _entry(name, {split: _units(kind.expected.get(split, {})) for split in SPLITS} | {"folder": kind.layout})
    for name, kind in BENCHMARKS.items():
        _entry(name, {"test": _units(_expected_units(kind.expected)), "folder": kind.layout})


def _entry(name: str, rows: Mapping[str, str]) -> None:
    # no table: a layout stays on one line, to be read as it is
    tell("\n".join([name, *(f"  {heading:<8} {text}" for heading, text in rows.items() if text)]))


def _expected_units(expected: Expected) -> dict[str, int]:
    return {unit.replace("_", " "): count for unit, count in asdict(expected).items() if count is not None}


def check_command(name: str, *, root: Path, split: str, samples: int, out: Path | None) -> None:
    """Print what was found and, of a training data set, write the contact sheet.

    Raises:
        InputError: the data set is not complete, or an option has no meaning.
    """
    if name in BENCHMARKS:
        _check_benchmark(name, root=root, split=split, out=out)
        return
    if split not in (*SPLITS, "all"):
        raise InputError(f"unknown split {split}: choose {', '.join(SPLITS)} or all")
    if samples < 0:
        raise InputError(f"--samples is {samples}: choose 0 or more")
    target = _sheet_path(out, name) if samples else None
    datasets = {part: load(name, root, part) for part in (SPLITS if split == "all" else (split,))}
    sheet = ContactSheet()
    report = check(
        datasets,
        samples=samples,
        look=sheet.add,
        bar=lambda total: progress_bar(f"{name}: looking at files", total=total),
    )
    Console().print(_table(report.counts))
    for line in _lines(report):
        tell(line)
    if target is not None and len(sheet):
        sheet.save(target)
        tell(f"{len(sheet)} samples drawn in {target}")
    if report.problem:
        raise InputError(f"data check {name}: {report.problem}")


def _check_benchmark(name: str, *, root: Path, split: str, out: Path | None) -> None:
    if split != "all" or out is not None:
        option = f"--out {out}" if split == "all" else f"--split {split}"
        raise InputError(f"{option}: {name} is a benchmark, of which the test videos are checked and none is drawn")
    with progress_bars() as progress:
        report = check_benchmark(read_benchmark(name, root), progress=progress)
    Console().print(_benchmark_table(report))
    for line in (*report.remarks, *_some("missing", [str(path) for path in report.missing])):
        tell(line)
    for line in (*_some("wrong", report.faults), *_some("damaged, but readable", report.damaged)):
        tell(line)
    if report.problem:
        raise InputError(f"data check {name}: {report.problem}")


def _benchmark_table(report: BenchmarkReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("unit", "annotated", "found", "expected", ""):
        table.add_column(heading, justify="left" if heading in ("unit", "") else "right")
    for count in report.counts:
        numbers = ("-" if n is None else f"{n:,}" for n in (count.annotated, count.found, count.expected))
        table.add_row(count.unit, *numbers, "differs" if count.differs else "")
    return table


def _sheet_path(out: Path | None, name: str) -> Path:
    path = Path(f"{name.replace(':', '-')}-samples.png") if out is None else out
    if path.is_dir() or path.suffix.lower() != ".png":
        raise InputError(f"--out {path} is no name for a PNG; give one that ends in .png")
    return path


def _units(expected: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {unit}" for unit, count in expected.items())


def _table(counts: Sequence[Count]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("split", "unit", "found", "expected", ""):
        table.add_column(heading, justify="right" if heading in ("found", "expected") else "left")
    for count in counts:
        expected = "-" if count.expected is None else f"{count.expected:,}"
        table.add_row(count.split, count.unit, f"{count.found:,}", expected, "differs" if count.differs else "")
    return table


def _lines(report: CheckReport) -> list[str]:
    """What was opened and what is wrong with it, for people."""
    lines = [f"{report.files - len(report.missing) - len(report.unreadable)} of {report.files} files can be read"]
    lines += _some("missing", [str(path) for path in report.missing])
    lines += _some("unreadable", [f"{flaw.where}: {flaw.why}" for flaw in report.unreadable])
    lines += _some("wrong", report.wrong)
    lines += _some("refused", [f"{flaw.where}: {flaw.why}" for flaw in report.refused])
    return [*lines, *(f"note: {note}" for note in report.notes)]


def _some(heading: str, entries: Sequence[str]) -> list[str]:
    """The first entries below their heading, and how many more there are."""
    if not entries:
        return []
    more = len(entries) - MOST_LINES
    return [f"{heading} ({len(entries)}):", *(f"  {entry}" for entry in entries[:MOST_LINES])] + (
        [f"  and {more} more"] if more > 0 else []
    )
