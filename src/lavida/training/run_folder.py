"""The folder of a training run, which may be killed at any moment: recipe, losses, checkpoints.

Checkpoints hold only the weights that training changes: the frozen ones come from where the model comes from.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors.torch import load_file, save_file
from torch import nn

from lavida.checkpoints.pretrained import disk_errors
from lavida.errors import InputError, first_line, writing_to
from lavida.files import atomic_file
from lavida.training.recipe import Recipe, with_new_names

RECIPE, LOSSES, EVALUATIONS = "recipe.yaml", "losses.jsonl", "evaluations.jsonl"
QUALIFIERS = "qualifiers.jsonl"  # losses of the last stage, which begins anew where it was cut off
MODEL, BEST = "model", "best"
TRAINED = "trained.safetensors"
CHECKPOINT = re.compile(r"checkpoint-\d+")
# what may differ when a run goes on
FREE = frozenset(
    "data.root calibrate train.workers train.accumulate train.gradient_checkpointing train.checkpoint_every "
    "train.keep_checkpoints train.log_every train.evaluate_every train.evaluate_pictures train.show_pictures".split()
)


class RunFolder:
    """`recipe.yaml`, `losses.jsonl`, `qualifiers.jsonl`, `evaluations.jsonl` and `checkpoint-<step>` below `root`."""

    def __init__(self, root: Path, accelerator: Accelerator):
        self.root, self._accelerator = root, accelerator
        self._deepspeed = accelerator.distributed_type == DistributedType.DEEPSPEED

    def enter(self, recipe: Recipe, *, resume: bool) -> int:
        """Load the newest checkpoint into what the accelerator has prepared; return the step to go on from.

        Without `resume`, checkpoints, losses and the best model of an earlier run are removed.

        Raises:
            InputError: the checkpoint is damaged or of another model.
        """
        hold_trained_weights(self._accelerator)
        if self._accelerator.is_main_process:
            with writing_to(self.root):
                self._prepare(recipe, resume=resume)
        self._accelerator.wait_for_everyone()
        done = 0
        if checkpoints := _checkpoints(self.root):
            self._load(checkpoints[-1])
            done = _step(checkpoints[-1])
        if self._accelerator.is_main_process:
            for name in (LOSSES, EVALUATIONS):
                _forget_after(done, self.root / name)
            _forget_after(0, self.root / QUALIFIERS)
        self._accelerator.wait_for_everyone()
        return done

    def _prepare(self, recipe: Recipe, *, resume: bool) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        for left in self.root.glob(".checkpoint-*"):
            shutil.rmtree(left)
        for old in [] if resume else [*_checkpoints(self.root), self.root / BEST]:
            _remove(old)
        with atomic_file(self.root / RECIPE) as partial:
            partial.write_text(OmegaConf.to_yaml(OmegaConf.create(_plain(recipe))))

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append a line to `losses.jsonl` and tell the tracker, if there is one."""
        self._accelerator.log(values, step=step)
        self._append(LOSSES, {"step": step, **values})

    def log_qualifiers(self, step: int, loss: float) -> None:
        """Append a line to `qualifiers.jsonl`."""
        self._append(QUALIFIERS, {"step": step, "loss": loss})

    def log_evaluation(self, step: int, values: dict[str, Any]) -> None:
        """Append a line to `evaluations.jsonl`."""
        self._append(EVALUATIONS, {"step": step, **values})

    def best_auc(self) -> float:
        """The highest `auc` of an evaluation so far; 0 before the first."""
        return max((line["auc"] for line in _lines(self.root / EVALUATIONS)), default=0.0)

    def last_checkpoint(self) -> Path | None:
        """The newest one; None before the first."""
        return next(reversed(_checkpoints(self.root)), None)

    def checkpoint(self, step: int, *, keep: int) -> None:
        """Write `checkpoint-<step>` under another name and rename it, so that a killed run leaves whole ones only."""
        partial = self.root / f".checkpoint-{step}"
        settings = {"exclude_frozen_parameters": True} if self._deepspeed else {}
        with writing_to(self.root), disk_errors(partial):
            self._accelerator.save_state(str(partial), **settings)
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            partial.rename(self.root / f"checkpoint-{step}")
            for old in _checkpoints(self.root)[:-keep]:
                _remove(old)
        self._accelerator.wait_for_everyone()

    def _load(self, checkpoint: Path) -> None:
        try:
            self._accelerator.load_state(str(checkpoint), **({"load_module_strict": False} if self._deepspeed else {}))
        except InputError:
            raise
        except Exception as error:  # torch, safetensors and pickle raise many types for a broken file
            raise InputError(
                f"{checkpoint} cannot be loaded ({first_line(error)}): it is damaged or of another version; "
                "remove that folder to go on from the one before, or start over with --no-resume"
            ) from error
        self._accelerator.step = 0  # of its count of accumulated parts, which may now be others

    def _append(self, name: str, line: dict[str, Any]) -> None:
        if self._accelerator.is_main_process:
            with writing_to(self.root), (self.root / name).open("a") as file:
                file.write(json.dumps(line) + "\n")


