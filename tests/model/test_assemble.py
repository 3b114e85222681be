"""Models of pretrained checkpoints: each family is saved as its checkpoints are and built by the same command."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from checkpoints import SHARD, SIZES, mllm_tokenizer, save_clip, save_mllm, save_sam2
from safetensors.torch import load_file
from tiny import clips
from transformers import AutoConfig
from video import make

from lavida.checkpoints.assemble import PROCESSOR_FILES, assemble
from lavida.checkpoints.presets import pretrained_config, shape_only
from lavida.checkpoints.pretrained import LavidaModel
from lavida.cli import run
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.loading import load
from lavida.model.mllm import FAMILIES
from lavida.model.prompt import SEG_TOKEN

pytestmark = pytest.mark.slow
CATEGORIES = [["dog"], ["a person riding a bicycle", "smoke"], ["fire", "dog", "car"]]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {"vision": save_sam2(root / "vision"), "text": save_clip(root / "text")}


@pytest.fixture(scope="module")
def qwen(tmp_path_factory, encoders) -> dict[str, Path]:
    return {"mllm": save_mllm(tmp_path_factory.mktemp("qwen") / "mllm")} | encoders


@torch.no_grad()
def outputs(model: LavidaModel, which: slice = slice(None)) -> list[torch.Tensor]:
    output = model(clips(3, 3)[which], CATEGORIES[which])
    return [output.frame_logits, output.pixel_logits]


def assert_same(one: list[torch.Tensor], other: list[torch.Tensor], *, atol: float) -> None:
    for value, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(value, wanted, atol=atol, rtol=0)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_is_built_saved_loaded_and_detects_the_same(kind, encoders, tmp_path):
    sources = {"mllm": save_mllm(tmp_path / "mllm", kind)} | encoders
    assert len(list((tmp_path / "mllm").glob("model-*.safetensors"))) > 1  # in shards, as large ones are
    torch.manual_seed(0)
    built = assemble(sources, **SIZES)
    built.save_pretrained(tmp_path / "model", max_shard_size=SHARD)
    detector = load(tmp_path / "model", device="cpu")
    loaded = detector.model
    before, after = outputs(built), outputs(loaded)
    assert_same(after, before, atol=1e-5)
    for i in range(3):
        assert_same(outputs(loaded, slice(i, i + 1)), [value[i : i + 1] for value in after], atol=1e-4)

    video = make.video(tmp_path / "clip.mp4", frames=9, mark=True)
    found = [
        each.detect(video, ["light", "dog"], stride=2, pixel_maps=True)
        for each in (Detector.of(built, name="built", device=torch.device("cpu")), detector)
    ]
    torch.testing.assert_close(*(torch.from_numpy(each.scores) for each in found), atol=1e-4, rtol=0)
    assert found[0].scores.std() > 0 and len(found[0].scores) == 9


def test_the_language_model_matters(qwen):
    """What the tests above compare would be equal, too, if nothing of it reached the outputs."""
    model = assemble(qwen, **SIZES)
    before = outputs(model)[0]
    with torch.no_grad():
        model.semantics.mllm.get_decoder().norm.weight.mul_(-1)
    assert not torch.allclose(outputs(model)[0], before, atol=1e-4)


def test_the_weights_are_those_of_the_checkpoints(qwen):
    model = assemble(qwen, **SIZES)
    sam2, clip = (load_file(qwen[part] / "model.safetensors") for part in ("vision", "text"))
    for name, weight in model.sam2.state_dict().items():
        torch.testing.assert_close(weight, sam2[name], msg=name)
    for name, weight in model.text.encoder.state_dict().items():
        torch.testing.assert_close(weight, clip[name], msg=name)
    shards = {}
    for path in qwen["mllm"].glob("*.safetensors"):
        shards |= load_file(path)
    own = model.semantics.mllm.state_dict()
    pairs = {  # their names on the hub
        "model.layers.1.mlp.up_proj.weight": "model.language_model.layers.1.mlp.up_proj.weight",
        "visual.blocks.1.attn.qkv.weight": "model.visual.blocks.1.attn.qkv.weight",
    }
    for published, name in pairs.items():
        assert torch.equal(shards[published], own[name])


def test_settings_of_the_checkpoints_are_used(qwen):
    config = assemble(qwen, **SIZES).config
    assert config.image_mean == [0.4, 0.5, 0.6] and config.image_std == [0.2] * 3
    assert config.frame_side == 64 and config.text_pooling == "projection" and config.untrained
    assert config.sam2_config.model_type == "sam2"
    assert config.sources == {"mllm": "mllm", "vision": "vision", "text": "text"}  # no folder of this machine


@pytest.mark.parametrize("spare", [0, 5])
def test_seg_gets_a_row_and_none_is_taken_away(spare, encoders, tmp_path):
    mllm = save_mllm(tmp_path / "mllm", spare=spare)
    model, known = assemble({"mllm": mllm} | encoders, **SIZES), len(mllm_tokenizer("qwen2_vl"))
    seg = model.semantics.tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    rows = model.semantics.mllm.get_input_embeddings().weight
    assert seg == known and len(rows) == max(known + spare, known + 1)
    torch.testing.assert_close(rows[seg], rows[:known].mean(0))
    assert model.semantics.mllm.config.get_text_config().vocab_size == len(rows)


@pytest.mark.parametrize(("asked", "got"), [("auto", "bfloat16"), ("float32", "float32"), ("float16", "float16")])
@pytest.mark.parametrize("name", ["dtype", "mllm_dtype"])
def test_precision_is_the_checkpoints_or_as_asked_and_is_kept(name, asked, got, encoders, tmp_path):
    mllm = save_mllm(tmp_path / "mllm", dtype=torch.bfloat16)
    assemble({"mllm": mllm} | encoders, **{name: asked}, **SIZES).save_pretrained(tmp_path / "model")
    model = LavidaModel.from_pretrained(tmp_path / "model")
    assert {weight.dtype for weight in model.semantics.parameters()} == {getattr(torch, got)}
    others = (weight for name, weight in model.named_parameters() if not name.startswith("semantics"))
    assert {weight.dtype for weight in others} == {torch.float32}
    assert torch.isfinite(outputs(model)[0]).all()


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_language_model_in_float16_is_asked_in_bf16_where_that_is_fast(kind, encoders, tmp_path, monkeypatch):
    for module in ("torch_backend", "device", "model.predictor"):
        monkeypatch.setattr(f"lavida.{module}.has_fast_bf16", lambda device: True)
    sources = {"mllm": save_mllm(tmp_path / "mllm", kind)} | encoders
    frames = clips(1, 3)[0].permute(0, 2, 3, 1).numpy()
    scores = {}
    for dtype in ("bfloat16", "float16"):
        torch.manual_seed(0)
        detector = Detector.of(assemble(sources, dtype=dtype, **SIZES), name=dtype, device=torch.device("cpu"))
        detector.backend.prepare()
        scores[dtype] = torch.from_numpy(detector.detect(frames, ["dog"]).scores)
        detector.model.save_pretrained(tmp_path / dtype)
        assert LavidaModel.from_pretrained(tmp_path / dtype).config.mllm_dtype == "bfloat16"
    torch.testing.assert_close(scores["float16"], scores["bfloat16"], atol=0.01, rtol=0)


def test_processor_files_survive_saving(qwen, tmp_path):
    model = assemble(qwen, **SIZES)
    model.save_pretrained(tmp_path / "one")
    LavidaModel.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "two")
    for part in ("mllm", "vision"):
        for name in PROCESSOR_FILES:
            if (qwen[part] / name).is_file():
                assert (tmp_path / "two" / "processors" / part / name).read_text() == (qwen[part] / name).read_text()
    assert "mllm/video_preprocessor_config.json" in model.processors


def test_the_image_model_of_sam2_and_a_bert_encoder_will_do(qwen, tmp_path, bert):
    sources = qwen | {"vision": save_sam2(tmp_path / "image", video=False), "text": bert}
    model = assemble(sources, **SIZES)
    assert model.config.text_pooling == "mean" and torch.isfinite(outputs(model)[0]).all()


@pytest.fixture
def bert(tmp_path) -> Path:
    from tiny import tiny_tokenizers
    from transformers import BertConfig, BertModel

    tokenizer = tiny_tokenizers()[1]
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def test_paper_has_the_published_checkpoints_weights():
    """The names and number of tensors in Qwen2-VL-7B-Instruct's index; test_start.py counts the parameters."""
    model = shape_only(pretrained_config("paper"))
    shapes = {name: tuple(value.shape) for name, value in model.semantics.mllm.state_dict().items()}
    assert len(shapes) == 28 * 12 + 3 + 32 * 12 + 1 + 6
    assert shapes["lm_head.weight"] == shapes["model.language_model.embed_tokens.weight"] == (152_064, 3584)
    assert shapes["model.language_model.layers.27.self_attn.k_proj.bias"] == (512,)
    assert shapes["model.visual.merger.mlp.2.weight"] == (3584, 5120)
    assert model.sam2.state_dict()["vision_encoder.backbone.blocks.15.attn.qkv.weight"].shape == (2304, 768)
    assert model.text.encoder.text_projection.weight.shape == (512, 512)


