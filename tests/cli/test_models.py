"""`lavida models`: what it prints, what it writes and how it refuses."""

import errno
from pathlib import Path

import pytest
import torch
from checkpoints import SIZES, save_sources
from hub_cache import put_into_cache, use_cache
from safetensors import SafetensorError
from video import make

from lavida.checkpoints.pretrained import LavidaModel
from lavida.cli import run

SETTINGS = [part for key, value in SIZES.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    return save_sources(tmp_path_factory.mktemp("sources"), spare=3, dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("models") / "built"
    assert run(build(sources, out)) == 0
    return out


def build(sources: dict[str, Path | str], out: Path, *further: str) -> list[str]:
    given = [part for name, source in sources.items() for part in (f"--{name}", str(source))]
    return ["models", "build", *given, "--out", str(out), *SETTINGS, *further]


def refusal(arguments: list[str], capsys) -> str:
    capsys.readouterr()
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("lavida: ") and err.count("\n") == 1
    return err


@pytest.mark.slow
def test_it_says_that_the_model_is_untrained_and_how_to_train_it(sources, tmp_path, capsys):
    assert run(build(sources, tmp_path / "model")) == 0
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith(f"model saved in {tmp_path / 'model'}: ") and first.endswith("language model in bfloat16")
    assert "untrained" in second and f"lavida train configs/paper.yaml model.start={tmp_path / 'model'}" in second
    assert err == ""
    assert "**Untrained**" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.slow
def test_a_second_build_is_equal_and_takes_the_place_of_the_first(built, sources, tmp_path):
    first = LavidaModel.from_pretrained(built).state_dict()
    for _ in range(2):
        torch.manual_seed(torch.seed() % 1000)
        assert run(build(sources, tmp_path / "model")) == 0
    second = LavidaModel.from_pretrained(tmp_path / "model").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_detect_and_scan_take_it(built, tmp_path):
    video = make.video(tmp_path / "clip.mp4", frames=6)
    chosen = [str(video), "-a", "dog", "--model", str(built), "--stride", "5"]
    assert run(["detect", *chosen, "--out", str(tmp_path / "found"), "--no-overlay"]) == 0
    assert (tmp_path / "found" / "clip" / "frames.parquet").is_file()
    assert run(["scan", *chosen, "--out", str(tmp_path / "scan")]) == 0


@pytest.mark.slow
def test_sources_and_models_come_from_the_hubs_cache_when_it_is_out_of_reach(
    built, sources, tmp_path, monkeypatch, capsys
):
    use_cache(tmp_path / "cache", monkeypatch)
    for name, source in sources.items():
        put_into_cache(tmp_path / "cache", f"toy/{name}", source)
    assert run(build({name: f"toy/{name}" for name in sources}, tmp_path / "model")) == 0
    assert "using the copy of toy/mllm" in capsys.readouterr().err
    assert LavidaModel.from_pretrained(tmp_path / "model").config.sources["mllm"] == "toy/mllm"
    assert "- toy/mllm" in (tmp_path / "model" / "README.md").read_text()  # base_model

    put_into_cache(tmp_path / "cache", "toy/lavida", built)
    video = make.video(tmp_path / "clip.mp4", frames=6)
    chosen = ["detect", str(video), "-a", "dog", "--no-overlay", "--out", str(tmp_path / "found")]
    assert run([*chosen, "--model", "toy/lavida"]) == 0
    assert "no copy of it is in the hub's cache" in refusal([*chosen, "--model", "toy/other"], capsys)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--mllm", "nowhere"], "no such multimodal language model: nowhere"),
        (["paper", "--mllm", "nowhere"], "no such multimodal language model: nowhere"),
        ([], "--mllm is missing"),
        (["huge"], "unknown preset huge: choose one of small, paper"),
        (["nano"], "unknown preset nano"),
    ],
)
def test_sources_that_are_not_there(arguments, named, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = arguments + (["--vision", "v", "--text", "t"] if "--mllm" in arguments else [])
    assert named in refusal(["models", "build", *given, "--out", "model"], capsys)
    assert not any(tmp_path.iterdir())


def test_a_preset_whose_checkpoints_are_out_of_reach(tmp_path, capsys, monkeypatch):
    use_cache(tmp_path / "cache", monkeypatch)
    told = refusal(["models", "build", "small", "--out", str(tmp_path / "model")], capsys)
    assert "Qwen/Qwen2-VL-2B-Instruct is no folder, the hub cannot be reached" in told


def test_a_folder_that_is_something_else_is_left_alone(sources, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in sources["text"].iterdir()}
    assert "holds no lavida result" in refusal(build(sources, sources["text"]), capsys)
    assert before == {path.name: path.read_bytes() for path in sources["text"].iterdir()}
    (tmp_path / "file").touch()
    assert "a file is in the way" in refusal(build(sources, tmp_path / "file"), capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["text", "weights"],
)
def test_a_full_disk_leaves_nothing(error, sources, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise error

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    assert "the disk is full" in refusal(build(sources, tmp_path / "model"), capsys)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "setting",
    [
        *("alignment", "nothing=1", "projector_dim=wide", "=1", "image_mean=[0.5", "compression_mode=fast"),
        *("clip_length=0", "image_mean=[0.5]", "dtype=float16", "sources=3"),
    ],
)
def test_settings_that_do_not_fit(setting, sources, tmp_path, capsys):
    assert refusal(build(sources, tmp_path / "model", "--set", setting), capsys)


def test_list_names_presets_and_architectures(capsys):
    assert run(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "Qwen/Qwen2-VL-7B-Instruct" in out and "llava_onevision" in out and "sam2_video" in out
    assert run(["models"]) == 0 and "build" in capsys.readouterr().out
