import pytest
import torch
from tiny import tiny_lavida
from transformers import DynamicCache, Qwen2Config, Qwen2Model

from lavida.detector import Detector
from lavida.model.mllm.family import cache_argument
from lavida.paper.ablations.trained import compression_costs, prefill_cost


def test_the_cache_is_as_large_as_the_one_that_transformers_fills():
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
    )
    cache = DynamicCache(config=config)
    model = Qwen2Model(config).half()
    model(torch.zeros(1, 7, dtype=torch.long), use_cache=True, **{cache_argument(model): cache})
    held = sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))
    assert prefill_cost(config, 7)["cache_bytes"] == held


def test_attention_counts_each_token_with_itself_and_those_before_it():
    config = Qwen2Config(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1)
    pairs = 1 + 2 + 3 + 4
    assert prefill_cost(config, 4)["attention_macs"] == 2 * 3 * pairs * (4 + 4)  # layers, heads, scores and weights
    whole, half = prefill_cost(config, 2000)["attention_macs"], prefill_cost(config, 1000)["attention_macs"]
    assert whole == pytest.approx(4 * half, rel=1e-3)


@pytest.mark.slow
def test_compression_shortens_the_sequence_and_all_that_depends_on_it():
    detector = Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))
    before = detector.model.semantics.ratio
    whole, half = compression_costs(detector, [1.0, 0.5])
    assert detector.model.semantics.ratio == before
    assert whole["kept_tokens"] == whole["visual_tokens"] == 6 and half["kept_tokens"] == 3
    assert whole["sequence"] - half["sequence"] == 3
    assert half["cache_bytes"] < whole["cache_bytes"] and half["attention_macs"] < whole["attention_macs"]
    assert half["semantics_ms"] > 0
