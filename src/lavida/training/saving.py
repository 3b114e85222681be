"""Models as a training leaves them: adapters merged, in half precision, in folders that are whole or not there."""

import os
import tempfile
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from lavida.detector import Detector
from lavida.errors import mendable
from lavida.export.folder import finished_folder
from lavida.model.hub import CONFIG
from lavida.model.lavida import LavidaModel
from lavida.training.adapter import SHARED_PRECISION, write_adapter
from lavida.training.calibration import calibrate
from lavida.training.trainable import plain_state


def save_model(accelerator: Accelerator, model: nn.Module, folder: Path) -> None:
    """Write the model that is trained as a `LavidaModel`; called by all processes, of which the main one writes.

    Args:
        accelerator: has prepared `model`.
        model: what is trained.
        folder: an earlier model in it is replaced when the new one is whole.
    """
    state = accelerator.get_state_dict(model)
    if accelerator.is_main_process:
        plain: LavidaModel = accelerator.unwrap_model(model)
        with finished_folder(folder, replaces=CONFIG) as partial:
            plain.config.untrained = False
            plain.save_pretrained(partial, state_dict=plain_state(plain, state), weights=SHARED_PRECISION)
            write_adapter(plain, state, partial)


def calibrate_saved(folder: Path, *, root: Path, device: torch.device) -> None:
    """Calibrate a saved model, after its rounding to half precision, on the held-out sets below `root`."""
    detector = Detector(LavidaModel.from_pretrained(folder), name=str(folder), device=device)
    calibrate(detector, root)
    with mendable(folder), tempfile.TemporaryDirectory(dir=folder.parent, prefix=".calibrated-") as partial:
        detector.model.config.save_pretrained(partial)
        os.replace(Path(partial) / CONFIG, folder / CONFIG)  # nothing else of the model changes
