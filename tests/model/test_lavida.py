import json
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from tiny import CATEGORIES, clips, tiny_lavida

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.model.config import LavidaConfig
from lavida.model.lavida import LavidaOutput

SWITCHES = {
    "everything": {},
    "the paper": {"alignment": False, "classifier_evidence": False, "residual_evidence": False, "sparse_prompts": 1},
    "mlp": {"projector": "mlp"},
    "motion": {"motion": True},
    "all else": {
        "projector": "q_former",
        "classifier_evidence": False,
        "residual_evidence": False,
        "use_f_sem": False,
        "use_f_a": False,
        "keep_positions": False,
    },
}
PAPER = SWITCHES["the paper"]
DECODED = ("object_logits", "mask_logits", "iou_scores")


def logits(output: LavidaOutput) -> list[torch.Tensor]:
    named = [output.frame_logits, output.pixel_logits, output.category_logits, output.evidence]
    return [tensor for tensor in named if tensor is not None]


@pytest.fixture(scope="module", params=SWITCHES)
def variant(request) -> LavidaModel:
    return tiny_lavida(calibration_temperature=2.5, calibration_bias=-0.75, **SWITCHES[request.param])


@pytest.fixture(scope="module")
def saved(lavida, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    lavida.save_pretrained(folder)
    return folder


@pytest.fixture
def damaged(saved, tmp_path) -> Path:
    """A copy that a test may break: files are linked, so replace them instead of writing into them."""
    for file in saved.rglob("*"):
        if file.is_file():
            copy = tmp_path / "damaged" / file.relative_to(saved)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.hardlink_to(file)
    return tmp_path / "damaged"


@pytest.mark.slow
@torch.no_grad()
def test_the_outputs_have_the_shapes_they_promise(lavida):
    output = lavida(clips(2, 3), [CATEGORIES[:2], CATEGORIES[:4]])
    assert output.frame_logits.shape == (2, 3)
    assert output.pixel_logits.shape == (2, 3, 16, 24)  # stride 4
    assert output.category_logits.shape == (2, 3, 4)
    assert output.evidence.shape == (2, 3, 4, 8, 12)  # stride 8
    assert output.decoded.mask_logits.shape == (6, 3, 16, 24)
    assert output.text_loss is None
    assert all(tensor.isfinite().all() for tensor in logits(output))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    "variant", ["motion", "the paper", "mlp", "all else"], indirect=True
)  # every weight and switch
def test_saving_and_loading_gives_the_same_model(variant, tmp_path):
    variant.save_pretrained(tmp_path)
    loaded = LavidaModel.from_pretrained(tmp_path)
    assert not loaded.training
    weights = loaded.state_dict()
    assert all(torch.equal(weights.pop(key), value) for key, value in variant.state_dict().items()) and not weights
    frames, categories = clips(2, 2), [CATEGORIES[:2], CATEGORIES[1:4]]
    before, after = variant(frames, categories, with_text_loss=True), loaded(frames, categories, with_text_loss=True)
    assert len(logits(before)) == (4 if variant.config.alignment else 2)
    for ours, theirs in zip([*logits(before), before.text_loss], [*logits(after), after.text_loss], strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert loaded.config.calibration_temperature == 2.5 and loaded.config.calibration_bias == -0.75
    trained = {name for name, parameter in variant.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in loaded.named_parameters() if parameter.requires_grad} == trained


@pytest.mark.slow
@torch.no_grad()
def test_decoding_what_was_encoded_is_the_forward_pass(variant):
    frames, categories = clips(2, 2), [CATEGORIES[:2], CATEGORIES[1:4]]
    motion = moving(2, 2) if variant.config.motion else None
    f_sem, _ = variant.clip_semantics(frames, categories)
    apart = variant.decode(variant.encode(frames, motion), f_sem, categories)
    whole = variant(frames, categories, motion=motion)
    assert all(torch.equal(a, b) for a, b in zip(logits(apart), logits(whole), strict=True))
    assert all(torch.equal(getattr(apart.decoded, name), getattr(whole.decoded, name)) for name in DECODED)


@torch.no_grad()
def test_many_prompts_about_one_clip_encode_it_once(lavida):
    frames, prompts = clips(1, 2), [CATEGORIES[:2], CATEGORIES[2:3], CATEGORIES[1:5]]
    calls = []
    parts = lavida.sam2.vision_encoder.backbone, lavida.semantics.mllm.model.visual
    hooks = [part.register_forward_hook(lambda part, *_: calls.append(part)) for part in parts]
    features = lavida.encode(frames)
    f_sem, _ = lavida.clip_semantics(frames, prompts)
    together = lavida.decode(features, f_sem, prompts)
    for hook in hooks:
        hook.remove()
    assert calls == [*parts]
    for i, names in enumerate(prompts):
        alone = lavida(frames, [names])
        torch.testing.assert_close(together.frame_logits[i], alone.frame_logits[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.pixel_logits[i], alone.pixel_logits[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            together.category_logits[i, :, : len(names)], alone.category_logits[0], atol=1e-5, rtol=1e-5
        )
    with pytest.raises(ValueError, match="2 clips, 3 categories"):
        lavida.clip_semantics(clips(2, 2), prompts)


@torch.no_grad()
def test_what_one_clip_is_asked_does_not_change_the_others(variant):
    frames = clips(2, 2)
    alone = variant(frames[:1], [CATEGORIES[:2]])
    together = variant(frames, [CATEGORIES[:2], CATEGORIES])  # the first is padded from 2 to 5 categories
    for ours, padded in zip(logits(alone), logits(together), strict=True):
        padded = padded[:1] if padded.shape[2:] == ours.shape[2:] else padded[:1, :, :2]
        torch.testing.assert_close(padded, ours, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_order_of_the_categories_only_reorders_their_maps(lavida):
    frames = clips(1, 1)
    forward, backward = lavida(frames, [CATEGORIES[:3]]), lavida(frames, [CATEGORIES[2::-1]])
    torch.testing.assert_close(backward.evidence.flip(2), forward.evidence, atol=1e-5, rtol=0)
    torch.testing.assert_close(backward.category_logits.flip(2), forward.category_logits, atol=1e-5, rtol=0)


@torch.no_grad()
def test_words_and_pixels_both_matter_without_the_evidence():
    model = tiny_lavida(**PAPER)
    base = model(clips(1, 1), [["dog"]])
    for other in (model(clips(1, 1), [["smoke"]]), model(clips(1, 1, seed=1), [["dog"]])):
        assert (other.frame_logits - base.frame_logits).abs().max() > 1e-4
        assert (other.pixel_logits - base.pixel_logits).abs().max() > 0.01 * base.pixel_logits.std() > 1e-4


def moving(batch: int, length: int) -> torch.Tensor:
    """Motion fields for `clips(batch, length)`: a square at one height a second, the rest still."""
    motion = torch.zeros(batch, length, 4, 16, 24)
    motion[:, :, 3] = 1
    motion[:, :, 0, 4:10, 8:16] = 1.0
    return motion


@pytest.mark.slow
@torch.no_grad()
def test_motion_matters_where_the_model_sees_it():
    frames, categories = clips(1, 2), [CATEGORIES[:3]]
    model = tiny_lavida(motion=True)
    still, moved = model(frames, categories), model(frames, categories, motion=moving(1, 2))
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(logits(still), logits(moved), strict=True))
    unknown = model(frames, categories, motion=torch.zeros(1, 2, 4, 16, 24))
    assert all(torch.equal(a, b) for a, b in zip(logits(still), logits(unknown), strict=True))
    blind = tiny_lavida()
    same = zip(logits(blind(frames, categories)), logits(blind(frames, categories, motion=moving(1, 2))), strict=True)
    assert all(torch.equal(a, b) for a, b in same)


@pytest.mark.slow
@torch.no_grad()
def test_what_is_switched_off_no_longer_matters():
    """Eq. 8 without f_sem ignores the MLLM, without f_a it ignores the category features."""
    frames, categories = clips(1, 2), [CATEGORIES[:3]]
    for switch, part in (("use_f_sem", "semantics"), ("use_f_a", "frame_semantics")):
        for used in (True, False):
            model = tiny_lavida(**PAPER, **{switch: used})
            before = model(frames, categories, with_text_loss=True)
            for parameter in model.get_submodule(part).parameters():
                parameter.add_(torch.randn_like(parameter))
            after = model(frames, categories, with_text_loss=True)
            assert torch.equal(before.frame_logits, after.frame_logits) != used
            assert after.text_loss.isfinite()


@pytest.mark.slow
@torch.no_grad()
def test_positions_of_kept_tokens_matter():
    frames, categories = clips(1, 4), [CATEGORIES[:3]]
    kept, anew = tiny_lavida(**PAPER), tiny_lavida(**PAPER, keep_positions=False)
    assert not torch.equal(kept(frames, categories).frame_logits, anew(frames, categories).frame_logits)


@pytest.mark.slow
@torch.no_grad()
def test_residual_evidence_is_added_to_what_the_decoder_says():
    frames, categories = clips(1, 2), [CATEGORIES[:3]]
    with_it, without = tiny_lavida(), tiny_lavida(residual_evidence=False)
    more, plain = with_it(frames, categories), without(frames, categories)
    strongest = more.category_logits.amax(-1)
    torch.testing.assert_close(more.frame_logits, plain.frame_logits + strongest, atol=1e-5, rtol=0)
    evidence = torch.nn.functional.interpolate(more.evidence.amax(2), size=(16, 24), mode="bilinear")
    torch.testing.assert_close(more.pixel_logits, plain.pixel_logits + evidence, atol=1e-4, rtol=0)


@torch.no_grad()
def test_pixel_maps_are_the_best_mask_or_the_expected_one():
    frames, categories = clips(1, 2), [CATEGORIES[:3]]
    model = tiny_lavida()
    output = model(frames, categories)
    assert model.pixel_maps(output) is output.pixel_logits
    model.config.expected_maps = True
    assert torch.equal(model.pixel_maps(output)[0], output.decoded.expected_mask())


def test_evidence_switches_without_the_alignment_are_refused():
    for switch in ("residual_evidence", "classifier_evidence"):
        with pytest.raises(InputError, match=f"{switch} needs alignment"):
            tiny_lavida(**(PAPER | {switch: True}))


@pytest.mark.parametrize("heads", ["projector_heads", "cross_attention_heads"])
def test_a_width_that_its_heads_cannot_share_is_refused(heads):
    with pytest.raises(InputError, match=f"projector_dim .* is no multiple of {heads} 5"):
        tiny_lavida(**{heads: 5})
    with pytest.raises(InputError, match=f"{heads} 0"):
        tiny_lavida(**{heads: 0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_mean": [0.5]},
        {"image_std": [0.2, 0.0, 0.2]},
        {"frame_multiple": 7},
        {"compression_ratio": 1.5},
        {"compression_ratio": float("nan")},
        {"calibration_temperature": 0.0},
        {"calibration_bias": float("inf")},
        {"static_patch_drop": -0.1},
        {"sparse_prompts": 0},
        {"projector_queries": 0},
        {"alignment_dim": 0},
        {"text_pooling": "cls"},
        {"projector": "three_way"},
        {"mllm_dtype": "int8"},
        {"frozen_parts": [{"module": "text"}]},
    ],
    ids=str,
)
def test_settings_out_of_range_are_one_line(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError) as caught:
        LavidaConfig(**wrong)
    assert str(caught.value).startswith(f"{name} {value} in the model's config: choose ")


def test_whole_numbers_are_numbers():
    settings = {"compression_ratio": 1, "static_patch_drop": 0, "image_std": [1, 2, 3], "calibration_bias": -1}
    config = LavidaConfig(**settings)
    assert {name: getattr(config, name) for name in settings} == settings
    assert isinstance(config.compression_ratio, float) and isinstance(config.image_std[0], float)
    with pytest.raises(StrictDataclassError):
        LavidaConfig(compression_ratio=True)


@pytest.mark.slow
def test_a_saved_model_holds_both_tokenizers(lavida, saved):
    loaded = LavidaModel.from_pretrained(saved)
    text = "a person riding a bicycle <SEG> [SEP] 自行车"
    assert loaded.semantics.tokenizer(text)["input_ids"] == lavida.semantics.tokenizer(text)["input_ids"]
    assert loaded.text.tokenizer(text)["input_ids"] == lavida.text.tokenizer(text)["input_ids"]


# --- folders that are not a whole model -----------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        LavidaModel.from_pretrained(folder)
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message and len(message) < 400
    return message


def replace(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def test_no_config(damaged):
    (damaged / "config.json").unlink()
    assert "config.json is missing" in refusal(damaged)


def test_no_such_folder(tmp_path):
    assert "no such model" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"{ 'not': json", b'["a", "list"]', b"\xff\xfe", b""])
def test_a_config_that_cannot_be_read(damaged, content):
    replace(damaged / "config.json", content)
    assert "config.json" in refusal(damaged)


@pytest.mark.parametrize("content", [{"model_type": "bert", "hidden_size": 32}, {"name": "anything"}])
def test_the_config_of_another_model(damaged, content):
    replace(damaged / "config.json", json.dumps(content).encode())
    assert "not a LAVIDA model" in refusal(damaged)


@pytest.mark.parametrize("folder", ["tokenizer", "text_tokenizer"])
def test_no_tokenizer(damaged, folder):
    for file in (damaged / folder).iterdir():
        file.unlink()
    (damaged / folder).rmdir()
    message = refusal(damaged)
    assert f"{folder} is missing" in message and "huggingface" not in message


def test_no_weights(damaged):
    (damaged / "model.safetensors").unlink()
    refusal(damaged)


def test_weights_cut_short(damaged):
    whole = (damaged / "model.safetensors").read_bytes()
    replace(damaged / "model.safetensors", whole[: len(whole) // 2])
    refusal(damaged)


@pytest.mark.slow
def test_weights_of_another_size(damaged):
    config = json.loads((damaged / "config.json").read_text())
    replace(damaged / "config.json", json.dumps(config | {"projector_dim": 64}).encode())
    refusal(damaged)


@pytest.mark.slow
def test_weights_that_lack_a_part(damaged, lavida, tmp_path):
    tiny_lavida(**PAPER).save_pretrained(tmp_path / "paper")
    replace(damaged / "model.safetensors", (tmp_path / "paper" / "model.safetensors").read_bytes())
    assert "lacks" in refusal(damaged)
