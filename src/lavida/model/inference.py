"""The same model, ready to be asked and not to be trained: half the memory traffic, the same answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn

from lavida.model.decoder import Decoded, MultiLevelMaskDecoder
from lavida.model.kernels import has_fast_bf16
from lavida.model.lavida import LavidaNetwork, LavidaOutput
from lavida.model.vision import VisionEncoder

Answer = Callable[..., LavidaOutput]  # called as `LavidaModel.forward` is

# on a CPU: more frames would make maps above 32 MB, which the C library takes from the system anew every time
PIXELS_AT_ONCE = 2 * 704 * 384
MATRIX_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)  # what autocast runs in half precision
PARTS = ("motion", "frame_semantics", "projector", "alignment", "presence_to_semantics")  # beside SAM 2's


def prepared_for_inference(model: LavidaNetwork, *, device: torch.device) -> Answer:
    """`model` without what only training needs; its own weights are neither changed nor shared where they are cast.

    The weights of layers that autocast would cast at every call are cast once, in copies; the MLLM and the text
    encoder, which are read once a clip and once a category, are used as they are. On a CPU the frames of a clip are
    looked at a few at a time.

    Args:
        model: in evaluation mode, on `device`.
        device: where it is asked; `device.autocast` must be the context of every call.
    """
    twin = copy.copy(model)
    twin.__dict__["_modules"] = dict(model._modules)  # a shallow copy would share the dict itself
    dtype = torch.bfloat16 if has_fast_bf16(device) else None
    twin.sam2 = _cast(model.sam2, dtype)
    twin.vision = VisionEncoder(twin.sam2, mean=model.vision.mean, std=model.vision.std)
    twin.decoder = MultiLevelMaskDecoder(twin.sam2)
    for name in PARTS:
        if (part := model._modules.get(name)) is not None:
            twin._modules[name] = _cast(part, dtype)
    twin.eval()
    return _InParts(twin) if device.type == "cpu" else twin


def _cast(part: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    part = copy.deepcopy(part).requires_grad_(False)
    for layer in part.modules():
        if not isinstance(layer, MATRIX_LAYERS):
            continue
        if dtype is not None:
            layer.to(dtype)
        if layer.weight.ndim == 4:
            layer.to(memory_format=torch.channels_last)
    return part


class _InParts:
    """Reads a clip as a whole with the MLLM, then looks at a few of its frames at a time."""

    def __init__(self, model: LavidaNetwork) -> None:
        self._model = model

    def __call__(
        self,
        frames: torch.Tensor,
        categories: Sequence[Sequence[str]],
        *,
        motion: torch.Tensor | None = None,
        template: Sequence[int] | None = None,
    ) -> LavidaOutput:
        f_sem, _ = self._model.clip_semantics(frames, categories, template=template)  # [B, D_llm]
        batch, length, _, height, width = frames.shape
        step = max(1, PIXELS_AT_ONCE // (batch * height * width))
        outputs = [
            self._model.look(
                frames[:, start : start + step],
                f_sem,
                categories,
                motion=None if motion is None else motion[:, start : start + step],
            )
            for start in range(0, length, step)
        ]
        return outputs[0] if len(outputs) == 1 else _joined(outputs, batch=batch)


def _joined(outputs: list[LavidaOutput], *, batch: int) -> LavidaOutput:
    """One output of consecutive frames from those of their parts."""

    def joined(field: str) -> torch.Tensor | None:
        values = [getattr(output, field) for output in outputs]
        return None if values[0] is None else torch.cat(values, 1)

    def decoded(field: str) -> torch.Tensor:  # [B*T, ...] each
        values = [getattr(output.decoded, field).unflatten(0, (batch, -1)) for output in outputs]
        return torch.cat(values, 1).flatten(0, 1)

    return LavidaOutput(
        frame_logits=joined("frame_logits"),
        pixel_logits=joined("pixel_logits"),
        category_logits=joined("category_logits"),
        evidence=joined("evidence"),
        decoded=Decoded(decoded("object_logits"), decoded("mask_logits"), decoded("iou_scores")),
        text_loss=None,
    )
