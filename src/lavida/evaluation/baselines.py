"""The old place of `lavida.evaluation.scorers`, until every import has moved."""

from lavida.evaluation.scorers import *  # noqa: F403
