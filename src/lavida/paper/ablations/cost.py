"""What token compression saves: the language model's memory and work from shapes, and the measured time.

At nano's size the memory of the process hides the difference, so it is computed, not measured: the keys and values
that one prefill produces, and the multiply-adds of its causal attention.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedConfig

from lavida.detector import Detector
from lavida.video.clips import analysis_size

HALF_PRECISION = 2  # bytes of a number
SOURCE = (640, 360)  # width and height of the clip that is timed
CATEGORIES = ("bicycle", "car", "dog", "a person lying on the ground", "smoke")
REPEATS, WARM_UP = 15, 2


def prefill_cost(language: PreTrainedConfig, length: int) -> dict[str, int]:
    """The cost of one prefill of `length` tokens for a language model of these shapes (grouped-query attention).

    Returns:
        `cache_bytes`, keys and values of all layers in half precision; `attention_macs`, multiply-adds of queries with
        keys and of weights with values, each token with those before it and itself.
    """
    layers, heads = language.num_hidden_layers, language.num_attention_heads
    width = getattr(language, "head_dim", None) or language.hidden_size // heads
    return {
        "cache_bytes": 2 * layers * language.num_key_value_heads * width * length * HALF_PRECISION,
        "attention_macs": 2 * layers * heads * width * (length * (length + 1) // 2),
    }


@torch.inference_mode()
def compression_costs(detector: Detector, ratios: Sequence[float]) -> list[dict[str, Any]]:
    """For each ratio: the visual tokens kept, the cost of the prefill, and the time of the whole semantics stage.

    One full clip of noise is read again and again with the ratios in turn, so that a busy machine slows all alike.
    The stage is the MLLM's vision tower, compression and the prefill.
    """
    semantics, config = detector.model.semantics, detector.model.config
    size = analysis_size(*SOURCE, long_side=config.frame_side, multiple=config.frame_multiple)
    noise = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (1, config.clip_length, 3, *size), generator=noise, dtype=torch.uint8)
    frames = frames.to(detector.device)
    seconds: dict[float, list[float]] = {ratio: [] for ratio in ratios}
    outputs, before = {}, semantics.ratio
    try:
        for repeat in range(WARM_UP + REPEATS):
            for ratio in ratios:
                semantics.ratio = ratio
                started = time.perf_counter()
                with detector.autocast():
                    outputs[ratio] = semantics(frames, [list(CATEGORIES)])
                outputs[ratio].f_sem.cpu()  # waits for the device
                if repeat >= WARM_UP:
                    seconds[ratio].append(time.perf_counter() - started)
    finally:
        semantics.ratio = before
    language = semantics.mllm.config.get_text_config()
    visual = semantics.family.grid(frames).tokens
    return [
        {
            "ratio": ratio,
            "visual_tokens": visual,
            "kept_tokens": len(outputs[ratio].kept[0]),
            "sequence": outputs[ratio].lengths[0],
            **prefill_cost(language, outputs[ratio].lengths[0]),
            "semantics_ms": round(1000 * median(seconds[ratio]), 2),
        }
        for ratio in ratios
    ]
