"""Models as a training leaves them: adapters merged, in half precision, in folders that are whole or not there.

Calibrated models turn frame logits into probabilities by a scale and a zero point (Platt, 1999), fitted on held-out
exposure data only: half of the pictures (every other one); the other half measures it.
"""

from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from lavida.checkpoints.hub import CONFIG
from lavida.checkpoints.pretrained import LavidaModel, is_saved_model
from lavida.detector import Detector
from lavida.evaluation.held_out import QueryAnswer, exposure_answers
from lavida.files import atomic_file, atomic_folder
from lavida.training.adapter import SHARED_PRECISION, write_adapter
from lavida.training.trainable import plain_state


def save_model(accelerator: Accelerator, model: nn.Module, folder: Path) -> None:
    """Write `model`, which the accelerator has prepared, as a `LavidaModel`; the main one of all processes writes.

    An earlier model in the folder is replaced when the new one is whole.
    """
    state = accelerator.get_state_dict(model)
    if accelerator.is_main_process:
        plain: LavidaModel = accelerator.unwrap_model(model)
        with atomic_folder(folder, replaces=is_saved_model) as partial:
            plain.config.untrained = False
            plain.save_pretrained(partial, state_dict=plain_state(plain, state), weights=SHARED_PRECISION)
            write_adapter(plain, state, partial)


def calibrate_saved(folder: Path, *, root: Path, device: torch.device) -> None:
    """Calibrate a saved model, after its rounding to half precision, on the held-out sets below `root`."""
    detector = Detector.of(LavidaModel.from_pretrained(folder), name=str(folder), device=device)
    calibrate(detector, root)
    with atomic_file(folder / CONFIG) as partial:  # nothing else of the model changes
        detector.model.config.to_json_file(partial, use_diff=True)


def calibrate(detector: Detector, root: Path) -> None:
    """Set the calibration of the detector's model from the held-out sets below `root`."""
    temperature, bias = fit([answers for _, answers in exposure_answers(detector, root, calibrating=True)])
    detector.model.config.calibration_temperature = temperature
    detector.model.config.calibration_bias = bias


def fit(sets: list[list[QueryAnswer]]) -> tuple[float, float]:
    """Temperature and bias such that sigmoid((logit - bias) / temperature) is the share of positives.

    Every set weighs the same, whatever its size, and so do positives and negatives in it. A model that ranks no
    better than chance cannot be calibrated and keeps its logits: temperature 1, bias 0.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import

    logits, labels, weights = [], [], []
    for answers in sets:
        used = [a for a in answers if a.calibrates]
        for positive in (True, False):
            group = [a.logit for a in used if a.positive == positive]
            logits += group
            labels += [positive] * len(group)
            weights += [1 / len(group)] * len(group)
    scale = len(weights) / sum(weights)
    model = LogisticRegression(C=1e6)
    model.fit(np.array(logits)[:, None], labels, sample_weight=np.array(weights) * scale)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (1 / slope, -intercept / slope) if slope > 1e-3 else (1.0, 0.0)
