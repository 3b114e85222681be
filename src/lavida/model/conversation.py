"""What the language model reads of one clip: text and merged visual tokens in order, each at its position."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lavida.model.clip_tokens import ClipTokens
from lavida.model.mllm import Family, Grid
from lavida.model.prompt import encode_prompt

CACHE_SIZE = 256


@dataclass(frozen=True)
class Conversation:
    """One prompt, ready for the clips that share it; its tensors lie on the model's device.

    Attributes:
        prefix: The token ids before the first visual token.
        positions: `[axes, L]`, rotary positions of the full sequence, L_z visual tokens included.
        labels: `[L]` int64, the ids of the assistant's answer, -100 elsewhere.
        text: Where the text stands; `text_ids` are its ids.
        visual: `[L_z]`, where the visual tokens stand.
        seg: Where `<SEG>` stands.
    """

    prefix: tuple[int, ...]
    positions: Tensor
    labels: Tensor
    text: Tensor
    text_ids: Tensor
    visual: Tensor
    seg: int


@dataclass(frozen=True)
class ReadSequence:
    """What the language model reads of one clip, L tokens.

    Attributes:
        embeds: `[L, D_z]`.
        positions: `[L, axes]`.
        labels: `[L]`.
        visual: Bool `[L]`, which are visual tokens.
        deepstack: For the first layers, what is added to those.
        seg: Where `<SEG>` is.
    """

    embeds: Tensor
    positions: Tensor
    labels: Tensor
    visual: Tensor
    deepstack: tuple[Tensor, ...]
    seg: int

    def __len__(self) -> int:
        return len(self.embeds)


class Conversations:
    """Writes and remembers the prompts of one model, since the clips of a video share theirs."""

    def __init__(self) -> None:
        self._known: dict[tuple, Conversation] = {}

    def conversation(
        self,
        tokenizer: PreTrainedTokenizerBase,
        family: Family,
        mllm: PreTrainedModel,
        *,
        categories: tuple[str, ...],
        template: int,
        clip: ClipTokens,
    ) -> Conversation:
        """The conversation about a clip.

        Args:
            tokenizer: That of `mllm`.
            family: That of `mllm`.
            mllm: Knows the positions.
            categories: The clip's anomaly descriptions.
            template: Index into `prompt.TEMPLATES`.
            clip: Its tokens, for their grid and device.

        Raises:
            InputError: If there is no category or one is empty.
        """
        key = (categories, template, clip.grid, clip.tokens.device)
        if (known := self._known.get(key)) is None:
            if len(self._known) >= CACHE_SIZE:
                self._known.pop(next(iter(self._known)))
            with torch.inference_mode(False):  # what is remembered while validating must serve training too
                known = self._known[key] = _write(tokenizer, family, mllm, *key)
        return known


def _write(
    tokenizer: PreTrainedTokenizerBase,
    family: Family,
    mllm: PreTrainedModel,
    categories: tuple[str, ...],
    template: int,
    grid: Grid,
    device: torch.device,
) -> Conversation:
    markup = family.clip_markup(grid)
    encoded = encode_prompt(tokenizer, categories, chat=family.chat, clip=markup, template=template)
    is_text = torch.ones_like(encoded.input_ids, dtype=torch.bool).index_fill(0, encoded.visual, False)
    text = is_text.nonzero().squeeze(1)
    return Conversation(
        prefix=tuple(encoded.input_ids[: encoded.visual[0]].tolist()),
        positions=family.positions(mllm, encoded, grid).to(device),
        labels=encoded.labels.to(device),
        text=text.to(device),
        text_ids=encoded.input_ids[text].to(device),
        visual=encoded.visual.to(device),
        seg=encoded.seg_position,
    )


def read_sequence(
    family: Family, mllm: PreTrainedModel, conversation: Conversation, clip: ClipTokens, *, keep_positions: bool
) -> ReadSequence:
    """The full sequence without the visual tokens that are gone.

    Args:
        family: That of `mllm`.
        mllm: Embeds the text.
        conversation: What is said about the clip.
        clip: Its compressed tokens.
        keep_positions: What is left keeps its positions in the full sequence; else it is numbered anew.
    """
    text = family.embed(mllm, conversation.text_ids)
    places, order = torch.cat([conversation.text, conversation.visual[clip.places]]).sort()
    positions = conversation.positions[:, places].T
    if not keep_positions:
        positions = torch.arange(len(places), device=places.device)[:, None].expand_as(positions)
    return ReadSequence(
        embeds=torch.cat([text, clip.tokens.to(text.dtype)])[order],
        positions=positions,
        labels=conversation.labels[places],
        visual=order >= len(text),
        deepstack=clip.deepstack,
        seg=conversation.seg - len(conversation.visual) + len(clip.tokens),
    )
