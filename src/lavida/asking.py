"""Asks a `LavidaModel` about a clip, with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from lavida.answer import Answer, Calibration, Floats
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.model.predictor import Predictor
from lavida.video.clips import Clip


@torch.inference_mode()
def ask(
    model: LavidaModel,
    clip: Clip,
    categories: Sequence[str],
    *,
    prepared: Predictor | None,
    template: int | None,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager],
) -> Answer:
    """The answer of a model on `device`, given by its `prepared` twin if there is one.

    Raises InputError if the device has not enough memory.
    """
    asked = {} if template is None else {"template": [template]}
    try:
        with autocast():
            frames = torch.from_numpy(clip.frames)[None].to(device)
            motion = None if clip.motion is None else torch.from_numpy(clip.motion)[None].to(device)
            output = (prepared or model)(frames, [list(categories)], motion=motion, **asked)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"not enough memory on {device} for {len(categories)} categories: "
            "give fewer at a time, free the device, or choose --device cpu"
        ) from error
    evidence, categories_apart, config = output.evidence, output.category_logits, model.config
    return Answer.of(
        _array(output.frame_logits[0]),
        None if categories_apart is None else _array(categories_apart[0]),
        Calibration(config.calibration_temperature, config.calibration_bias),
        count=len(categories),
        pixel_logits=_array(output.pixel_logits[0]),
        pixel_maps=lambda: _array(model.pixel_maps(output)[0]),
        strongest=None if evidence is None else partial(_strongest, evidence[0]),
        clean_masks=config.clean_masks,
    )


def _array(values: torch.Tensor) -> Floats:
    return values.float().cpu().numpy()


def _strongest(evidence: torch.Tensor, t: int) -> NDArray[np.uint8]:
    return evidence[t].argmax(0).to(torch.uint8).cpu().numpy()
