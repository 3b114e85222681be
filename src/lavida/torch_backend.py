"""A `LavidaModel` that is asked about clips, with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from lavida.answer import Answer, AskedClip, Calibration, Floats, Motion, Surroundings
from lavida.checkpoints.pretrained import LavidaModel
from lavida.device import autocast, peak_gpu_memory_mb
from lavida.errors import InputError
from lavida.model.config import LavidaConfig
from lavida.model.kernels import has_fast_bf16
from lavida.model.predictor import Predictor


class TorchBackend:
    """A model on a device.

    Attributes:
        model: In evaluation mode, on `device`; its language model in bf16 if that is fast and it was in float16.
        device: Where it runs.
        autocast: A context for its forward pass: bf16 where that is fast.
    """

    def __init__(self, model: LavidaModel, device: torch.device) -> None:
        self.model = model.to(device).eval()
        if has_fast_bf16(device):
            hold_in_bf16(self.model)
        self.device = device
        self.autocast: Callable[[], AbstractContextManager] = autocast(device)
        self._prepared: Predictor | None = None

    def prepare(self) -> None:
        """Make answers faster (`Predictor`); later changes of the model's weights are then not seen."""
        self._prepared = Predictor(self.model, device=self.device)

    @property
    def config(self) -> LavidaConfig:
        """The model's settings."""
        return self.model.config

    def expect(self, height: int, width: int, categories: Sequence[str]) -> None:
        """See `Backend`: nothing is to be opened."""

    @torch.inference_mode()
    def answer(
        self,
        frames: NDArray[np.uint8],
        categories: Sequence[str],
        *,
        motion: Motion | None = None,
        template: int | None = None,
    ) -> Answer:
        """See `Backend`. Raises InputError if the device has not enough memory."""
        asked = {} if template is None else {"template": [template]}
        try:
            with self.autocast():
                clip = torch.from_numpy(frames)[None].to(self.device)
                moving = None if motion is None else torch.from_numpy(motion)[None].to(self.device)
                output = (self._prepared or self.model)(clip, [list(categories)], motion=moving, **asked)
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"not enough memory on {self.device} for {len(categories)} categories: "
                "give fewer at a time, free the device, or choose --device cpu"
            ) from error
        evidence, categories_apart = output.evidence, output.category_logits
        return Answer.of(
            _array(output.frame_logits[0]),
            None if categories_apart is None else _array(categories_apart[0]),
            Calibration.of(self.config),
            count=len(categories),
            pixel_logits=_array(output.pixel_logits[0]),
            pixel_maps=lambda: _array(self.model.pixel_maps(output)[0]),
            strongest=None if evidence is None else partial(_strongest, evidence[0]),
            clean_masks=self.config.clean_masks,
        )

    def answers(self, clips: Iterable[AskedClip], categories: Sequence[str]) -> Iterator[Answer]:
        """See `Backend`: clips as a whole, one after another."""
        return (self.answer(frames, categories, motion=motion) for frames, motion in clips)

    def unfamiliar(self, categories: Sequence[str]) -> list[str]:
        """See `Backend`."""
        return self.model.unfamiliar(categories)

    def surroundings(self) -> Surroundings:
        """See `Backend`."""
        precision = "bf16" if has_fast_bf16(self.device) else "float32"
        settings = {"device": str(self.device), "runtime": "torch", "precision": precision}
        return Surroundings(settings, {"torch": torch.__version__}, peak_gpu_memory_mb(self.device))


def hold_in_bf16(model: LavidaModel) -> None:
    """Hold what is in float16 (a language model) in bf16, in place: autocast takes no weights of the other half."""
    halves = [weight for weight in model.parameters() if weight.dtype == torch.float16]
    for weight in halves:  # not `model.to`, which would round the frequencies of rotary positions too
        weight.data = weight.data.to(torch.bfloat16)
    if halves:
        model.config.mllm_dtype = "bfloat16"


def _array(values: torch.Tensor) -> Floats:
    return values.float().cpu().numpy()


def _strongest(evidence: torch.Tensor, t: int) -> NDArray[np.uint8]:
    return evidence[t].argmax(0).to(torch.uint8).cpu().numpy()
