"""The start of a training: the model, what is refused before anything is built, and the start of several processes.

The model is `model.preset` and what differs from it, or a saved model, `model.start`.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import yaml
from huggingface_hub.errors import StrictDataclassError

from lavida.checkpoints.assemble import assemble, assembled_config, locate
from lavida.checkpoints.hub import CONFIG, read_config
from lavida.checkpoints.presets import NANO, PRESETS, PRETRAINED, build_nano, pretrained_config, shape_only
from lavida.checkpoints.pretrained import GIVE, LavidaModel, is_saved_model, saved_folder
from lavida.errors import InputError, one_line, unknown
from lavida.evaluation.held_out.questions import check_pictures
from lavida.exposure.datasets import load
from lavida.exposure.vocabulary import Vocabulary
from lavida.files import check_target
from lavida.model.config import OF_PARTS, SETTINGS, LavidaConfig
from lavida.training.data import prompt_corpus
from lavida.training.recipe import DataRecipe, Recipe
from lavida.training.run_folder import MODEL, check_run
from lavida.training.steps import check_deepspeed
from lavida.training.trainable import is_pretrained

_log = logging.getLogger(__name__)

T = TypeVar("T")
START = "start"  # key of `model`: nano, the folder or hub id of a saved model


def build_model(recipe: Recipe) -> LavidaModel:
    """The model with the weights that training starts from.

    Raises:
        InputError: a setting does not exist or does not fit, or pretrained weights cannot be had or used.
    """
    check_model(recipe.model)
    if START in recipe.model:
        model = LavidaModel.from_pretrained(recipe.model[START])
        if recipe.model.get("qualifiers") and not model.config.qualifiers:
            model.add_qualifiers()
        model.config.calibration_temperature, model.config.calibration_bias = 1.0, 0.0  # of what it was before
    else:
        preset, settings, sources = _settings(recipe.model)
        if preset in PRETRAINED:
            model = assemble(sources, **settings)
        else:
            model = _built(lambda: build_nano(prompt_corpus(Vocabulary.builtin()), **settings))
    model.config.removed_categories = _never_used(model.config, recipe)
    if recipe.train.precision == "float32" or not is_pretrained(model, recipe.model):
        # else `make_trainable` sees to what is held in which precision
        model.float()
        model.config.mllm_dtype = "float32"
    return model


def _never_used(config: LavidaConfig, recipe: Recipe) -> list[str]:
    """The categories that neither this training uses nor one before it; tells what is no longer among them."""
    now = list(recipe.data.removed)
    if START not in recipe.model or config.untrained:
        return now
    before = config.removed_categories or []
    if learnt := [name for name in now if name not in before]:
        line = "data.removed: the model of model.start was trained on %s, which therefore does not count as removed"
        _log.warning(line, ", ".join(learnt))
    if used := [name for name in before if name not in now]:
        line = "%s was removed from the training of model.start and is used now: it no longer counts as removed"
        _log.warning(line, ", ".join(used))
    return [name for name in now if name in before]


def check_model(model: Mapping[str, Any]) -> None:
    """Raise InputError, before anything is built, for what `build_model` would refuse; fetches what is on the hub.

    Args:
        model: this section of the recipe, as in all that follows.
    """
    if START in model:
        _start_folder(model)
        return
    preset, settings, sources = _settings(model)
    _preset_config(preset, settings)
    if preset in PRETRAINED:
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
    check_target(out / MODEL, replaces=is_saved_model)
    if resume:
        check_run(out, recipe)
    if model:
        check_model(recipe.model)
    if recipe.qualifiers.samples:
        _check_qualifiers(recipe)
    if recipe.calibrate:
        try:
            check_pictures(Path(recipe.data.root))
        except InputError as error:
            raise InputError(f"calibration at the end needs its pictures: {error}; or set calibrate=false") from error


def _check_qualifiers(recipe: Recipe) -> None:
    if not recipe.sampler.probes:
        raise InputError("qualifiers.samples needs texts to learn from; set sampler.probes, for example 24")
    if not model_settings(recipe.model, ["qualifiers"])["qualifiers"]:
        raise InputError("qualifiers.samples needs a model with qualifiers; set model.qualifiers=true")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "qualifiers.samples is learnt by one process; leave it out here and train once more with model.start"
        )


def check_data(data: DataRecipe) -> None:
    """Raise InputError unless all data sets are there. A training finds out by itself when it opens them."""
    for each in data.used:
        load(each.name, Path(data.root) / each.folder, each.split)


def model_settings(model: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What a recipe's model has in some fields of `LavidaConfig`, named in the recipe or left to its preset.

    Nothing is built; of a model on the hub only `model.start` is looked for, to read its configuration. `names` are
    sizes and switches; not what the files of its parts decide, as `frame_side` and `text_pooling`.

    Raises:
        InputError: a setting does not exist or does not fit, or there is no such saved model.
    """
    if START in model:
        config = _with_defaults(read_config(_start_folder(model), give=GIVE))
        config["qualifiers"] = model.get("qualifiers", config["qualifiers"])
        return {name: config[name] for name in names}
    preset, settings, _ = _settings(model)
    made = _preset_config(preset, settings)
    return {name: getattr(made, name) for name in names}


