"""`lavida data`: which data sets there are, and whether a copy of one is complete."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lavida.console import tell
from lavida.errors import InputError
from lavida.exposure.check import CheckReport, Count, check
from lavida.exposure.contact_sheet import ContactSheet
from lavida.exposure.datasets import DATASETS, load
from lavida.progress import progress_bar

SPLITS = ("train", "heldout")
MOST_LINES = 20


def list_command() -> None:
    """Print every data set with its official counts and what its folder holds."""
    for name, kind in DATASETS.items():
        rows = {split: _units(kind.expected.get(split, {})) for split in SPLITS} | {"folder": kind.layout}
        # no table: a layout stays on one line, to be read as it is
        tell("\n".join([name, *(f"  {heading:<8} {text}" for heading, text in rows.items() if text)]))


def check_command(name: str, *, root: Path, split: str, samples: int, out: Path | None) -> None:
    """Print what was found and write the contact sheet.

    Raises:
        InputError: the data set is not complete, or an option has no meaning.
    """
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
        bar=lambda total: progress_bar(f"{name}: opening files", total=total),
    )
    Console().print(_table(report.counts))
    for line in _lines(report):
        tell(line)
    if target is not None and len(sheet):
        sheet.save(target)
        tell(f"{len(sheet)} samples drawn in {target}")
    if report.problem:
        raise InputError(f"data check {name}: {report.problem}")


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
    lines += _some("refused", [f"{flaw.where}: {flaw.why}" for flaw in report.refused])
    return lines


def _some(heading: str, entries: Sequence[str]) -> list[str]:
    """The first entries below their heading, and how many more there are."""
    if not entries:
        return []
    more = len(entries) - MOST_LINES
    return [f"{heading} ({len(entries)}):", *(f"  {entry}" for entry in entries[:MOST_LINES])] + (
        [f"  and {more} more"] if more > 0 else []
    )
