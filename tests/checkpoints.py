"""Tiny random checkpoints, saved as the hub's are: what `lavida models build` makes a model of."""

import json
from pathlib import Path

import torch
from families import FURTHER_TOKENS, family_config
from tiny import LOUDER
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForImageTextToText,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    GPT2Tokenizer,
    PreTrainedTokenizerBase,
    Qwen2Tokenizer,
    Sam2Config,
    Sam2Model,
    Sam2VideoConfig,
    Sam2VideoModel,
)

from lavida.checkpoints.presets import QWEN_TOKENS
from lavida.model.prompt import TEMPLATES

SHARD = "200KB"  # several files a language model
SIDE = 64
HIERA = {
    "model_type": "sam2_hiera_det_model",
    "hidden_size": 16,
    "image_size": [SIDE, SIDE],
    "blocks_per_stage": [1, 1, 2, 1],
    "embed_dim_per_stage": [16, 32, 64, 128],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "window_size_per_stage": [8, 4, 4, 4],
    "global_attention_blocks": [3],
}
SAM2 = {
    "vision_config": {
        "backbone_config": HIERA,
        "backbone_channel_list": [128, 64, 32, 16],
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    },
    "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE, "patch_size": 16},
    "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 64, "iou_head_hidden_dim": 32},
}


def save_mllm(folder: Path, kind: str = "qwen2_vl", *, spare: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """A checkpoint of the architecture `kind` without `<SEG>`, its vocabulary with `spare` unused rows."""
    tokenizer = mllm_tokenizer(kind)
    config = family_config(kind, tokenizer)
    config.text_config.vocab_size += spare
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    _louder(model, LOUDER["semantics.mllm"])
    model.to(dtype).save_pretrained(folder, max_shard_size=SHARD)
    tokenizer.save_pretrained(folder)
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        (folder / name).write_text(json.dumps({"image_mean": [0.5] * 3, "of": kind}))
    return folder


def mllm_tokenizer(kind: str) -> PreTrainedTokenizerBase:
    """Of the class that the family's checkpoints have, with its special tokens and a small vocabulary."""
    vocabulary, merges = _bpe([*TEMPLATES, "dog", "a person riding a bicycle"] * 3, size=300)
    real = GPT2Tokenizer if kind == "smolvlm" else Qwen2Tokenizer
    tokenizer = real(vocab=vocabulary, merges=merges)
    special = [*QWEN_TOKENS, *FURTHER_TOKENS.get(kind, [])]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special], special_tokens=True)
    tokenizer.pad_token, tokenizer.eos_token = "<|endoftext|>", "<|im_end|>"
    return tokenizer


def save_sam2(folder: Path, *, video: bool = True) -> Path:
    """SAM 2, as on the hub the model for videos, whose weights for memory nobody here needs."""
    torch.manual_seed(1)
    memory = {
        "memory_attention_hidden_size": 32,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_attention_rope_feat_sizes": [4, 4],
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 64,
    }
    if video:
        model = Sam2VideoModel(Sam2VideoConfig(**SAM2, **memory, image_size=SIDE))
    else:
        model = Sam2Model(Sam2Config(**SAM2))
    _louder(model.mask_decoder, LOUDER["sam2.mask_decoder"])
    _louder(model.vision_encoder, 2)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2] * 3})
    )
    return folder


def save_clip(folder: Path) -> Path:
    """All of CLIP, image tower included."""
    torch.manual_seed(2)
    vocabulary, merges = _bpe(["bicycle", "dog", "a person"], size=300, end_of_word_suffix="</w>")
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = sizes | {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "projection_dim": 24}
    vision = sizes | {"image_size": 32, "patch_size": 16}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    _louder(model.text_model, LOUDER["text.encoder"])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_sources(root: Path, kind: str = "qwen2_vl", **settings) -> dict[str, Path]:
    """A folder for each part."""
    return {
        "mllm": save_mllm(root / "mllm", kind, **settings),
        "vision": save_sam2(root / "vision"),
        "text": save_clip(root / "text"),
    }


# new parts of toy size
SIZES = {
    "clip_length": 2,
    "tokens_per_pair": 8,
    "compression_k": 2,
    "projector_dim": 32,
    "projector_layers": 1,
    "projector_heads": 4,
    "projector_mlp_dim": 64,
    "projector_queries": 4,
    "cross_attention_heads": 4,
}


def _bpe(texts: list[str], *, size: int, **ends: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    backend = Tokenizer(models.BPE(**ends))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|startoftext|>", "<|endoftext|>"] if ends else ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=special, show_progress=False, **ends
    )
    backend.train_from_iterator(texts, trainer=trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


@torch.no_grad()
def _louder(model: torch.nn.Module, scale: float) -> None:
    for weight in model.parameters():
        if weight.ndim > 1:
            weight.mul_(scale)
