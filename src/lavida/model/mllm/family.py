"""The interface of a family of MLLMs: all that differs between them on the way from clips to hidden states."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from lavida.model.mllm.patches import pixel_values, static_cells
from lavida.model.prompt import ChatFormat, EncodedPrompt


class Grid(NamedTuple):
    """Visual tokens of one clip before compression, in time (groups of frames), height and width."""

    groups: int
    rows: int
    cols: int

    @property
    def tokens(self) -> int:
        """L_z."""
        return self.groups * self.rows * self.cols


@dataclass(frozen=True)
class VisualTokens:
    """What the vision tower says about B clips of one size; tokens in order of time, row, column.

    Attributes:
        tokens: Z of Eq. 3, `[B, L_z, D_z]`.
        deepstack: What some families add to the hidden states of the visual tokens after the first layers of the
            language model, one `[B, L_z, D_z]` a layer.
    """

    tokens: Tensor
    deepstack: tuple[Tensor, ...] = ()


class Family(ABC):
    """One family; `Semantics` knows no other way to a model.

    Class attributes:
        model_type: `config.model_type` of its checkpoints.
        chat: Its conversation format.
        mean, std: Normalisation of RGB in 0..1, as in the checkpoints' processors.
        axes: Rotary position axes, 3 (time, height, width) or 1.

    Attributes:
        temporal: Frames that become one visual token.
        cell: Pixels a side that become one visual token.
        tokens_per_pair: Most visual tokens for two frames, before compression.
    """

    model_type: ClassVar[str]
    chat: ClassVar[ChatFormat]
    mean: ClassVar[tuple[float, float, float]]
    std: ClassVar[tuple[float, float, float]]
    axes: ClassVar[int]
    temporal: int = 1
    cell: int

    def __init__(self, mllm: PreTrainedModel, *, tokens_per_pair: int) -> None:
        self.tokens_per_pair = tokens_per_pair

    def prepare(self, mllm: PreTrainedModel) -> None:  # noqa: B027 - most have nothing to do
        """Replace what is slow in a model by something equal; `Semantics` calls it once."""

    @abstractmethod
    def grid(self, frames: Tensor) -> Grid:
        """The visual tokens that clips `[..., T, 3, H, W]` become, within `tokens_per_pair`."""

    @abstractmethod
    def visual_tokens(self, mllm: PreTrainedModel, frames: Tensor, grid: Grid) -> VisualTokens:
        """Z of Eq. 3 for clips `[B, T, 3, H, W]` in 0..255."""

    def clip_markup(self, grid: Grid) -> Sequence[str | int]:
        """How the prompt writes a clip: text, and for each run of visual tokens their number.

        Runs are in the order of the tokens and their numbers sum to L_z. Text beside a run must end
        with a special token there, so that it is encoded as in the running text.
        """
        return [grid.tokens]

    def positions(self, mllm: PreTrainedModel, prompt: EncodedPrompt, grid: Grid) -> Tensor:
        """Rotary positions `[axes, L]` of the full sequence, before compression."""
        return torch.arange(len(prompt.input_ids)).expand(self.axes, -1)

    def embed(self, mllm: PreTrainedModel, input_ids: Tensor) -> Tensor:
        """Embeddings `[L, D_z]` of what is not a visual token."""
        return mllm.get_input_embeddings()(input_ids)

    def text_model(self, mllm: PreTrainedModel) -> nn.Module:
        """The language model without its head."""
        return mllm.model.language_model

    def language(
        self,
        mllm: PreTrainedModel,
        embeds: Tensor,
        positions: Tensor,
        mask: Tensor,
        *,
        visual: Tensor | None = None,
        deepstack: Sequence[Tensor] = (),
        cache: Cache | None = None,
    ) -> Tensor:
        """Last hidden state `[B, L, D_llm]` after the final norm, in one prefill.

        Args:
            mllm: The model.
            embeds: `[B, L, D_z]`, padded on the right.
            positions: `[axes, B, L]`.
            mask: `[B, P + L]`, 0 at padding; P is the length of what `cache` holds.
            visual: Bool `[B, L]`, where visual tokens stand; only with `deepstack`.
            deepstack: For each of the first layers `[visual tokens of the batch, D_z]`.
            cache: Keys and values of a prefix; it grows by those of this call.
        """
        language = self.text_model(mllm)
        return language(
            inputs_embeds=embeds,
            position_ids=positions if self.axes > 1 else positions[0],
            attention_mask=mask,
            use_cache=cache is not None,
            **({} if cache is None else {cache_argument(language): cache}),
            **(self.language_extras(visual, deepstack) if deepstack else {}),
        ).last_hidden_state

    def language_extras(self, visual: Tensor, deepstack: Sequence[Tensor]) -> dict:
        """How the family's language model takes deep features, if it has any."""
        raise NotImplementedError

    def static(self, frames: Tensor, grid: Grid, threshold: float) -> Tensor:
        """Bool `[B, L_z]`: visual tokens whose pixels hardly differ from those of the first group of frames."""
        size = grid.rows * self.cell, grid.cols * self.cell
        pixels = pixel_values(frames, size, mean=self.mean, std=self.std)
        return static_cells(pixels, cell=self.cell, temporal=self.temporal, threshold=threshold)


def cache_argument(language: nn.Module) -> str:
    """What a language model of transformers calls its keys and values: 5.24 renamed `past_key_values` to `cache`."""
    return "cache" if "cache" in inspect.signature(language.forward).parameters else "past_key_values"