def _preset_config(preset: str, settings: Mapping[str, Any]) -> LavidaConfig:
    """A preset's configuration without weights; of nano without what its packages decide."""
    if preset in PRETRAINED:
        return _built(lambda: pretrained_config(preset, **settings))
    settings = {name: value for name, value in settings.items() if name != "backbone"}  # of `build_nano`
    return _built(lambda: LavidaConfig(**(NANO | settings)))


def build_shape(recipe: Recipe) -> LavidaModel:
    """The same for looking at: `small` and `paper` on the `meta` device, without weights and tokenizers."""
    if START in recipe.model or recipe.model.get("preset") == "nano":
        return build_model(recipe)
    preset, settings, sources = _settings(recipe.model)
    if sources != PRETRAINED[preset].sources:  # other shapes
        return shape_only(_built(lambda: assembled_config(locate(sources), **settings)))
    return shape_only(_built(lambda: pretrained_config(preset, **settings)))


def _start_folder(model: Mapping[str, Any]) -> Path:
    """Where the saved model is; what it already is may be said again, as the recipes of the presets do.

    One part it may get that it has not: `qualifiers`.
    """
    folder = saved_folder(model[START])
    try:
        config = _with_defaults(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return folder  # what is wrong with it is told when it is loaded
    for key in sorted(model.keys() - {START, "preset"}):
        if key == "qualifiers" and model[key] is True:
            continue
        if key not in config or config[key] != model[key]:
            raise InputError(f"model.{key} in the recipe: model.start takes a model as it is; leave it out")
    return folder


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """A saved configuration with the fields that are younger than it, as loading fills them."""
    return {field.name: field.default for field in fields(LavidaConfig)} | config


def _settings(model: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Preset, fields of `LavidaConfig` that differ from the default, and sources of pretrained parts."""
    settings = dict(model)
    preset = settings.pop("preset", None)
    if preset not in PRESETS:
        raise unknown("model.preset", repr(preset), PRESETS)
    sources: dict[str, str] = {}
    if preset in PRETRAINED:
        parts = PRETRAINED[preset]
        sources = {name: str(settings.pop(name, None) or source) for name, source in parts.sources.items()}
        settings = parts.settings | settings
    known = {*SETTINGS, "backbone"} if preset == "nano" else {*SETTINGS} - {*OF_PARTS}
    if strange := sorted(settings.keys() - known):
        raise InputError(f"unknown key model.{strange[0]} in the recipe; it takes the fields of LavidaConfig")
    return preset, settings, sources


def _built(build: Callable[[], T]) -> T:
    try:
        return build()
    except InputError:
        raise
    except (ValueError, StrictDataclassError) as error:
        raise InputError(f"model in the recipe: {one_line(error)}") from error


def launch_processes(file: Path, arguments: Sequence[str]) -> NoReturn:
    """Become `accelerate launch --config_file FILE -m lavida ARGUMENTS`, the arguments from `train` on.

    Raises:
        InputError: the file is not there or no configuration of Accelerate, or it needs a package that is missing.
    """
    check_launch(file)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file), "-m", "lavida"]
    os.execv(sys.executable, [*command, *arguments])


def check_launch(file: Path) -> None:
    """Raise InputError for what `accelerate launch` would end in a traceback over."""
    try:
        settings = yaml.safe_load(file.read_text())
        kind = settings["distributed_type"]
    except FileNotFoundError:
        raise InputError(f"no such file: {file}; give one of configs/accelerate/") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(f"{file} is no configuration of Accelerate: it names no distributed_type") from error
    if kind == "DEEPSPEED":
        check_deepspeed()
    counts = {name: 1 if (count := settings.get(name)) is None else count for name in ("num_processes", "num_machines")}
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InputError(f"{file} has {name} {count}: give a whole number, 1 or more")
    wanted = counts["num_processes"] // counts["num_machines"]
    there = torch.cuda.device_count()
    if kind in ("MULTI_GPU", "FSDP", "DEEPSPEED") and wanted > there:
        raise InputError(
            f"{file} asks for {wanted} GPUs on this machine, which has {there}: change num_processes in it, "
            "or train without --launch"
        )
