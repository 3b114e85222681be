"""Moved to `lavida.training.start`."""

from lavida.training.recipe import Recipe
from lavida.training.start import check_data as _check_data
from lavida.training.start import check_training


def check_data(recipe: Recipe) -> None:
    """Moved."""
    _check_data(recipe.data)


__all__ = ["check_data", "check_training"]
