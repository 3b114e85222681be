"""The same network, ready to be asked and not to be trained: half the memory traffic, the same answers."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from lavida.model.backbone import EfficientNetLiteBackbone
from lavida.model.decoder import Decoded
from lavida.model.kernels import has_fast_bf16
from lavida.model.lavida import LavidaNetwork, LavidaOutput
from lavida.model.rounding import bf16_keeping_sums

# on a CPU: more frames would make maps above 32 MB, which the C library takes from the system anew every time
PIXELS_AT_ONCE = 2 * 704 * 384
MATRIX_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)  # what autocast runs in half precision
SHARED = ("semantics", "text")


class Predictor:
    """A copy of a network without what only training needs, called as `LavidaNetwork.forward` is.

    The weights of layers that autocast would cast at every call are cast once, in copies, but for a few delicate ones,
    which stay in float32. The MLLM and the text encoder, which are read once a clip and once a category, and the
    configuration are those of the network itself. On a CPU the frames of a clip are encoded and decoded a few at a
    time.

    Args:
        network: In evaluation mode, on `device`; neither changed nor, where weights are cast, shared.
        device: Where it is asked; `device.autocast` must be the context of every call.
        dtype: Precision of the copies, None: that of the weights; by default bf16 where that is fast.
        pixels_at_once: Of all frames that are looked at together; by default as many as the device likes.
    """

    def __init__(
        self,
        network: LavidaNetwork,
        *,
        device: torch.device,
        dtype: torch.dtype | str | None = "auto",
        pixels_at_once: int | None = None,
    ) -> None:
        if dtype == "auto":
            dtype = torch.bfloat16 if has_fast_bf16(device) else None
        self._network = _inference_copy(network, dtype)
        self._pixels_at_once = PIXELS_AT_ONCE if pixels_at_once is None and device.type == "cpu" else pixels_at_once

    def __call__(
        self,
        frames: torch.Tensor,
        categories: Sequence[Sequence[str]],
        *,
        motion: torch.Tensor | None = None,
        template: Sequence[int] | None = None,
    ) -> LavidaOutput:
        """Read each clip as a whole with the MLLM, then its frames; arguments as in `LavidaNetwork.forward`."""
        f_sem, _ = self._network.clip_semantics(frames, categories, template=template)  # [B, D_llm]
        batch, length, _, height, width = frames.shape
        step = length if self._pixels_at_once is None else max(1, self._pixels_at_once // (batch * height * width))
        outputs = []
        for start in range(0, length, step):
            some = slice(start, start + step)
            features = self._network.encode(frames[:, some], None if motion is None else motion[:, some])
            outputs.append(self._network.decode(features, f_sem, categories))
        return outputs[0] if len(outputs) == 1 else _joined(outputs, batch=batch)


def _inference_copy(network: LavidaNetwork, dtype: torch.dtype | None) -> LavidaNetwork:
    shared = [network.config, *(network.get_submodule(name) for name in SHARED)]
    twin = copy.deepcopy(network, {id(each): each for each in shared})  # the memo's entries count as copied
    for name, part in twin.named_children():
        if name in SHARED:
            continue
        for layer in part.requires_grad_(False).modules():
            if dtype is not None and isinstance(layer, EfficientNetLiteBackbone):
                for delicate in layer.delicate():
                    delicate.exact = True
            if not isinstance(layer, MATRIX_LAYERS):
                continue
            if dtype is not None and not getattr(layer, "exact", False):
                if dtype is torch.bfloat16 and isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
                    _round(layer)
                layer.to(dtype)
            if layer.weight.ndim == 4:
                layer.to(memory_format=torch.channels_last)
    return twin.eval()


def _round(depthwise: nn.Conv2d) -> None:
    kernels = depthwise.weight
    rounded = bf16_keeping_sums(kernels.flatten(1).float().cpu().numpy())
    kernels.copy_(torch.from_numpy(rounded).view(kernels.shape))


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
        noun_evidence=joined("noun_evidence"),
        decoded=Decoded(decoded("object_logits"), decoded("mask_logits"), decoded("iou_scores")),
        text_loss=None,
    )
