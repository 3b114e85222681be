"""`lavida models export`: a whole folder or none, and what stands in the way of one."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_lavida
from torch import nn

from lavida.cli import run
from lavida.errors import InputError
from lavida.files import fingerprint
from lavida.graphs import writing
from lavida.graphs.comparing import compare
from lavida.graphs.writing import _check_size, _export, exportable_family
from lavida.runtime.contract import GRAPHS
from lavida.runtime.exported import ExportedModel
from lavida.runtime.manifest import replaceable
from lavida.runtime.session import PACKAGES, installed

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.slow
def test_a_model_is_exported_and_compared_and_replaces_an_earlier_one(pair):
    model, out = pair("bare")
    assert not (out / "noun_decoder.onnx").exists()
    told = (out.parent / "stdout").read_text()
    compared = [line for line in told.splitlines() if "against PyTorch on made-up frames, largest differences" in line]
    assert [line.split()[0] for line in compared] == [PACKAGES[runtime] for runtime in installed()]
    assert "Warning" not in (out.parent / "stderr").read_text()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["source_sha256"] == fingerprint(out.parent / "source") and manifest["precision"] == "float32"
    assert manifest["opset"] >= 18 and set(manifest["graphs"]) == set(GRAPHS) - {GRAPHS.noun_decoder}
    frames = manifest["graphs"]["vision"]["inputs"]["frames"]
    assert frames == {"dtype": "uint8", "shape": ["frames", 3, "height", "width"]}
    assert manifest["model"]["calibration_temperature"] == 1.0
    assert manifest["model"]["clip_length"] == model.config.clip_length == 4
    for folder in manifest["tokenizers"]:
        assert (out / folder / "tokenizer.json").is_file()
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert manifest["files"].keys() == files - {"manifest.json"}
    assert {path.name for path in out.parent.iterdir()} == {"exported", "source", "stdout", "stderr"}


@pytest.mark.slow
def test_nothing_is_left_of_an_export_that_says_something_else(pair, tmp_path, capsys, monkeypatch):
    _, folder = pair("whole")
    monkeypatch.setattr("lavida.graphs.comparing.MOST", -1.0)
    monkeypatch.setattr(
        "lavida.graphs.writing.export_model",
        lambda model, source, out, **_: shutil.copytree(folder, out, dirs_exist_ok=True),
    )
    assert run(["models", "export", str(folder.parent / "source"), "--out", str(tmp_path / "out")]) == 2
    assert "scores differ by" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def web_page(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"name": "a page that can be installed"}')


def saved_model(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1, "graphs": {}}')
    (folder / "config.json").write_text("{}")


def model_within(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1, "graphs": {}}')
    (folder / "source").mkdir()
    (folder / "source" / "config.json").touch()


def letter_within(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1, "graphs": {}}')
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "letter.txt").touch()


@pytest.mark.parametrize(
    "made",
    [lambda folder: (folder / "letter.txt").write_text("dear"), web_page, saved_model, model_within, letter_within],
)
def test_a_foreign_folder_is_left_alone(tmp_path, capsys, made):
    made(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    assert run(["models", "export", "nano", "--out", str(tmp_path)]) == 2
    assert "empty it or choose another folder" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_an_export_that_was_damaged_can_be_exported_again(tmp_path):
    for name in ("vision.onnx", "decoder.onnx", ".DS_Store"):
        (tmp_path / name).touch()
    assert not replaceable(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1, "gr')
    assert replaceable(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert replaceable(tmp_path)
    (tmp_path / "vision.onnx").unlink()
    assert not replaceable(tmp_path)  # somebody's own file of this name


@pytest.mark.slow
def test_an_export_that_answers_no_number_is_none(pair):
    model, folder = pair("bare")
    exported = ExportedModel(folder, keeps=False)
    answer = exported._answered
    exported._answered = lambda found, count: answer(
        {name: np.full_like(values, np.nan) for name, values in found.items()}, count
    )
    with pytest.raises(InputError, match="scores differ by nan"):
        compare(model, exported)


def test_a_full_disk_is_not_the_models_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", full)
    with pytest.raises(OSError, match="No space left"):
        _export(nn.Identity(), {"x": (torch.ones(1), {})}, ["y"], tmp_path / "vision.onnx")


def full(*args, **options):
    raise OSError(28, "No space left on device")


def test_a_part_that_is_too_large_for_one_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_BYTES", 10)
    (tmp_path / "language.onnx").write_bytes(bytes(6))
    _check_size(tmp_path / "language.onnx")
    (tmp_path / "weight.0").write_bytes(bytes(6))  # PyTorch puts what is larger beside it
    with pytest.raises(InputError, match="its language has more than 2 GB"):
        _check_size(tmp_path / "language.onnx")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"use_f_sem": False}, "use_f_sem false"),
        ({"static_patch_drop": 0.01}, "static_patch_drop"),
        ({"mllm_dtype": "bfloat16"}, "its language model in bfloat16"),
    ],
)
def test_what_stands_in_the_way_is_named(changes, part):
    with pytest.raises(InputError, match=f"cannot be exported yet: {part} stands in the way"):
        exportable_family(tiny_lavida(**changes))


def test_what_an_export_needs_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lavida.graphs.writing.find_spec", lambda name: None if name == "onnx" else find_spec(name))
    assert run(["models", "export", "nano", "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'lavida[export]'" in capsys.readouterr().err


class Unsupported(nn.Module):
    """A convolution whose kernel's size is free."""

    def forward(self, x, weight):
        return nn.functional.conv2d(x, nn.functional.pad(weight, (1, 0, 1, 0)))


def test_a_part_that_cannot_be_traced_is_one_line_and_prints_no_graph(tmp_path, capfd):
    inputs = {"x": (torch.ones(1, 3, 8, 8), {2: "h"}), "weight": (torch.ones(2, 3, 3, 3), {2: "k", 3: "l"})}
    with pytest.raises(InputError, match="its vision stands in the way") as raised:
        _export(Unsupported(), inputs, ["y"], tmp_path / "vision.onnx")
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().out == ""
