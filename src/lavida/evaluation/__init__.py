"""Evaluation: benchmarks, protocols, metrics, trivial baselines and tables."""

from lavida.evaluation.benchmarks import BENCHMARKS, open_benchmark
from lavida.evaluation.protocols import LAVIDA_UPSTREAM, PROTOCOLS, STANDARD, Protocol
from lavida.evaluation.run import Workers, evaluate

__all__ = [
    "BENCHMARKS",
    "LAVIDA_UPSTREAM",
    "PROTOCOLS",
    "STANDARD",
    "Protocol",
    "Workers",
    "evaluate",
    "open_benchmark",
]
