"""Ablations: many short trainings that differ in one thing, and the tables of what it does."""

from lavida.ablations.series import ablate
from lavida.ablations.studies import STUDIES

__all__ = ["STUDIES", "ablate"]
