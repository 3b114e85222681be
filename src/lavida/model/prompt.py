"""The prompt around the video and the categories (paper, 3.5), assembled from token ids."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lavida.errors import InputError
from lavida.model.tokenizer import SEG_TOKEN

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
    """How one family of MLLMs writes a conversation with one video: its markup, special tokens included."""

    before_video: str
    video_token: str
    after_video: str
    before_answer: str
    after_answer: str


QWEN_CHAT = ChatFormat(
    before_video="<|im_start|>user\n<|vision_start|>",
    video_token="<|video_pad|>",
    after_video="<|vision_end|>",
    before_answer="<|im_end|>\n<|im_start|>assistant\n",
    after_answer="<|im_end|>",
)


@dataclass(frozen=True)
class EncodedPrompt:
    """One conversation as token ids.

    Attributes:
        input_ids: `[L]` int64.
        labels: `[L]` int64, the ids of the assistant's answer, -100 elsewhere.
        seg_position: Index of `<SEG>` in `input_ids`.
        video_start: Index of the first video token; the video tokens are consecutive.
        video_tokens: How many video tokens there are.
    """

    input_ids: Tensor
    labels: Tensor
    seg_position: int
    video_start: int
    video_tokens: int


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
    video_tokens: int,
    template: int = 0,
    chat: ChatFormat = QWEN_CHAT,
) -> EncodedPrompt:
    """Fill the categories into a template and encode the conversation (the text half of Eq. 5).

    Category text is data. The ids are put together from pieces, so whatever a category spells, there are
    exactly `video_tokens` video tokens and one `<SEG>`, at positions known by construction.

    Args:
        tokenizer: A fast tokenizer that knows `<SEG>` and the tokens of `chat`.
        categories: K anomaly descriptions; each is cut after 32 tokens.
        video_tokens: Number of visual tokens before compression.
        template: Index into `TEMPLATES`.
        chat: The conversation format of the MLLM's family.

    Raises:
        InputError: If there is no category or one is empty.
    """
    if not categories:
        raise InputError("no anomaly categories: give at least one, for example 'a person falling'")
    video_id = tokenizer.convert_tokens_to_ids(chat.video_token)
    seg_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)

    head = _encode_markup(tokenizer, chat.before_video)
    before_answer = head + [video_id] * video_tokens
    before_answer += _encode_markup(tokenizer, chat.after_video)
    before_answer += _encode_question(tokenizer, categories, TEMPLATES[template])
    before_answer += _encode_markup(tokenizer, chat.before_answer)
    answer = _encode_markup(tokenizer, ANSWER + chat.after_answer)
    return EncodedPrompt(
        input_ids=torch.tensor(before_answer + answer),
        labels=torch.tensor([IGNORED] * len(before_answer) + answer),
        seg_position=len(before_answer) + answer.index(seg_id),
        video_start=len(head),
        video_tokens=video_tokens,
    )


def _encode_markup(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _encode_question(tokenizer: PreTrainedTokenizerBase, categories: Sequence[str], template: str) -> list[int]:
    # The space goes with the word behind it, as in running text, so pieces and running text encode alike.
    before, after = template.split(" {c}")
    ids = encode_plain(tokenizer, before)
    for i, category in enumerate(categories):
        ids += encode_plain(tokenizer, ",") if i else []
        ids += encode_plain(tokenizer, " " + clean_category(category))[:MAX_CATEGORY_TOKENS]
    return ids + encode_plain(tokenizer, after)
