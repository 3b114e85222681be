"""The benchmarks by name. A new one is a class with the shape of `Benchmark`, entered in `BENCHMARKS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Benchmark, Video
from lavida.evaluation.benchmarks.ucsd_ped2 import UcsdPed2

__all__ = ["BENCHMARKS", "Benchmark", "UcsdPed2", "Video", "open_benchmark"]

BENCHMARKS: dict[str, Callable[[Path], Benchmark]] = {UcsdPed2.name: UcsdPed2}


def open_benchmark(name: str, root: Path | str) -> Benchmark:
    """Opens the benchmark `name` whose files lie under `root`.

    Raises:
        InputError: the name is unknown, or the files are missing or incomplete.
    """
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark: {name}; choose one of {', '.join(sorted(BENCHMARKS))}")
    return BENCHMARKS[name](Path(root))
