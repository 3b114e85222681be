"""The old place of `lavida.evaluation.benchmarks.contract`, until every import has moved."""

from lavida.evaluation.benchmarks.contract import *  # noqa: F403
