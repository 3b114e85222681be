"""Checkpoints hold only the weights that training changes: the frozen ones come from where the model comes from."""

from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from lavida.errors import InputError

TRAINED = "trained.safetensors"


def hold_trained_weights(accelerator: Accelerator) -> None:
    """Let `save_state` and `load_state` leave out frozen weights; checkpoints with all of them still load.

    FSDP and DeepSpeed write their own shards, and do not call upon this.
    """

    def save(models: list[nn.Module], weights: list[dict], folder: str) -> None:
        if weights:
            weights.clear()  # what is left here would be written as well
            if accelerator.is_main_process:
                trained = _trained(accelerator, models[0])
                save_file({name: weight.detach().contiguous() for name, weight in trained.items()}, _file(folder))

    def load(models: list[nn.Module], folder: str) -> None:
        if models and _file(folder).is_file():
            _fill(_trained(accelerator, models.pop()), _file(folder))

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


def _file(folder: str) -> Path:
    return Path(folder) / TRAINED