def damaged(sources: dict[str, Path], part: str, root: Path) -> Path:
    """A copy of one part, to be broken."""
    return Path(shutil.copytree(sources[part], root / part))


def refusal(sources: dict, **settings) -> str:
    with pytest.raises(InputError) as caught:
        assemble(sources, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_architecture_is_named_with_those_that_would_do(qwen):
    told = refusal(qwen | {"mllm": qwen["text"]})
    assert "clip" in told and "qwen2_vl, qwen2_5_vl, qwen3_vl, smolvlm, llava_onevision" in told
    assert "sam2, sam2_video" in refusal(qwen | {"vision": qwen["mllm"]})


def test_files_that_are_missing_or_cut_short_are_named(qwen, tmp_path):
    for number, (name, cut) in enumerate([("model-00002-of-00003.safetensors", True), ("tokenizer.json", False)]):
        folder = damaged(qwen, "mllm", tmp_path / str(number))
        if cut:
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[: len(content) // 2])
            assert f"{name} is damaged or cut short" in refusal(qwen | {"mllm": folder})
        (folder / name).unlink()
        assert f"{name} is missing" in refusal(qwen | {"mllm": folder})
    folder = damaged(qwen, "vision", tmp_path)
    (folder / "config.json").write_text("{")
    assert "config.json cannot be read" in refusal(qwen | {"vision": folder})
    (folder / "config.json").unlink()
    assert "config.json is missing" in refusal(qwen | {"vision": folder})


def test_a_tokenizer_of_another_model(qwen, tmp_path):
    folder = damaged(qwen, "mllm", tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(qwen["text"] / name, folder / name)
    assert "does not know <|video_pad|>" in refusal(qwen | {"mllm": folder})


def test_weights_of_another_shape(qwen, tmp_path):
    folder = damaged(qwen, "vision", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["mask_decoder_config"]["mlp_dim"] = 96
    (folder / "config.json").write_text(json.dumps(config))
    assert "lacks" in (told := refusal(qwen | {"vision": folder})) and "mask_decoder" in told


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"dtype": "int8"}, "auto, bfloat16, float16, float32"),
        ({"projektor": "mlp"}, "projektor"),
        ({"projector_dim": "wide"}, "projector_dim"),
        ({"projector": "three_way"}, "two_way"),
        ({"classifier_evidence": True}, "alignment"),
        ({"text_pooling": "cls"}, "mean or projection"),
        ({"frozen_parts": [{"module": "text"}]}, "frozen_parts of the model comes from its parts"),
        ({"sam2_config": None}, "sam2_config"),
        ({"architectures": ["x"]}, "architectures"),
        ({"mllm_dtype": "int8"}, "auto, bfloat16, float16, float32"),
        ({"mllm_dtype": "float32", "dtype": "float16"}, "two precisions"),
    ],
)
def test_settings_that_do_not_fit(settings, named, qwen):
    assert named in refusal(qwen, **(SIZES | settings))


def test_weights_that_are_not_used_are_told(qwen, tmp_path, caplog):
    from safetensors.torch import save_file

    folder = damaged(qwen, "vision", tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"mask_decoder.new_head.weight": torch.ones(2)}, folder / "model.safetensors", {"format": "pt"})
    assemble(qwen | {"vision": folder}, **SIZES)
    assert "1 weights of the vision model" in (told := caplog.text) and "mask_decoder.new_head" in told
    caplog.clear()
    assemble(qwen, **SIZES)  # of CLIP's image tower and SAM 2's memory nobody is told
    assert not caplog.messages


def test_a_saved_model_is_one_config_that_transformers_knows(qwen, tmp_path):
    assemble(qwen, **SIZES).save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.model_type == "lavida" and config.mllm_config.model_type == "qwen2_vl"
    assert run(["models"]) == 0
