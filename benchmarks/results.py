"""What every benchmark prints and keeps: rows as a Markdown table and as JSON, with the machine they come from."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lavida.errors import InputError

NEEDS_GPU = "needs a GPU"  # in place of a row's numbers where there is none

Row = Mapping[str, Any]


def add_out(parser: argparse.ArgumentParser, name: str) -> None:
    """The option that all benchmarks share: where the two files go."""
    parser.add_argument("--out", type=Path, help=f"folder for {name}.json and {name}.md; default: print only")


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; bad input ends it as it ends the command line, with one line and code 2."""
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def machine(threads: int | None = None) -> dict[str, Any]:
    """What the numbers were measured on."""
    about = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads or os.environ.get("OMP_NUM_THREADS"),
    }
    try:
        import torch
    except ImportError:  # what runs without it is measured without it
        torch = None
    if torch is not None:
        about["threads"] = threads or torch.get_num_threads()
        about["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return about | {package: _version(package) for package in ("torch", "transformers", "onnxruntime")}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def publish(name: str, rows: Sequence[Row], *, out: Path | None, about: Mapping[str, Any] | None = None) -> None:
    """Print the rows as a table, under what they were measured on; keep both in `out`.

    Args:
        name: of the benchmark, and of its files.
        rows: each a column name -> value; the columns are those of all rows, in the order in which they first come.
        out: folder for `NAME.json` and `NAME.md`; None: only print.
        about: settings of the whole run.
    """
    conditions = machine() | dict(about or {})
    text = "; ".join(f"{key} {_cell(value)}" for key, value in conditions.items() if value is not None)
    page = f"{markdown(rows)}\n{text}\n"
    print(page)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    kept = {"benchmark": name, "date": datetime.now(UTC).date().isoformat(), "conditions": conditions}
    (out / f"{name}.json").write_text(json.dumps(kept | {"rows": list(rows)}, indent=2, default=str) + "\n")
    (out / f"{name}.md").write_text(page)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table; a missing value is a dash."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())
