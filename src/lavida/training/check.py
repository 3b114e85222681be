"""What a training would be refused for, told before anything is built."""

from pathlib import Path

from lavida.errors import InputError
from lavida.evaluation.exposure.sets import check_pictures
from lavida.export.folder import check_target
from lavida.exposure.datasets import load
from lavida.model.hub import CONFIG
from lavida.training.recipe import Recipe
from lavida.training.run_folder import MODEL, check_run
from lavida.training.start import check_model


def check_training(recipe: Recipe, *, resume: bool) -> None:
    """What takes no time; fetches a pretrained model that is on the hub.

    Raises:
        InputError: the output cannot be written or holds another run, the model cannot be had, or calibration, which
            comes last, would lack its pictures.
    """
    out = Path(recipe.out)
    check_target(out / MODEL, replaces=CONFIG)
    if resume:
        check_run(out, recipe)
    check_model(recipe)
    if recipe.calibrate:
        try:
            check_pictures(Path(recipe.data.root))
        except InputError as error:
            raise InputError(f"calibration at the end needs its pictures: {error}; or set calibrate=false") from error


def check_data(recipe: Recipe) -> None:
    """Raise InputError unless all data sets are there. A training finds out by itself when it opens them."""
    for each in recipe.data.sets:
        load(each.name, Path(recipe.data.root) / each.folder, each.split)
