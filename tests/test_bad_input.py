"""What cannot be done ends in one line that says what, where and how to mend it, and in exit code 2."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel
from video import make

from lavida.cli import run
from lavida.export import overlay


@pytest.fixture
def refused(tiny_model_dir: Path, tmp_path: Path, monkeypatch, capfd, loads_once) -> Callable[..., str]:
    """Run `lavida detect`, which must fail as agreed, and return its one line."""
    monkeypatch.chdir(tmp_path)

    def command(*sources: object, anomalies=("bicycle",), model: Path | str = tiny_model_dir, options=()) -> str:
        given = [argument for anomaly in anomalies for argument in ("-a", anomaly)]
        capfd.readouterr()  # what the preparation printed
        code = run(["detect", *map(str, sources), *given, "--model", str(model), *map(str, options)])
        printed = capfd.readouterr()
        assert code == 2 and printed.out == ""
        assert not list(Path().glob("lavida-out/*")), "something was left behind"
        (line,) = printed.err.splitlines()
        assert line.startswith("lavida: ") and len(line) < 400 and "Traceback" not in line
        return line

    return command


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make.video(tmp_path / "clip.mp4", frames=4)


# --- sources


def missing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("no video\n" * 100)


def sound(path: Path) -> None:
    make.audio(path.with_suffix(".wav")).rename(path)


def header_only(path: Path) -> None:
    make.truncated(path, keep=0.02, frames=30, texture=90)


def no_frames(path: Path) -> None:
    make.y4m(path, frames=0)


def empty_folder(path: Path) -> None:
    path.mkdir()


def folder_of_text(path: Path) -> None:
    path.mkdir()
    (path / "1.png").write_text("no picture")


def mixed_sizes(path: Path) -> None:
    make.folder(path, {"1.png": make.plain(9, (8, 6)), "2.png": make.plain(9, (6, 8))})


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "write",
    [missing, empty, text, sound, header_only, no_frames, empty_folder, folder_of_text, mixed_sizes, pipe],
)
def test_a_source_without_frames_is_named(refused, tmp_path, write):
    write(tmp_path / "given.mp4")
    assert "given.mp4" in refused("given.mp4")


def test_a_path_too_long_for_any_disk_is_named(refused):
    assert "cannot be read" in refused("a" * 300)  # as from "$(ls *.mp4)"


def test_no_path_is_not_the_current_folder(refused, tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "holiday.png")
    assert "no such file" in refused("")


def test_line_breaks_in_a_path_do_not_break_the_line(refused):
    assert "no\nsuch" not in refused("no\nsuch\nfile.mp4")


# --- categories and settings


@pytest.mark.parametrize("anomalies", [[""], ["  "], ["\n"], ["\u200b"], ["dog", ""]])
def test_a_blank_category_is_refused(refused, clip, anomalies):
    assert "empty" in refused(clip, anomalies=anomalies)


def test_no_category_is_refused(refused, clip):
    assert "--anomaly" in refused(clip, anomalies=[])


def test_too_many_categories_are_counted(refused, clip):
    assert "201" in refused(clip, anomalies=[f"kind {index}" for index in range(201)])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--stride", "0"], "stride"),
        (["--stride", "-1"], "stride"),
        (["--stride", "often"], "stride"),
        (["--threshold", "0"], "threshold"),
        (["--threshold", "1"], "threshold"),
        (["--threshold", "nan"], "threshold"),
        (["--threshold", "high"], "threshold"),
        (["--device", "toaster"], "toaster"),
        (["--device", "meta"], "meta"),
        (["--devize", "cpu"], "--devize"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_once_for_all_sources(refused, clip, options, named):
    assert named in refused(clip, clip, options=options)


@pytest.mark.parametrize("arguments", [["detetc"], ["detect"], ["detect", "clip.mp4"], ["--fast"]])
def test_usage_errors_are_one_tidy_line_that_names_the_help(arguments, capsys):
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lavida: ") and "--help" in line and ".;" not in line


# --- models


@pytest.fixture
def model(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to break."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "broken-model"))


def weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def breaking(model: Path) -> None:
        tensors = load_file(model / "model.safetensors")
        change(tensors)
        save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})

    return breaking


def cut_weights(model: Path) -> None:
    data = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(data[: len(data) // 2])


def other_size(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "projector_dim": 64}))


def other_package(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    part = {"module": "text.encoder", "package": "no_such_package", "file": "x", "sha256": "0"}
    (model / "config.json").write_text(json.dumps({**config, "frozen_parts": [part]}))


def foreign(model: Path) -> None:
    shutil.rmtree(model)
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=8, max_position_embeddings=8, **tiny)).save_pretrained(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "breaking",
    [
        shutil.rmtree,
        foreign,
        lambda model: (model / "config.json").unlink(),
        lambda model: (model / "config.json").write_text('{"model_type": '),
        lambda model: (model / "config.json").write_text("[]"),
        lambda model: (model / "model.safetensors").unlink(),
        lambda model: (model / "model.safetensors").write_bytes(b""),
        cut_weights,
        weights(lambda tensors: tensors.pop(next(iter(tensors)))),
        other_size,
        lambda model: shutil.rmtree(model / "tokenizer"),
        lambda model: (model / "text_tokenizer" / "tokenizer.json").write_text("{"),
    ],
    ids=[
        "no folder",
        "foreign",
        "no config",
        "cut config",
        "list config",
        "no weights",
        "no bytes",
        "half the weights",
        "one weight less",
        "other size",
        "no tokenizer",
        "broken tokenizer",
    ],
)
def test_a_broken_model_is_named(refused, clip, model, breaking):
    breaking(model)
    line = refused(clip, model=model)
    assert "broken-model" in line and ";" in line  # where, and how to mend it


@pytest.mark.parametrize("source", ["~nobody-of-this-name/model", "m" * 300, "a/" + "m" * 300])
def test_a_model_at_an_impossible_path_is_named(refused, clip, source):
    assert "no such model" in refused(clip, model=source)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_model_that_may_not_be_read_is_named(refused, clip, model):
    (model / "config.json").chmod(0)
    assert "permissions" in refused(clip, model=model)


@pytest.mark.slow
def test_a_model_whose_frozen_part_is_not_installed_says_what_to_install(refused, clip, model):
    other_package(model)
    assert "pip install no-such-package" in refused(clip, model=model)


@pytest.mark.slow
def test_weights_that_are_not_numbers_give_no_result(refused, clip, model):
    weights(lambda tensors: [tensor.mul_(float("nan")) for tensor in tensors.values()])(model)
    assert "damaged" in refused(clip, model=model)


# --- the output folder


def test_a_folder_that_cannot_be_made_is_named_before_the_work(refused, clip, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("lavida.detector.Detector.detect", lambda *_, **__: pytest.fail("too late"))
    assert "file/deep" in refused(clip, options=["--out", "file/deep"])
    (tmp_path / "clip").write_text("mine")
    assert str(tmp_path / "clip") in refused(clip, options=["--out", "."])
    (tmp_path / "photos" / "clip").mkdir(parents=True)
    (tmp_path / "photos" / "clip" / "me.jpg").touch()
    assert "no lavida result" in refused(clip, options=["--out", "photos"])
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert "Permission denied" in refused(clip, options=["--out", "locked"])
    assert not (tmp_path / "locked").exists() and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "Read-only"), (errno.EACCES, "denied")]
)
def test_a_disk_that_fails_in_the_middle_leaves_nothing(refused, clip, monkeypatch, number, words):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(overlay, "write_overlay", fail)
    assert words in refused(clip)


@pytest.mark.slow
def test_a_disk_that_really_fills_up_is_said_to_be_full(refused, small_disk, tmp_path):
    noise = make.video(tmp_path / "noise.mp4", frames=60, width=320, height=240, texture=200)
    assert "disk is full" in refused(noise, options=["--out", small_disk / "out"])
    assert list(small_disk.rglob("*")) == [small_disk / "out"]
