"""A cheaper prefill: keys and values of the chat before the video are kept, and flash-attention where it works."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.utils import is_flash_attn_2_available

from lavida.model.kernels import attention_kernel, has_fast_bf16
from lavida.model.mllm.family import Family

SIZE = 8  # a video needs one; a SmolVLM prefix names the length of the clip, so the last clip has its own
SDPA, FLASH = "sdpa", "flash_attention_2"


def fastest(device: torch.device, dtype: torch.dtype) -> str:
    """transformers' name of the implementation for weights of this precision on this device.

    Flash-attention needs its package, a CUDA device that it has kernels for, and half precision.
    """
    usable = device.type == "cuda" and dtype in (torch.float16, torch.bfloat16) and is_flash_attn_2_available()
    return FLASH if usable and has_fast_bf16(device) else SDPA


def prefer_flash(mllm: PreTrainedModel) -> None:
    """Switch a model from SDPA, the default, to flash-attention 2 and back as its device and precision allow.

    A model that was given another implementation on purpose keeps it.
    """
    current = attention_kernel(mllm)
    if current in (SDPA, FLASH):
        weight = mllm.get_input_embeddings().weight
        if (wanted := fastest(weight.device, weight.dtype)) != current:
            mllm.set_attn_implementation(wanted)


@dataclass(frozen=True)
class Prefix:
    """`[1, heads, P, width]` keys and values of each layer."""

    layers: list[tuple[Tensor, Tensor]]

    def cache(self, batch: int) -> DynamicCache:
        """A cache that holds this prefix for each of `batch` sequences; what is added to it does not change this."""
        cache = DynamicCache()
        for index, states in enumerate(self.layers):
            cache.update(*(state.expand(batch, -1, -1, -1) for state in states), index)
        return cache


class PrefixCache:
    """Remembers prefixes of one model, until `forget`: it cannot know that weights have changed."""

    def __init__(self) -> None:
        self._known: dict[tuple, Prefix] = {}

    def forget(self) -> None:
        """Drop all; needed after the model's weights change."""
        self._known.clear()

    def prefix(self, family: Family, mllm: PreTrainedModel, ids: tuple[int, ...]) -> Prefix:
        """The prefix of these token ids, which stand at positions 0, 1, ..."""
        weight = mllm.get_input_embeddings().weight
        kind = weight.device.type
        autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        key = (ids, weight.device, weight.dtype, autocast)
        if (known := self._known.get(key)) is None:
            if len(self._known) >= SIZE:
                self._known.pop(next(iter(self._known)))
            known = self._known[key] = self._compute(family, mllm, torch.tensor(ids, device=weight.device))
        return known

    @staticmethod
    @torch.no_grad()
    def _compute(family: Family, mllm: PreTrainedModel, ids: Tensor) -> Prefix:
        cache = DynamicCache()
        positions = torch.arange(len(ids), device=ids.device)
        family.language(
            mllm,
            family.embed(mllm, ids)[None],
            positions.expand(family.axes, 1, -1),
            torch.ones_like(ids)[None],
            cache=cache,
        )
        return Prefix([(layer.keys, layer.values) for layer in cache.layers])
