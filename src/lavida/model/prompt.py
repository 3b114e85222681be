"""`<SEG>` in the vocabulary, and the prompt around the video and the categories (paper, 3.5) as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lavida.errors import InputError
from lavida.model.wording import (
    ANSWER,
    MAX_CATEGORY_TOKENS,
    SEG_TOKEN,
    TEMPLATES,
    ChatFormat,
    clean_category,
    encode_categories,
    encode_plain,
)

__all__ = [
    "ANSWER",
    "IGNORED",
    "MAX_CATEGORY_TOKENS",
    "SEG_TOKEN",
    "TEMPLATES",
    "ChatFormat",
    "EncodedPrompt",
    "add_seg_token",
    "clean_category",
    "encode_plain",
    "encode_prompt",
]

IGNORED = -100


@dataclass(frozen=True)
class EncodedPrompt:
    """One conversation as token ids.

    Attributes:
        input_ids: `[L]` int64.
        labels: `[L]` int64, the ids of the assistant's answer, -100 elsewhere.
        seg_position: Index of `<SEG>` in `input_ids`, behind all visual tokens.
        visual: `[L_z]` int64, ascending: where the visual tokens stand; there may be text between them.
    """

    input_ids: Tensor
    labels: Tensor
    seg_position: int
    visual: Tensor


@torch.no_grad()
def add_seg_token(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Extend a pretrained vocabulary with `<SEG>` (paper, 3.5); a second call changes nothing.

    The embedding matrix grows only if it has no spare row. The new row starts at the mean of the known ones,
    so that the untrained token looks like an ordinary word to the language model.

    Returns:
        The id of `<SEG>`.
    """
    known = len(tokenizer)
    added = tokenizer.add_tokens([AddedToken(SEG_TOKEN, special=True)], special_tokens=True)
    seg_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    rows = model.get_input_embeddings().num_embeddings
    if added == 0 and seg_id < rows:
        return seg_id
    if seg_id >= rows:
        model.resize_token_embeddings(seg_id + 1, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight[seg_id] = layer.weight[: min(known, seg_id)].mean(dim=0, dtype=torch.float32)
    return seg_id


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase,
    categories: Sequence[str],
    *,
    chat: ChatFormat,
    clip: Sequence[str | int],
    template: int = 0,
) -> EncodedPrompt:
    """Fill the categories into a template and encode the conversation (the text half of Eq. 5).

    Category text is data. The ids are put together from pieces, so whatever a category spells, the visual tokens
    and the one `<SEG>` stand at positions known by construction.

    Args:
        tokenizer: A fast tokenizer that knows `<SEG>` and the tokens of `chat`.
        categories: K anomaly descriptions; each is cut after 32 tokens.
        chat: The conversation format of the MLLM's family.
        clip: How the family writes the clip: text, and numbers of visual tokens before compression.
        template: Index into `TEMPLATES`.

    Raises:
        InputError: If there is no category or one is empty, or the tokenizer does not know a special token.
    """
    if not categories:
        raise InputError("no anomaly categories: give at least one, for example 'a person falling'")
    video_id, seg_id = _token_id(tokenizer, chat.video_token), _token_id(tokenizer, SEG_TOKEN)
    before, after = TEMPLATES[template].split(" {c}")  # the space goes with the category, as in running text
    pieces: list[str | int] = [chat.before_video, *clip, chat.after_video + before]
    ids: list[int] = []
    visual: list[int] = []
    for is_text, run in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if is_text:
            ids += _encode_markup(tokenizer, "".join(map(str, run)))
        else:
            count = sum(map(int, run))
            visual += range(len(ids), len(ids) + count)
            ids += [video_id] * count
    ids += encode_categories(tokenizer.backend_tokenizer, categories)
    ids += _encode_markup(tokenizer, after + chat.before_answer)
    answer = _encode_markup(tokenizer, chat.answer_start + ANSWER + chat.after_answer)
    return EncodedPrompt(
        input_ids=torch.tensor(ids + answer),
        labels=torch.tensor([IGNORED] * len(ids) + answer),
        seg_position=len(ids) + answer.index(seg_id),
        visual=torch.tensor(visual),
    )


def _token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    token_id = tokenizer.convert_tokens_to_ids(token)
    if token_id is None or tokenizer.convert_ids_to_tokens(token_id) != token:
        raise InputError(f"the tokenizer does not know {token}: it belongs to another model, or <SEG> was not added")
    return token_id


def _encode_markup(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
