"""The words of the prompt (paper, 3.5) and how categories become token ids: no tensors, so that no torch is needed."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

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
FAMILIAR = 0.36  # cosine to the nearest known word; below it a text of split words is one that an encoder may not know


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


def clean_category(text: str) -> str:
    """One line of visible text: control characters, line breaks and lone surrogates become single spaces.

    Raises:
        InputError: If nothing visible is left, or it is no text.
    """
    if not isinstance(text, str):
        raise InputError(f"anomaly category {text!r} is no text; describe the anomaly in a word or a sentence")
    spaced = "".join(" " if unicodedata.category(ch) in ("Cc", "Cs", "Zl", "Zp") else ch for ch in text)
    cleaned = " ".join(spaced.split())
    if all(unicodedata.category(ch)[0] in "CZ" for ch in cleaned):
        raise InputError(f"empty anomaly category: {text!r}; describe the anomaly in a word or a sentence")
    return cleaned


def encode_plain(backend: Tokenizer, text: str) -> list[int]:
    """Token ids of `text` as ordinary characters: no added token, special or not, is ever recognised in it.

    `split_special_tokens=True` would still recognise added tokens that are not marked special, so the
    backend's own steps are run without its added vocabulary.
    """
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = [text]
    if backend.pre_tokenizer is not None:
        words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return [token.id for word in words for token in backend.model.tokenize(word)]


def encode_categories(backend: Tokenizer, categories: Sequence[str]) -> list[int]:
    """Token ids of the categories as running text, each cut after 32 tokens."""
    ids: list[int] = []
    for i, category in enumerate(categories):
        ids += encode_plain(backend, ",") if i else []
        ids += encode_plain(backend, " " + clean_category(category))[:MAX_CATEGORY_TOKENS]
    return ids


def unfamiliar(texts: Sequence[str], split: Sequence[bool], nearest: Sequence[float] | None) -> list[str]:
    """The texts that a text encoder hardly knows: in another script, or of split words far from all that is known.

    An English encoder cuts words that it never learnt into pieces, and what it then says of them is near to nothing in
    particular. A word of another language that is spelt like an English one is not noticed.

    Args:
        texts: K categories.
        split: Whether a word of each is cut into pieces.
        nearest: The cosine of each to the nearest known word; None: only scripts are looked at.
    """
    strange = [any(ch.isalpha() and not unicodedata.name(ch, "").startswith("LATIN") for ch in text) for text in texts]
    if nearest is not None:
        strange = [a or (cut and near < FAMILIAR) for a, cut, near in zip(strange, split, nearest, strict=True)]
    return [text for text, is_strange in zip(texts, strange, strict=True) if is_strange]
