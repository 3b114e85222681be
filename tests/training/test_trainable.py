import pytest
import torch
from tiny import CATEGORIES, WIDTH, clips, tiny_lavida, tiny_tokenizers
from toy_run import toy_recipe

from lavida.checkpoints.presets import SEG_TOKEN, nano_mllm_config
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.training.recipe import LoraRecipe
from lavida.training.trainable import is_pretrained, make_trainable, plain_state

EMBEDDING = "semantics.mllm.model.language_model.embed_tokens.weight"
HEAD = "semantics.mllm.lm_head.weight"
LORA = LoraRecipe(rank=2, dropout=0.0, targets=["q_proj", "v_proj"])


def untied_config():
    config = nano_mllm_config(tiny_tokenizers()[0], hidden_size=WIDTH, layers=2, heads=2, vision_dim=32, vision_depth=2)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = False
    return config


def changed(model: LavidaModel, *, preset: str = "nano", **settings) -> LavidaModel:
    make_trainable(model, toy_recipe("nowhere", **settings).train, pretrained=is_pretrained(model, {"preset": preset}))
    return model.train()


def learn(model: LavidaModel, *, steps: int = 3) -> None:
    """Some steps towards anything, with a decay that would move every weight that may move."""
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05, weight_decay=0.1)
    for _ in range(steps):
        output = model(clips(2, 1), [CATEGORIES[:2], CATEGORIES[2:]], with_text_loss=True)
        (output.text_loss + output.frame_logits.square().sum() + output.pixel_logits.square().mean()).backward()
        optimiser.step()
        optimiser.zero_grad()


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {key for key, value in before.items() if not torch.equal(value, after[key])}


