"""Families of MLLMs behind one interface (`family.py`), found by `config.model_type`. docs/mllm.md adds another."""

from transformers import PreTrainedModel

from lavida.errors import InputError
from lavida.model.mllm.family import Family, Grid, VisualTokens
from lavida.model.mllm.llava_onevision import LlavaOnevision
from lavida.model.mllm.patches import CLIP_MEAN, CLIP_STD, patchify
from lavida.model.mllm.qwen import Qwen2VL, Qwen3VL, Qwen25VL
from lavida.model.mllm.smolvlm import SmolVLM

__all__ = [
    "CLIP_MEAN",
    "CLIP_STD",
    "FAMILIES",
    "Family",
    "Grid",
    "VisualTokens",
    "check_supported",
    "family_of",
    "patchify",
]

FAMILIES: dict[str, type[Family]] = {
    family.model_type: family for family in (Qwen2VL, Qwen25VL, Qwen3VL, SmolVLM, LlavaOnevision)
}


def check_supported(model_type: str) -> None:
    """Raises InputError, listing what is supported, for a `config.model_type` that no family has."""
    if model_type not in FAMILIES:
        raise InputError(
            f"unsupported multimodal language model {model_type!r}: supported are {', '.join(FAMILIES)}; "
            "docs/mllm.md says how to add one"
        )


def family_of(mllm: PreTrainedModel, *, tokens_per_pair: int) -> Family:
    """The family of a model, by its `config.model_type`.

    Args:
        mllm: Any of `FAMILIES`, as `AutoModelForImageTextToText` makes it.
        tokens_per_pair: Most visual tokens for two frames, before compression.

    Raises:
        InputError: If the family is not supported.
    """
    check_supported(mllm.config.model_type)
    return FAMILIES[mllm.config.model_type](mllm, tokens_per_pair=tokens_per_pair)
