"""The folder of a training run, which may be killed at any moment: recipe, losses, checkpoints."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from omegaconf import OmegaConf

from lavida.errors import InputError
from lavida.training.recipe import Recipe

RECIPE, LOSSES = "recipe.yaml", "losses.jsonl"
# what may differ when a run goes on
FREE = {"data.root", "calibrate"} | {
    f"train.{key}" for key in ("workers", "checkpoint_every", "log_every", "keep_checkpoints")
}


class RunFolder:
    """`recipe.yaml`, `losses.jsonl` and `checkpoint-<step>` below `root`."""

    def __init__(self, root: Path, accelerator: Accelerator):
        self.root = root
        self._accelerator = accelerator

    def check(self, recipe: Recipe) -> None:
        """Raise InputError if the folder holds a run that this recipe would not continue."""
        if not (self.root / RECIPE).is_file() or not self._checkpoints():
            return
        before = _settings(OmegaConf.to_container(OmegaConf.load(self.root / RECIPE)))
        now = _settings(_plain(recipe))
        for key in sorted((before.keys() | now.keys()) - FREE):
            if before.get(key) != now.get(key):
                raise InputError(
                    f"{self.root} holds a run with {key} {before.get(key)}, not {now.get(key)}: "
                    "choose another folder with out=..., or start over with --no-resume"
                )

    def enter(self, recipe: Recipe, *, resume: bool) -> int:
        """Load the newest checkpoint into what the accelerator has prepared; return the step to go on from.

        Without `resume`, checkpoints and losses of an earlier run are removed.
        """
        if self._accelerator.is_main_process:
            self.root.mkdir(parents=True, exist_ok=True)
            for left in [*self.root.glob(".checkpoint-*"), *([] if resume else self._checkpoints())]:
                shutil.rmtree(left)
            OmegaConf.save(OmegaConf.create(_plain(recipe)), self.root / RECIPE)
        self._accelerator.wait_for_everyone()
        done = 0
        if checkpoints := self._checkpoints():
            self._accelerator.load_state(str(checkpoints[-1]))
            done = _step(checkpoints[-1])
        if self._accelerator.is_main_process:
            self._forget_losses_after(done)
        return done

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append a line to `losses.jsonl` and tell the tracker, if there is one."""
        self._accelerator.log(values, step=step)
        if self._accelerator.is_main_process:
            with (self.root / LOSSES).open("a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")

    def checkpoint(self, step: int, *, keep: int) -> None:
        """Write `checkpoint-<step>` under another name and rename it, so that a killed run leaves whole ones only."""
        partial = self.root / f".checkpoint-{step}"
        self._accelerator.save_state(str(partial))
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            partial.rename(self.root / f"checkpoint-{step}")
            for old in self._checkpoints()[:-keep]:
                shutil.rmtree(old)
        self._accelerator.wait_for_everyone()

    def _checkpoints(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.root.glob("checkpoint-*"), key=_step)

    def _forget_losses_after(self, step: int) -> None:
        """Drop the lines of steps that were done after the checkpoint and will be done again."""
        losses = self.root / LOSSES
        lines = losses.read_text().splitlines(keepends=True) if losses.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        losses.write_text("".join(kept))


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _plain(recipe: Recipe) -> dict[str, Any]:
    """As YAML gives it back: lists for tuples."""
    return json.loads(json.dumps(asdict(recipe)))


def _settings(recipe: dict[str, Any]) -> dict[str, Any]:
    """All settings by their dotted keys."""
    sections = (item for item in recipe.items() if isinstance(item[1], dict))
    return {f"{section}.{key}": value for section, values in sections for key, value in values.items()}
