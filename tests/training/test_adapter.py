"""What LoRA has learnt, shared alone and merged again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from checkpoints import SIZES, save_sources
from peft import PeftModel
from tiny import clips, tiny_lavida
from toy_run import ToyStream, toy_recipe
from transformers import AutoModelForImageTextToText

from lavida.checkpoints.pretrained import LavidaModel
from lavida.cli import run
from lavida.errors import InputError
from lavida.training import loop
from lavida.training.adapter import merge_adapter, share_adapter

SETTINGS = [part for key, value in SIZES.items() for part in ("--set", f"{key}={value}")]


def train(out: Path, sources: dict[str, Path], **settings) -> Path:
    model = {"preset": "paper"} | {part: str(folder) for part, folder in sources.items()} | SIZES
    lora = {"rank": 2, "dropout": 0.0}
    recipe = toy_recipe(out, model=model, steps=2, learning_rate=1e-2, **({"lora": lora} | settings))
    return loop.train(recipe, data=ToyStream())


@pytest.fixture(scope="module")
def shared_run(made_once) -> Path:
    """A folder with the checkpoints `sources` and, trained from them with LoRA, `run/model`; to be left as it is."""
    return made_once("lora-training", lambda out: train(out / "run", save_sources(out / "sources")))


@pytest.fixture
def sources(shared_run) -> dict[str, Path]:
    return {path.name: path for path in (shared_run / "sources").iterdir()}


@pytest.fixture
def trained(shared_run, tmp_path) -> Path:
    """A copy of the trained model."""
    return Path(shutil.copytree(shared_run / "run" / "model", tmp_path / "run" / "model"))


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_accelerator")]


@torch.no_grad()
def outputs(model: LavidaModel) -> list[torch.Tensor]:
    output = model(clips(2, 2), [["dog"], ["smoke", "a person"]], with_text_loss=True)
    return [output.frame_logits, output.pixel_logits, output.text_loss]


@pytest.mark.parametrize(
    ("kind", "stored", "settings"),
    [
        ("qwen2_vl", torch.bfloat16, {"precision": "bf16", "embeddings": "full"}),
        ("smolvlm", torch.bfloat16, {"precision": "float32", "embeddings": "seg_row"}),
        ("llava_onevision", torch.float32, {"precision": "bf16", "embeddings": "seg_row"}),
    ],
)
def test_trained_from_checkpoints_shared_and_merged_again(kind, stored, settings, tmp_path):
    sources = save_sources(tmp_path / "sources", kind, dtype=stored)
    trained = train(tmp_path / "run", sources, **settings)
    given = [part for name, folder in sources.items() for part in (f"--{name}", str(folder))]
    base, adapter, merged = (str(tmp_path / name) for name in ("base", "adapter", "merged"))
    assert run(["models", "build", *given, "--out", base, *SETTINGS]) == 0
    assert run(["models", "share", str(trained), "--out", adapter]) == 0
    assert run(["models", "merge", adapter, "--base", base, "--out", merged]) == 0
    models = [LavidaModel.from_pretrained(folder) for folder in (merged, trained, base)]
    for got, value, old in zip(*map(outputs, models), strict=True):
        torch.testing.assert_close(got, value, atol=1e-5, rtol=0)
        assert not torch.allclose(value, old, atol=1e-3)
    assert not models[0].config.untrained


def test_the_adapter_is_small_and_peft_reads_it(sources, trained, tmp_path):
    assert share_adapter(trained, tmp_path / "adapter") < 0.5 * (trained / "model.safetensors").stat().st_size
    plain = AutoModelForImageTextToText.from_pretrained(sources["mllm"])
    plain.resize_token_embeddings(plain.get_input_embeddings().num_embeddings + 1)
    adapted = PeftModel.from_pretrained(plain, tmp_path / "adapter").merge_and_unload()
    wanted = LavidaModel.from_pretrained(trained).semantics.mllm.state_dict()
    name = "model.language_model.layers.1.self_attn.v_proj.weight"
    torch.testing.assert_close(adapted.state_dict()[name], wanted[name], atol=1e-3, rtol=0)
    text = (tmp_path / "adapter" / "README.md").read_text()
    assert "lavida models merge" in text and str(tmp_path) not in text


def refusal(work) -> str:
    with pytest.raises(InputError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_shared_or_merged(sources, trained, tmp_path):
    adapter, out = tmp_path / "adapter", tmp_path / "out"
    share_adapter(trained, adapter)
    other = tmp_path / "other"
    tiny_lavida().save_pretrained(other)
    assert "no adapter in" in refusal(lambda: share_adapter(other, out))
    assert "holds no lavida result" in refusal(lambda: share_adapter(trained, sources["mllm"]))
    assert "was not trained from" in refusal(lambda: merge_adapter(adapter, base=other, out=out))
    assert "is missing" in refusal(lambda: merge_adapter(other, base=trained, out=out))
    assert "no such adapter" in refusal(lambda: merge_adapter(tmp_path / "none", base=trained, out=out))
    damaged = Path(shutil.copytree(adapter, tmp_path / "damaged"))
    content = (damaged / "lavida.safetensors").read_bytes()
    (damaged / "lavida.safetensors").write_bytes(content[:100])
    assert "damaged adapter" in refusal(lambda: merge_adapter(damaged, base=trained, out=out))
    assert not out.exists()


def test_without_lora_there_is_no_adapter(tmp_path):
    trained = train(tmp_path / "run", save_sources(tmp_path / "sources"), lora=None)
    assert not (trained / "adapter").exists()


def test_calibration_made_after_saving_is_shared(trained, tmp_path):
    config = json.loads((trained / "config.json").read_text())
    (trained / "config.json").write_text(json.dumps(config | {"calibration_bias": 0.75}))
    share_adapter(trained, tmp_path / "adapter")
    merge_adapter(tmp_path / "adapter", base=trained, out=tmp_path / "merged")
    assert LavidaModel.from_pretrained(tmp_path / "merged").config.calibration_bias == 0.75
