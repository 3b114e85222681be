"""Tiny random models of exactly the five families' architectures, with tokenizers that know their special tokens."""

import torch
from torch.nn import functional
from transformers import (
    AutoModelForImageTextToText,
    LlavaOnevisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
    SmolVLMConfig,
)

from lavida.checkpoints.presets import train_nano_tokenizer
from lavida.model.prompt import TEMPLATES

FURTHER_TOKENS = {  # beside those of the Qwen families
    "smolvlm": ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"],
    "llava_onevision": ["<image>", "<video>"],
}
CATEGORIES = ["a person riding a bicycle", "car accident", "fire"]
LAYERS, WIDTH, HEADS = 2, 32, 2


def family_tokenizer(model_type: str) -> PreTrainedTokenizerBase:
    tokenizer = train_nano_tokenizer([*TEMPLATES, *CATEGORIES] * 3, 400)
    tokenizer.add_tokens(FURTHER_TOKENS.get(model_type, []), special_tokens=True)
    return tokenizer


def family_config(model_type: str, tokenizer: PreTrainedTokenizerBase, *, layers: int = LAYERS) -> PreTrainedConfig:
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "head_dim": WIDTH // HEADS,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    rotary = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}
    ids = {
        "image_token_id": tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    }
    siglip = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    match model_type:
        case "qwen2_vl":
            vision = {"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": WIDTH}
            return Qwen2VLConfig(text_config=text | rotary, vision_config=vision, **ids)
        case "qwen2_5_vl":
            vision = {
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_heads": 2,
                "out_hidden_size": WIDTH,
                "window_size": 56,  # two tokens a side: several windows in a small picture
                "fullatt_block_indexes": [1],
                "tokens_per_second": 2,
            }
            return Qwen2_5_VLConfig(text_config=text | rotary, vision_config=vision, **ids)
        case "qwen3_vl":
            vision = {
                "depth": 3,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_heads": 2,
                "out_hidden_size": WIDTH,
                "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0, 1],
            }
            return Qwen3VLConfig(text_config=text | rotary, vision_config=vision, **ids)
        case "smolvlm":
            vision = siglip | {"image_size": 96, "patch_size": 16}  # 3 x 3 tokens a frame
            image = tokenizer.convert_tokens_to_ids("<image>")
            llama = text | {"model_type": "llama"}
            return SmolVLMConfig(text_config=llama, vision_config=vision, image_token_id=image, scale_factor=2)
        case "llava_onevision":
            vision = siglip | {
                "model_type": "siglip_vision_model",
                "image_size": 70,  # 5 x 5 patches, 3 x 3 tokens a frame
                "patch_size": 14,
                "vision_use_head": False,
            }
            return LlavaOnevisionConfig(
                text_config=text | {"model_type": "qwen2"},
                vision_config=vision,
                image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
                video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
            )
    raise ValueError(model_type)


def tiny_family(model_type: str, *, layers: int = LAYERS) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A random model, in evaluation mode, and its tokenizer."""
    tokenizer = family_tokenizer(model_type)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(family_config(model_type, tokenizer, layers=layers)).eval()
    with torch.no_grad():  # at its initial scale attention is near uniform and hides wrong positions
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed_tokens" not in name:
                parameter.mul_(5)
            elif "embed_tokens" in name:
                parameter.mul_(20)
    return model, tokenizer


def clip(frames: int, height: int, width: int, *, seed: int = 0) -> torch.Tensor:
    """A smooth random clip, `[T, 3, H, W]` uint8."""
    coarse = torch.rand(frames, 3, 5, 6, generator=torch.Generator().manual_seed(seed)) * 255
    return functional.interpolate(coarse, (height, width), mode="bilinear").to(torch.uint8)
