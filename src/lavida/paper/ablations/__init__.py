"""Ablations: many short trainings that differ in one thing, and the tables of what it does."""

from lavida.paper.ablations.series import ablate
from lavida.paper.ablations.studies import STUDIES

__all__ = ["STUDIES", "ablate"]
