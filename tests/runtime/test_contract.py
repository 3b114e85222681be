"""What a manifest and its graphs have to say: what is of another type, out of range or foreign is one line."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import lavida
from lavida.errors import InputError
from lavida.files import EMBEDDED, EXPORTED
from lavida.runtime.contract import SETTINGS, check
from lavida.runtime.manifest import sha256

TOLD = json.loads((EMBEDDED / EXPORTED / "manifest.json").read_text())
FAMILY = [f"family.{name}" for name in TOLD["model"]["family"] if name not in ("name", "chat")]
CHAT = [f"family.chat.{name}" for name in ("before_video", "after_video", "before_answer", "answer_start")]
RUNTIMES = ["onnx", "openvino"]


def changed(key: str, value) -> dict:
    content = copy.deepcopy(TOLD)
    part, (*way, last) = content, key.split(".")
    for name in way:
        part = part[name]
    part[last] = value
    return content


def test_the_embedded_one_passes():
    check(TOLD)


@pytest.mark.parametrize("key", [*SETTINGS, *FAMILY, *CHAT])
def test_no_setting_of_a_model_is_nonsense(key):
    for value in (None, [], {}, ["x"], 10**400, float("nan"), float("inf"), -(10**9)):
        with pytest.raises(InputError):
            check(changed(f"model.{key}", value))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.clip_length", 0, "says clip_length: 0; choose a number from 1 to 65536"),
        ("model.motion", 1, "says motion: 1; choose true or false"),
        ("model.compression_ratio", 0, "says compression_ratio: 0; choose a number above 0"),
        ("model.calibration_temperature", 0, "says calibration_temperature: 0; choose a number from 1e-06"),
        ("model.family.std", [1, 0, 1], r"says family.std: \[1, 0, 1\]; choose three numbers above 0"),
        ("model.family.chat.after_video", 3, "says family.chat.after_video: 3; choose a text"),
        ("model.removed_categories", [3], "does not tell removed_categories as texts"),
        ("model.motion", False, "says that graphs.vision has an input motion, which nothing gives"),
        ("model.qualifiers", False, "says that graphs.decoder has an input f_named, which nothing gives"),
        ("graphs.vision.outputs", ["fine"], "says that graphs.decoder has an input class_logits, which nothing gives"),
        ("graphs.text.inputs", {}, "tells no inputs of graphs.text"),
        ("graphs.text.inputs.input_ids", {}, "cannot be read"),
        ("graphs.text.inputs.input_ids.shape", None, "cannot be read"),
        ("graphs.text.inputs.input_ids.shape", [[1], 2], "does not tell the shape of the input input_ids"),
        ("model.family.chat.after_video", "\ud800", "choose a text"),
        ("model.family.markup", ["\ud800", "b"], "choose two texts"),
        ("files", ["text.onnx"], "does not tell the SHA-256 of its files"),
        ("files", {"text.onnx": 3}, "does not tell the SHA-256 of its files"),
        ("graphs.text.outputs", [], "tells no outputs of graphs.text"),
        ("graphs.text.outputs", [3], "tells no outputs of graphs.text"),
        ("graphs.text.outputs", ["other"], "says that graphs.text has no output features"),
        (
            "graphs.decoder.outputs",
            ["frame_logits", "pixel_logits", "pixel_maps", "evidence"],
            "no output category_log",
        ),
        ("graphs.text.file", 3, "does not tell the file and the bytes of graphs.text"),
        ("graphs.text.bytes", "3", "does not tell the file and the bytes of graphs.text"),
        ("shared", {"file": "x"}, "cannot be read"),
        ("graphs", None, "cannot be read"),
        ("model", [], "cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(key, value, said):
    with pytest.raises(InputError, match=said):
        check(changed(key, value))


def renamed(path: Path) -> None:
    """An input has another name."""
    graph = onnx_of(path)
    old, graph.graph.input[0].name = graph.graph.input[0].name, "other"
    for node in graph.graph.node:
        node.input[:] = ["other" if name == old else name for name in node.input]
    write(graph, path)


def swapped(path: Path) -> None:
    """Outputs in another order."""
    graph = onnx_of(path)
    outputs = list(graph.graph.output)
    del graph.graph.output[:]
    graph.graph.output.extend(reversed(outputs))
    write(graph, path)


def fixed(path: Path) -> None:
    """Only one size is left free."""
    graph = onnx_of(path)
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 7
    write(graph, path)


def onnx_of(path: Path):
    return pytest.importorskip("onnx").load(path, load_external_data=False)


def write(graph, path: Path) -> None:
    """Beside a manifest that knows its size."""
    path.write_bytes(graph.SerializeToString())
    manifest = path.with_name("manifest.json")
    told = json.loads(manifest.read_text())
    told["graphs"][path.stem]["bytes"] = path.stat().st_size
    told["files"][path.name] = sha256(path)
    manifest.write_text(json.dumps(told))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (renamed, "text", "text.onnx has other inputs .*other.* than the manifest beside it tells"),
        (swapped, "vision", "vision.onnx has other outputs .* than the manifest beside it tells"),
        (renamed, "noun_decoder", "noun_decoder.onnx has other inputs"),
        (
            fixed,
            "vision",
            "cannot run .*vision.onnx .*, or use another --runtime|has no score for each of 1 frames",
        ),
    ],
)
def test_a_foreign_graph_is_one_line(pair, tmp_path, runtime, change, name, said):
    pytest.importorskip("onnxruntime" if runtime == "onnx" else runtime)
    copied = shutil.copytree(pair("whole").folder, tmp_path / "copy")
    change(copied / f"{name}.onnx")
    with pytest.raises(InputError, match=said) as raised:
        lavida.load(copied, runtime=runtime).detect(np.zeros((1, 64, 96, 3), np.uint8), ["car"], fps=5)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_known_words_of_another_model_are_named(pair, tmp_path):
    copied = shutil.copytree(pair("whole").folder, tmp_path / "copy")
    np.save(copied / "known_words.npy", np.ones((3, 7), np.float16))
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["files"]["known_words.npy"] = sha256(copied / "known_words.npy")
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="known_words.npy has features of another length than text.onnx"):
        lavida.load(copied).detect(np.zeros((1, 64, 96, 3), np.uint8), ["car"], fps=5)