def hold_trained_weights(accelerator: Accelerator) -> None:
    """Let `save_state` and `load_state` leave out frozen weights; checkpoints with all of them still load.

    FSDP and DeepSpeed write their own shards, and do not call upon this.
    """

    def save(models: list[nn.Module], weights: list[dict], folder: str) -> None:
        if weights:
            weights.clear()  # what is left here would be written as well
            if accelerator.is_main_process:
                trained = _trained(accelerator, models[0]).items()
                save_file({name: weight.detach().contiguous() for name, weight in trained}, Path(folder) / TRAINED)

    def load(models: list[nn.Module], folder: str) -> None:
        if models and (file := Path(folder) / TRAINED).is_file():
            _fill(_trained(accelerator, models.pop()), file)

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


@torch.no_grad()
def _fill(trained: dict[str, nn.Parameter], path: Path) -> None:
    saved = load_file(path)
    if wrong := sorted(saved.keys() ^ trained.keys()):
        raise InputError(
            f"{path.parent} is a checkpoint of another model (first difference: {wrong[0]}): "
            "choose another folder with out=..., or start over with --no-resume"
        )
    for name, weight in trained.items():
        weight.copy_(saved[name])


def _trained(accelerator: Accelerator, model: nn.Module) -> dict[str, nn.Parameter]:
    own = accelerator.unwrap_model(model).named_parameters()
    return {name: weight for name, weight in own if weight.requires_grad}


def check_run(root: Path, recipe: Recipe) -> None:
    """Raise InputError if the folder holds a run that this recipe would not continue."""
    if not (root / RECIPE).is_file() or not _checkpoints(root):
        return
    before, now = _settings(_recorded(root / RECIPE)), _settings(_plain(recipe))
    for key in sorted((before.keys() | now.keys()) - FREE):
        if before.get(key) != now.get(key):
            raise InputError(
                f"{root} holds a run with {key} {before.get(key)}, not {now.get(key)}: "
                "choose another folder with out=..., or start over with --no-resume"
            )


def _checkpoints(root: Path) -> list[Path]:
    """Oldest first; copies that somebody has put beside them are none."""
    return sorted((path for path in root.glob("checkpoint-*") if CHECKPOINT.fullmatch(path.name)), key=_step)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _remove(folder: Path) -> None:
    """A folder that is half removed when the run is killed is no longer under its name."""
    if folder.exists():
        hidden = folder.with_name(f".checkpoint-old-{folder.name}")
        folder.rename(hidden)
        shutil.rmtree(hidden)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a log; the last may be torn."""
    text = path.read_text() if path.exists() else ""
    return (json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n"))


def _forget_after(step: int, path: Path) -> None:
    """Drop the lines of steps that were done after the checkpoint and will be done again."""
    if path.exists():
        kept = "".join(json.dumps(line) + "\n" for line in _lines(path) if line["step"] <= step)
        with atomic_file(path) as partial:
            partial.write_text(kept)


def _recorded(path: Path) -> dict[str, Any]:
    """The recipe of an earlier run; keys that it did not know have their defaults."""
    try:
        merged = OmegaConf.merge(
            OmegaConf.structured(Recipe), with_new_names(OmegaConf.load(path), where=path, quiet=True)
        )
        return json.loads(json.dumps(OmegaConf.to_container(merged)))
    except OmegaConfBaseException as error:
        raise InputError(
            f"{path}: {error.full_key or 'recipe'}: {first_line(error)}; choose another folder with out=..., "
            "or start over with --no-resume"
        ) from error


def _plain(recipe: Recipe) -> dict[str, Any]:
    """As YAML gives it back: lists for tuples."""
    return json.loads(json.dumps(asdict(recipe)))


def _settings(recipe: dict[str, Any]) -> dict[str, Any]:
    """All settings by their dotted keys."""
    sections = (item for item in recipe.items() if isinstance(item[1], dict))
    return {f"{section}.{key}": value for section, values in sections for key, value in values.items()}
