"""Evaluation: benchmarks, protocols, metrics, trivial baselines and tables."""

from lavida.evaluation.benchmarks import BENCHMARKS, open_benchmark
from lavida.evaluation.protocols import PROTOCOLS, STANDARD
from lavida.evaluation.run import evaluate

__all__ = ["BENCHMARKS", "PROTOCOLS", "STANDARD", "evaluate", "open_benchmark"]
