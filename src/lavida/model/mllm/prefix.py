"""Keys and values of the chat up to the first visual token, computed once and reused for all clips of a video."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from lavida.model.mllm.family import Family

SIZE = 8  # a video needs one; a SmolVLM prefix names the length of the clip, so the last clip has its own


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
