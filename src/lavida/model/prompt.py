"""`<SEG>` in the vocabulary, and the prompt around the video and the categories (paper, 3.5) as token ids."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lavida.errors import InputError

SEG_TOKEN = "<SEG>"
# `{c}` stands for the categories. The first one is the paper's and the only one used at test time.
TEMPLATES = (
    "Find the anomaly in this video. Anomaly types may contain {c}.",
    "Is there anything abnormal in this video? It may be {c}.",
    "Detect the abnormal objects or events in this video, such as {c}.",
    "Watch the video and point out the anomaly. Possible anomalies: {c}.",
    "In this scene the following counts as abnormal: {c}. Where is it?",
    "Please locate any of these anomalies in the video: {c}.",
)
ANSWER = f"Sure, it is {SEG_TOKEN}."
MAX_CATEGORY_TOKENS = 32
IGNORED = -100


@dataclass(frozen=True)
class ChatFormat:
    """How one family of MLLMs writes a conversation about one video: its markup, special tokens included.

    Attributes:
        before_video: From the start to the clip.
        video_token: The placeholder that visual tokens replace.
        after_video: Between the clip and the question.
        before_answer: From the question to the answer, the prompt for generation.
        answer_start: What the answer begins with and the prompt for generation does not end with.
        after_answer: The end of the assistant's turn.
    """

    before_video: str
    video_token: str
    before_answer: str
    after_answer: str
    after_video: str = ""
    answer_start: str = ""


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


def clean_category(text: str) -> str:
    """One line of visible text: control characters, line breaks and lone surrogates become single spaces.

    Raises:
        InputError: If nothing visible is left.
    """
    spaced = "".join(" " if unicodedata.category(ch) in ("Cc", "Cs", "Zl", "Zp") else ch for ch in text)
    cleaned = " ".join(spaced.split())
    if all(unicodedata.category(ch)[0] in "CZ" for ch in cleaned):
        raise InputError(f"empty anomaly category: {text!r}; describe the anomaly in a word or a sentence")
    return cleaned


def encode_plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of `text` as ordinary characters: no added token, special or not, is ever recognised in it.

    `split_special_tokens=True` would still recognise added tokens that are not marked special, so the
    backend's own steps are run without its added vocabulary.
    """
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = [text]
    if backend.pre_tokenizer is not None:
        words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return [token.id for word in words for token in backend.model.tokenize(word)]


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
    ids += _encode_categories(tokenizer, categories)
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


def _encode_categories(tokenizer: PreTrainedTokenizerBase, categories: Sequence[str]) -> list[int]:
    ids: list[int] = []
    for i, category in enumerate(categories):
        ids += encode_plain(tokenizer, ",") if i else []
        ids += encode_plain(tokenizer, " " + clean_category(category))[:MAX_CATEGORY_TOKENS]
    return ids
