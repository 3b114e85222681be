"""The MLLM at nano scale: Qwen2-VL's architecture at toy width."""

from transformers import PreTrainedTokenizerBase, Qwen2VLConfig


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

    Args:
        tokenizer: Made by `train_nano_tokenizer`.
        hidden_size: Width of the language model, D_llm; a multiple of `8 * heads`.
        layers: Depth of the language model.
        heads: Attention heads of the language model; every two share a key-value head.
        vision_dim: Width of the vision tower; a multiple of 32, one head each.
        vision_depth: Depth of the vision tower.
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
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [rotary - 2 * space, space, space],
        },
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
    return Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