def copied(model: LavidaModel) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, LORA], ids=["alone", "with-lora"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_seg_row_trains_only_that_row(lora, tied):
    model = tiny_lavida(**({} if tied else {"mllm_config": untied_config()}))
    seg = model.semantics.tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    before = copied(model)
    learn(changed(model, embeddings="seg_row", lora=lora))
    after = plain_state(model, model.state_dict())
    for key in (EMBEDDING, HEAD):
        rows = (after[key] != before[key]).any(1).nonzero().flatten().tolist()
        assert rows == [seg], key
    assert torch.equal(after[EMBEDDING][seg], after[HEAD][seg]) == tied
    language = {key for key in moved(before, after) if "language_model.layers" in key}
    assert all("q_proj.weight" in key or "v_proj.weight" in key for key in language) == (lora is not None)
    assert language  # the rest of the language model learns, or its adapters do


@torch.no_grad()
def outputs(model: LavidaModel) -> list[torch.Tensor]:
    output = model.eval()(clips(2, 1), [CATEGORIES[:2], CATEGORIES[2:]], with_text_loss=True)
    return [output.frame_logits, output.pixel_logits, output.text_loss]


@pytest.mark.slow
@pytest.mark.parametrize("embeddings", ["full", "seg_row"])
def test_a_lora_model_is_saved_merged_and_gives_the_same_answers(embeddings, tmp_path):
    model = tiny_lavida()
    before = outputs(model)
    learn(changed(model, lora=LORA, embeddings=embeddings))
    expected = outputs(model)
    assert not torch.allclose(expected[0], before[0], atol=1e-2)
    model.save_pretrained(tmp_path, state_dict=plain_state(model, model.state_dict()))
    loaded = LavidaModel.from_pretrained(tmp_path)
    assert not any("lora" in name or "adapter" in name for name, _ in loaded.named_modules())
    for value, wanted in zip(outputs(loaded), expected, strict=True):
        torch.testing.assert_close(value, wanted, atol=1e-4, rtol=1e-4)


def trained(model: LavidaModel, part: str) -> set[bool]:
    return {weight.requires_grad for weight in model.get_submodule(part).parameters()}


def test_lora_freezes_the_language_model_and_leaves_the_rest():
    model = changed(tiny_lavida(), lora=LORA, embeddings="full")
    weights = dict(model.semantics.mllm.model.language_model.named_parameters())
    assert {name for name, weight in weights.items() if weight.requires_grad and "lora_" not in name} == {
        "embed_tokens.weight"
    }
    assert sum("lora_" in name for name in weights) == 2 * 2 * 2  # layers, targets, down and up
    assert trained(model, "semantics.mllm.model.visual") == {True} and trained(model, "sam2.mask_decoder") == {True}
    assert trained(model, "text") == {False}


@pytest.mark.slow
def test_with_lora_only_the_seg_row_by_default():
    model = changed(tiny_lavida(), lora=LORA)
    assert not model.semantics.mllm.model.language_model.embed_tokens.token_adapter.base_layer.weight.requires_grad
    assert changed(tiny_lavida()).semantics.mllm.get_input_embeddings().weight.requires_grad


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_a_pretrained_preset_keeps_its_encoders(precision):
    model = changed(tiny_lavida(), preset="paper", lora=LORA, precision=precision)
    for part in ("semantics.mllm.model.visual", "sam2.vision_encoder", "text"):
        assert trained(model, part) == {False}
    for part in ("sam2.mask_decoder", "sam2.prompt_encoder", "projector"):
        assert trained(model, part) == {True}
    weights = list(model.semantics.mllm.parameters())
    assert {weight.dtype for weight in weights if weight.requires_grad} == {torch.float32}
    held = torch.bfloat16 if precision == "bf16" else torch.float32
    assert {weight.dtype for weight in weights if not weight.requires_grad} == {held}


@pytest.mark.parametrize("start", ["float16", "bfloat16"])
def test_a_model_says_in_which_precision_training_holds_its_language_model(start):
    model = changed(tiny_lavida(mllm_dtype=start), preset="paper", lora=LORA, precision="bf16")
    assert model.config.mllm_dtype == "bfloat16"
    assert torch.float16 not in {weight.dtype for weight in model.parameters()}


def test_a_model_of_pretrained_parts_keeps_its_encoders_whatever_the_recipe_calls_it():
    model = changed(tiny_lavida(sources={"mllm": "Qwen/Qwen3-VL-2B-Instruct"}))  # started from by model.start alone
    assert trained(model, "semantics.mllm.model.visual") == trained(model, "sam2.vision_encoder") == {False}
    assert trained(model, "projector") == {True}


@pytest.mark.slow
def test_bf16_encoders_can_be_trained_with():
    model = changed(tiny_lavida(), preset="paper", lora=LORA, precision="bf16")
    before = copied(model)
    with torch.autocast("cpu", torch.bfloat16):
        learn(model, steps=1)
    assert any("lora_B" in key for key in moved(before, model.state_dict()))


@pytest.mark.slow
def test_modules_of_choice_are_frozen():
    model = changed(tiny_lavida(), freeze=["sam2.mask_decoder", "projector"])
    assert trained(model, "sam2.mask_decoder") == trained(model, "projector") == {False}
    assert trained(model, "frame_semantics") == {True}


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"freeze": ["sam2.decoder"]}, "no module sam2.decoder"), ({"lora": LoraRecipe(targets=["w_q"])}, "train.lora")],
)
def test_what_is_not_in_the_model_is_named(settings, named):
    with pytest.raises(InputError, match=named) as caught:
        changed(tiny_lavida(), **settings)
    assert "\n" not in str(caught.value)


def test_fewer_visual_tokens_while_training():
    frames, before = clips(1, 2), tiny_lavida(compression_ratio=1.0)
    assert len(before.semantics(frames, [["dog"]]).kept[0]) == 6
    model = changed(before, tokens_per_pair=2)
    assert len(model.semantics(frames, [["dog"]]).kept[0]) <= 2
    assert model.config.tokens_per_pair == 6  # what is saved, and used at test
