import pytest
import torch
from tiny import tiny_tokenizers
from transformers import BertConfig, CLIPTextConfig, CLIPTextModelWithProjection

from lavida.model import text
from lavida.model.text import CategoryEncoder

WORDS = ["dog", "a person riding a bicycle on the pavement", "smoke"]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizers()[1]


@pytest.fixture
def encoder(tokenizer) -> CategoryEncoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    return CategoryEncoder(config, tokenizer, pooling="mean").eval()


@pytest.fixture
def calls(encoder) -> list[torch.Tensor]:
    """The token ids of each pass through the encoder."""
    seen = []
    encoder.encoder.register_forward_pre_hook(lambda _, __, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True)
    return seen


def test_each_category_has_its_own_row_in_the_order_asked(encoder):
    features = encoder(WORDS)
    assert features.shape == (3, encoder.dim) == (3, 32)
    assert torch.equal(encoder(WORDS[::-1]), features.flip(0))
    assert (features[0] - features[1]).abs().max() > 0.01


def test_a_feature_is_the_mean_over_the_tokens_at_length_one(encoder, tokenizer):
    features = encoder(WORDS)  # of three lengths, so two are padded
    for word, feature in zip(WORDS, features, strict=True):
        states = encoder.encoder(**tokenizer(word, return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(feature, states.mean(0) / states.mean(0).norm(), atol=1e-5, rtol=0)


def test_a_text_is_encoded_once(encoder, calls):
    first = encoder(["dog", "smoke", "dog"])
    again = encoder(["smoke", "dog", "fire"])
    assert torch.equal(first[0], first[2]) and torch.equal(first[0], again[1])
    assert [len(ids) for ids in calls] == [2, 1]


def test_memory_is_bounded(encoder, calls, monkeypatch):
    monkeypatch.setattr(text, "CACHE_SIZE", 3)
    before = encoder(["dog", "smoke"])
    after = encoder(["dog", "fire", "car"])
    torch.testing.assert_close(after[0], before[0], atol=1e-6, rtol=0)
    assert len(encoder._known) <= 3


def test_special_tokens_in_a_category_are_ordinary_text(encoder, calls, tokenizer):
    features = encoder(["[SEP]", "[CLS]", "dog [SEP] smoke"])
    (ids,) = calls
    assert (ids == tokenizer.sep_token_id).sum(1).tolist() == [1, 1, 1]
    assert (ids == tokenizer.cls_token_id).sum(1).tolist() == [1, 1, 1]
    assert (features[0] - features[1]).abs().max() > 0.01


def test_a_very_long_category_is_cut(encoder):
    assert encoder(["smoke " * 500]).isfinite().all()


def test_it_is_frozen_even_while_the_model_trains(encoder):
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    before = encoder(WORDS)
    encoder.train()
    encoder.forget()
    assert torch.equal(encoder(WORDS), before)  # no dropout


def test_after_new_weights_the_old_features_can_be_forgotten(encoder):
    before = encoder(WORDS)
    with torch.no_grad():
        encoder.encoder.get_input_embeddings().weight.mul_(-1)
    encoder.forget()
    assert (encoder(WORDS) - before).abs().max() > 0.01


def test_features_remembered_in_inference_mode_can_be_trained_on(encoder):
    with torch.inference_mode():
        encoder(["dog"])
    layer = torch.nn.Linear(32, 1)
    layer(encoder(["dog"])).sum().backward()
    assert layer.weight.grad.abs().max() > 0


def test_clip_gives_its_projected_features(tokenizer):
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        projection_dim=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        eos_token_id=tokenizer.sep_token_id,
    )
    encoder = CategoryEncoder(config, tokenizer, pooling="projection").eval()
    reference = CLIPTextModelWithProjection(config).eval()
    reference.load_state_dict(encoder.encoder.state_dict())
    features = encoder(WORDS)
    assert features.shape == (3, encoder.dim) == (3, 24)
    for word, feature in zip(WORDS, features, strict=True):
        alone = tokenizer(word, return_tensors="pt")
        expected = reference(alone["input_ids"], alone["attention_mask"]).text_embeds[0]
        torch.testing.assert_close(feature, expected, atol=1e-5, rtol=0)


def test_an_unknown_pooling_is_refused(tokenizer):
    with pytest.raises(ValueError, match="max.*mean or projection"):
        CategoryEncoder(BertConfig(), tokenizer, pooling="max")
