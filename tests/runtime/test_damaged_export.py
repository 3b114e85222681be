"""Exports that are damaged, foreign, or replaced under a process that has them open: one line each."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import lavida
from lavida.errors import InputError
from lavida.runtime.manifest import unreadable


def cut(folder: Path) -> None:
    path = folder / "decoder.onnx"
    path.write_bytes(path.read_bytes()[:1000])


def scramble(folder: Path) -> None:
    path = folder / "decoder.onnx"
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    """One bit in the middle: a weight, in a file of that size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)


def edit(folder: Path, **changes) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(folder: Path, *keys: str) -> None:
    """Takes a key of the language model's family away."""
    model = json.loads((folder / "manifest.json").read_text())["model"]
    *way, last = "family", *keys
    part = model
    for key in way:
        part = part[key]
    del part[last]
    edit(folder, model=model)


def shorten(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "decoder.onnx is missing or cut short"),
        (scramble, "decoder.onnx is not what was exported"),
        (
            lambda folder: (scramble(folder), edit(folder, files={})),
            "decoder.onnx cannot be read",
        ),  # of earlier exports
        (lambda folder: flip(folder / "shared_weights.bin"), "shared_weights.bin is not what was exported"),
        (lambda folder: flip(folder / "text.onnx"), "text.onnx is not what was exported"),
        (
            lambda folder: shutil.copy(folder / "tokenizer/tokenizer.json", folder / "text_tokenizer"),
            "text_tokenizer/tokenizer.json is not what was exported",
        ),
        (lambda folder: np.save(folder / "known_words.npy", np.full((2, 3), np.nan)), "known_words.npy cannot be"),
        (lambda folder: (folder / "known_words.npy").unlink(), "known_words.npy cannot be read"),
        (lambda folder: (folder / "shared_weights.bin").unlink(), "shared_weights.bin is missing or cut short"),
        (lambda folder: (folder / "vision.onnx").unlink(), "vision.onnx is missing or cut short"),
        (
            lambda folder: (folder / "tokenizer/tokenizer.json").write_text("{"),
            "tokenizer.json is not what was exported",
        ),
        (
            lambda folder: ((folder / "tokenizer/tokenizer.json").write_text("{"), edit(folder, files={})),
            "no tokenizer in",
        ),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (lambda folder: edit(folder, format=99), "has format 99, not 1; install the lavida that wrote it, or export"),
        (lambda folder: edit(folder, format="1"), "has format 1, not 1; export it again"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 10_000), "manifest.json cannot be read"),
        (lambda folder: edit(folder, model={"clip_length": "8"}), "manifest.json does not tell family"),
        (lambda folder: np.save(folder / "known_words.npy", np.ones((0, 3), np.float16)), "known_words.npy cannot be"),
        (lambda folder: (folder / "known_words.npy").write_bytes(b"PK\3\4xxxx"), "known_words.npy cannot be read"),
        (lambda folder: edit(folder, graphs={}), "manifest.json cannot be read"),
        (lambda folder: edit(folder, model={}), "manifest.json does not tell family"),
        (lambda folder: without(folder, "patch"), "manifest.json does not tell family.patch"),
        (lambda folder: without(folder, "chat", "after_video"), "manifest.json does not tell family.chat.after_video"),
        (lambda folder: (folder / "known_words.npy").write_bytes(b""), "known_words.npy cannot be read"),
        (lambda folder: shorten(folder / "known_words.npy", 40), "known_words.npy cannot be read"),
        (lambda folder: shorten(folder / "known_words.npy", 200), "known_words.npy cannot be read"),
        (lambda folder: np.save(folder / "known_words.npy", np.array(["x"])), "known_words.npy cannot be read"),
    ],
)
def test_a_damaged_or_foreign_folder_is_one_line(pair, tmp_path, damage, said):
    _, folder = pair("whole")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    damage(copy)
    with pytest.raises(InputError, match=said) as raised:
        lavida.load(copy).detect(np.zeros((1, 64, 96, 3), np.uint8), ["red car"], fps=5)
    assert "\n" not in str(raised.value) and "export" in str(raised.value)


def test_what_only_others_may_read_is_not_called_damaged():
    error = PermissionError(errno.EACCES, "Permission denied")
    assert str(unreadable(Path("vision.onnx"), error)) == (
        "vision.onnx cannot be read (Permission denied); whoever exported it can allow that"
    )


def test_an_export_that_is_replaced_while_it_is_opened_is_noticed(pair, tmp_path):
    _, folder = pair("whole")
    live = shutil.copytree(folder, tmp_path / "live")
    detector = lavida.load(live, runtime="onnx")
    edit(live, lavida="another")
    with pytest.raises(InputError, match="has been replaced since it was opened; start again"):
        detector.detect(np.zeros((2, 64, 96, 3), np.uint8), ["dog on the left"], fps=5)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_an_export_that_is_replaced_under_a_process_is_noticed(pair, tmp_path, runtime):
    """Graphs are opened when they are asked: words that came later would be answered by two models."""
    pytest.importorskip("onnxruntime" if runtime == "onnx" else runtime)
    _, folder = pair("whole")
    live = shutil.copytree(folder, tmp_path / "live")
    detector = lavida.load(live, runtime=runtime)
    frames = np.zeros((2, 64, 96, 3), np.uint8)
    detector.detect(frames, ["dog"], fps=5)
    flip(live / "decoder.onnx")  # as another model's, of the same size
    with pytest.raises(InputError, match=r"decoder.onnx is not what was exported; .* start again"):
        detector.detect(frames, ["dog on the left"], fps=5)
