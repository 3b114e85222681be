"""Several processes: `lavida train RECIPE --launch FILE` starts itself anew under `accelerate launch`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
import yaml

from lavida.errors import InputError
from lavida.training.steps import check_deepspeed


def launch(file: Path, arguments: Sequence[str]) -> NoReturn:
    """Become `accelerate launch --config_file FILE -m lavida ARGUMENTS`.

    Args:
        file: such as `configs/accelerate/ddp.yaml`.
        arguments: of `lavida`, from `train` on.

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
    wanted = settings.get("num_processes", 1) // max(1, settings.get("num_machines", 1))
    there = torch.cuda.device_count()
    if kind in ("MULTI_GPU", "FSDP", "DEEPSPEED") and wanted > there:
        raise InputError(
            f"{file} asks for {wanted} GPUs on this machine, which has {there}: change num_processes in it, "
            "or train without --launch"
        )
