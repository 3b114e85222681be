"""The start of a training: the model, and what is refused before anything is built.

The model is `model.preset` and what differs from it, or a saved model, `model.start`.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub.errors import StrictDataclassError

from lavida.checkpoints.assemble import assemble, assembled_config, locate
from lavida.checkpoints.hub import CONFIG, find, read_config
from lavida.checkpoints.presets import NANO, PRESETS, PRETRAINED, build_nano, pretrained_config, shape_only
from lavida.checkpoints.pretrained import GIVE, LavidaModel
from lavida.errors import InputError
from lavida.evaluation.held_out.questions import check_pictures
from lavida.exposure.datasets import load
from lavida.exposure.vocabulary import Vocabulary
from lavida.files import check_target
from lavida.model.config import LavidaConfig
from lavida.training.data import prompt_corpus
from lavida.training.recipe import DataRecipe, Recipe
from lavida.training.run_folder import MODEL, check_run
from lavida.training.trainable import is_pretrained

T = TypeVar("T")
START = "start"  # key of `model`: the folder or hub id of a saved model


def build_model(recipe: Recipe) -> LavidaModel:
    """The model with the weights that training starts from.

    Raises:
        InputError: a setting does not exist or does not fit, or pretrained weights cannot be had or used.
    """
    check_model(recipe)
    if START in recipe.model:
        model = LavidaModel.from_pretrained(recipe.model[START])
    else:
        preset, settings, sources = _settings(recipe)
        if preset in PRETRAINED:
            model = assemble(sources, **settings)
        else:
            model = _built(lambda: build_nano(prompt_corpus(Vocabulary.builtin()), **settings))
    model.config.removed_categories = list(recipe.data.removed)
    if recipe.train.precision == "float32" or not is_pretrained(model, recipe.model):
        # else `make_trainable` sees to what is held in which precision
        model.float()
        model.config.mllm_dtype = "float32"
    return model


def check_model(recipe: Recipe) -> None:
    """Raise InputError, before anything is built, for what `build_model` would refuse; fetches what is on the hub."""
    if START in recipe.model:
        _start_folder(recipe.model)
        return
    preset, settings, sources = _settings(recipe)
    if preset in PRETRAINED:
        _config(preset, settings)
        locate(sources)


def check_training(recipe: Recipe, *, resume: bool, model: bool = True) -> None:
    """What a training would be refused for, told before anything is built and in no time.

    Args:
        recipe: of the training.
        resume: whether it may go on with a run in its folder.
        model: whether the recipe's own model is used; if it is pretrained and on the hub, it is fetched.

    Raises:
        InputError: the output cannot be written or holds another run, the model cannot be had, or calibration, which
            comes last, would lack its pictures.
    """
    out = Path(recipe.out)
    check_target(out / MODEL, replaces=CONFIG)
    if resume:
        check_run(out, recipe)
    if model:
        check_model(recipe)
    if recipe.calibrate:
        try:
            check_pictures(Path(recipe.data.root))
        except InputError as error:
            raise InputError(f"calibration at the end needs its pictures: {error}; or set calibrate=false") from error


def check_data(data: DataRecipe) -> None:
    """Raise InputError unless all data sets are there. A training finds out by itself when it opens them."""
    for each in data.sets:
        load(each.name, Path(data.root) / each.folder, each.split)


def model_settings(recipe: Recipe, names: Iterable[str]) -> dict[str, Any]:
    """What the recipe's model has in some fields of `LavidaConfig`, named in the recipe or left to its preset.

    Nothing is built; of a model on the hub only `model.start` is looked for, to read its configuration.

    Args:
        recipe: its `model` counts.
        names: sizes and switches; not what the files of its parts decide, as `frame_side` and `text_pooling`.

    Raises:
        InputError: a setting does not exist or does not fit, or there is no such saved model.
    """
    if START in recipe.model:
        config = _with_defaults(read_config(_start_folder(recipe.model), give=GIVE))
        return {name: config[name] for name in names}
    preset, settings, _ = _settings(recipe)
    if preset in PRETRAINED:
        made = _config(preset, settings)
    else:
        settings.pop("backbone", None)  # of `build_nano`
        made = _built(lambda: LavidaConfig(**(NANO | settings)))
    return {name: getattr(made, name) for name in names}


def build_shape(recipe: Recipe) -> LavidaModel:
    """The same for looking at: `small` and `paper` on the `meta` device, without weights and tokenizers."""
    if START in recipe.model:
        return build_model(recipe)
    preset, settings, sources = _settings(recipe)
    if preset == "nano":
        return build_model(recipe)
    if sources != PRETRAINED[preset].sources:  # other shapes
        return shape_only(_built(lambda: assembled_config(locate(sources), **settings)))
    return shape_only(_config(preset, settings))


def _start_folder(model: dict[str, Any]) -> Path:
    """Where the saved model is; what it already is may be said again, as the recipes of the presets do."""
    folder = find(model[START], give=GIVE)
    try:
        config = _with_defaults(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return folder  # what is wrong with it is told when it is loaded
    for key in sorted(model.keys() - {START, "preset"}):
        if key not in config or config[key] != model[key]:
            raise InputError(f"model.{key} in the recipe: model.start takes a model as it is; leave it out")
    return folder


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """A saved configuration with the fields that are younger than it, as loading fills them."""
    return {field.name: field.default for field in fields(LavidaConfig)} | config


def _settings(recipe: Recipe) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Preset, fields of `LavidaConfig` that differ from the default, and sources of pretrained parts."""
    settings = dict(recipe.model)
    preset = settings.pop("preset", None)
    if preset not in PRESETS:
        raise InputError(f"unknown model.preset {preset!r} in the recipe: choose one of {', '.join(PRESETS)}")
    sources = {}
    if preset in PRETRAINED:
        parts = PRETRAINED[preset]
        sources = {name: str(settings.pop(name, None) or source) for name, source in parts.sources.items()}
        settings = parts.settings | settings
    known = {field.name for field in fields(LavidaConfig)} | ({"backbone"} if preset == "nano" else set())
    if unknown := sorted(settings.keys() - known):
        raise InputError(f"unknown key model.{unknown[0]} in the recipe; it takes the fields of LavidaConfig")
    return preset, settings, sources


def _config(preset: str, settings: dict[str, Any]) -> LavidaConfig:
    return _built(lambda: pretrained_config(preset, **settings))


def _built(build: Callable[[], T]) -> T:
    try:
        return build()
    except InputError:
        raise
    except (ValueError, StrictDataclassError) as error:
        raise InputError(f"model in the recipe: {' '.join(str(error).split())}") from error
