"""The model that a recipe starts from: `model.preset` and what differs from it, or a saved model, `model.start`."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, StrictDataclassError

from lavida.config import LavidaConfig
from lavida.errors import InputError
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.lavida import LavidaModel
from lavida.model.presets import PRESETS, PRETRAINED, build_nano, pretrained_config, shape_only
from lavida.training.recipe import Recipe
from lavida.training.stream import prompt_corpus

T = TypeVar("T")
START = "start"  # key of `model`: the folder of a saved model
SOURCES = ("mllm", "vision", "text")  # hub id or folder of each pretrained part


def build_model(recipe: Recipe) -> LavidaModel:
    """The model with the weights that training starts from.

    Raises:
        InputError: a setting does not exist or does not fit, or pretrained weights are not on this machine.
    """
    check_model(recipe)
    if START in recipe.model:
        return _saved(recipe)
    _, settings, _ = _settings(recipe)
    settings["removed_categories"] = list(recipe.data.removed)
    return _built(lambda: build_nano(prompt_corpus(Vocabulary.builtin()), **settings))


def check_model(recipe: Recipe) -> None:
    """Raise InputError, before anything is built, for what `build_model` would refuse."""
    if START in recipe.model:
        if unknown := sorted(recipe.model.keys() - {START, "preset"}):
            raise InputError(f"model.{unknown[0]} in the recipe: model.start takes a model as it is; leave it out")
        return
    preset, settings, sources = _settings(recipe)
    if preset in PRETRAINED:
        _config(preset, settings)
        _check_weights(preset, sources)


def build_shape(recipe: Recipe) -> LavidaModel:
    """The same for looking at: `small` and `paper` on the `meta` device, without weights and tokenizers."""
    if START in recipe.model:
        return build_model(recipe)
    preset, settings, _ = _settings(recipe)
    return build_model(recipe) if preset == "nano" else shape_only(_config(preset, settings))


def _saved(recipe: Recipe) -> LavidaModel:
    """A saved model whose training goes on, by this recipe."""
    model = LavidaModel.from_pretrained(recipe.model[START])
    model.config.removed_categories = list(recipe.data.removed)
    return model


def _settings(recipe: Recipe) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Preset, fields of `LavidaConfig` that differ from it, and sources of pretrained parts."""
    settings = dict(recipe.model)
    preset = settings.pop("preset", None)
    if preset not in PRESETS:
        raise InputError(f"unknown model.preset {preset!r} in the recipe: choose one of {', '.join(PRESETS)}")
    sources = {}
    if preset in PRETRAINED:
        sources = {name: str(settings.pop(name, None) or getattr(PRETRAINED[preset], name)) for name in SOURCES}
    known = {field.name for field in fields(LavidaConfig)} | ({"backbone"} if preset == "nano" else set())
    if unknown := sorted(settings.keys() - known):
        raise InputError(f"unknown key model.{unknown[0]} in the recipe; it takes the fields of LavidaConfig")
    return preset, settings, sources


def _config(preset: str, settings: dict[str, Any]) -> LavidaConfig:
    return _built(lambda: pretrained_config(preset, **settings))


def _built(build: Callable[[], T]) -> T:
    try:
        return build()
    except (ValueError, StrictDataclassError) as error:
        raise InputError(f"model in the recipe: {' '.join(str(error).split())}") from error


def _check_weights(preset: str, sources: dict[str, str]) -> None:
    missing = {name: source for name, source in sources.items() if not _is_here(source)}
    if missing:
        what = ", ".join(f"model.{name}={source}" for name, source in missing.items())
        raise InputError(
            f"preset {preset} starts from pretrained weights that are not on this machine: {what}; fetch each with "
            "`hf download ID` or give its folder (lavida train RECIPE --dry-run needs none)"
        )
    raise InputError(
        f"preset {preset}: this version cannot put together {', '.join(sources.values())} yet; "
        "train configs/nano.yaml, or look at the recipe with --dry-run"
    )


def _is_here(source: str) -> bool:
    """Whether a folder or the hub's cache holds it."""
    if (Path(source) / "config.json").is_file():
        return True
    try:
        return isinstance(try_to_load_from_cache(source, "config.json"), str)
    except HFValidationError:  # a path that does not exist
        return False
