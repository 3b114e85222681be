"""The three pretrained models inside a `LavidaModel`."""

from dataclasses import dataclass

from transformers import AutoModelForImageTextToText, PreTrainedModel, Sam2Model

from lavida.config import LavidaConfig
from lavida.model.text import random_encoder


@dataclass(frozen=True, slots=True)
class Parts:
    """`mllm` for Eq. 5, `sam2` for f_v and the mask decoder, `text` for f_c."""

    mllm: PreTrainedModel
    sam2: Sam2Model
    text: PreTrainedModel

    @classmethod
    def random(cls, config: LavidaConfig) -> "Parts":
        """Of the shapes in `config`, without trained weights."""
        return cls(
            mllm=AutoModelForImageTextToText.from_config(config.mllm_config, dtype=config.mllm_dtype),
            sam2=Sam2Model(config.sam2_config),
            text=random_encoder(config.text_config, pooling=config.text_pooling),
        )
