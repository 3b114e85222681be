"""The benchmarks by name. A new one is a subclass of `Benchmark`, entered in `BENCHMARKS`."""

import warnings
from pathlib import Path

from lavida.errors import unknown
from lavida.evaluation.benchmarks.avenue import Avenue
from lavida.evaluation.benchmarks.official import (
    Benchmark,
    Expected,
    Interval,
    IntervalRule,
    Truth,
    Video,
    find_video,
)
from lavida.evaluation.benchmarks.shanghaitech import ShanghaiTech
from lavida.evaluation.benchmarks.ubnormal import Ubnormal
from lavida.evaluation.benchmarks.ucf_crime import UcfCrime
from lavida.evaluation.benchmarks.ucsd import UcsdPed1, UcsdPed2
from lavida.evaluation.benchmarks.xd_violence import XdViolence

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Expected",
    "Interval",
    "IntervalRule",
    "Truth",
    "Video",
    "find_video",
    "open_benchmark",
]

BENCHMARKS: dict[str, type[Benchmark]] = {
    kind.name: kind for kind in (UcsdPed1, UcsdPed2, Avenue, ShanghaiTech, Ubnormal, UcfCrime, XdViolence)
}


def __getattr__(name: str) -> type[Benchmark]:
    """The name of one version ago."""
    if name != "OfficialBenchmark":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("OfficialBenchmark is now called Benchmark", DeprecationWarning, stacklevel=2)
    return Benchmark


def open_benchmark(name: str, root: Path | str) -> Benchmark:
    """Opens the benchmark `name` whose files lie under `root`, to evaluate what is there of it.

    Raises:
        InputError: the name is unknown, no video is there, or one that is there lacks its annotation.
    """
    benchmark = read_benchmark(name, root)
    benchmark.require_usable()
    return benchmark


def read_benchmark(name: str, root: Path | str) -> Benchmark:
    """What the official annotation of the benchmark says, with or without videos.

    Raises:
        InputError: the name is unknown, or nothing of the benchmark is under `root`.
    """
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, sorted(BENCHMARKS))
    return BENCHMARKS[name](Path(root))
