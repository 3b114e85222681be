"""A detector without PyTorch: loaded, asked, and refused where it cannot answer."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lavida
from lavida.checkpoints.pretrained import LavidaModel
from lavida.cli import run
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.held_out.answers import ask
from lavida.exposure.heldout import Query
from lavida.exposure.sample import SegmentationSample
from lavida.graphs.comparing import made_up_frames
from lavida.runtime import session
from lavida.runtime.exported import ExportedModel

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow

CATEGORIES = ["dog", "red car on the left", "smoke"]
WITHOUT = """
import json, sys
import lavida
model, source, out = sys.argv[1:]
detection = lavida.load(model).detect(source, ["dog", "red car on the left"])
detection.save(out)
print(json.dumps([name for name in ("torch", "transformers", "safetensors", "pandas") if name in sys.modules]))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve pictures in which things move."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, frame in enumerate(made_up_frames(12, size=(90, 120))):
        Image.fromarray(frame).save(folder / f"{i:02}.png")
    return folder


def in_float32(folder: Path) -> Detector:
    detector = Detector.of(LavidaModel.from_pretrained(folder), name="plain", device=torch.device("cpu"))
    detector.torch.autocast = nullcontext  # bf16, where that is fast, would hide what is compared
    return detector


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_the_same_detection(pair, source, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    _, folder = pair("whole")
    exported = Detector(ExportedModel(folder, runtime=runtime), name="whole")  # bf16 would hide what is compared
    plain = in_float32(folder.parent / "source")
    one, other = (
        detector.detect(source, CATEGORIES, stride=2, threshold=0.3, pixel_maps=True) for detector in (plain, exported)
    )
    np.testing.assert_allclose(other.scores, one.scores, atol=1e-3)
    np.testing.assert_allclose(other.category_scores, one.category_scores, atol=1e-3)
    np.testing.assert_allclose(other.pixel_maps, one.pixel_maps, atol=0.02)  # float16
    events = [[(event.category, event.start_s, event.end_s) for event in found.events()] for found in (one, other)]
    assert events[0] == events[1] and events[0]
    assert len(one.candidates) == len(other.candidates)
    assert other.run["settings"]["runtime"] == runtime and other.run["settings"]["precision"] == "float32"
    assert one.run["settings"]["runtime"] == "torch"
    assert exported.motion and exported.clip_length == plain.clip_length


def test_nothing_heavy_is_imported(pair, source, tmp_path):
    _, folder = pair("whole")
    command = [sys.executable, "-c", WITHOUT, str(folder), str(source), str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == []
    assert (tmp_path / "out" / "events.json").is_file() and (tmp_path / "out" / "overlay.mp4").is_file()


def test_onnx_runtime_keeps_nothing_to_be_sent(tmp_path):
    """It writes an identity of the machine as soon as it is imported, where nobody has told it not to."""
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}  # no build server's
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    code = "from lavida.runtime.session import choose_runtime; choose_runtime('onnx')"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_text_encoder_goes_when_it_was_asked_and_comes_back_for_new_words(pair):
    _, folder = pair("whole")
    exported, frames = (
        ExportedModel(folder, runtime="onnx"),
        np.stack([made.transpose(2, 0, 1) for made in made_up_frames(2, size=(64, 96))]),
    )
    opened = exported.graphs._sessions
    assert "text" in opened  # a damaged one is told when the model is loaded
    first = exported.answer(frames, CATEGORIES)
    assert "text" not in opened
    exported.unfamiliar(CATEGORIES)
    assert "text" not in opened
    exported.answer(frames, ["tree"])
    exported.answer(frames, ["boat"])
    assert "text" in opened  # who changes words does not wait for it again and again
    np.testing.assert_array_equal(exported.answer(frames, CATEGORIES).scores, first.scores)


def test_the_commands_take_an_exported_model(pair, source, tmp_path, capsys):
    _, folder = pair("whole")
    asked = ["detect", str(source), "-a", "dog", "--model", str(folder), "--no-overlay", "--json"]
    assert run([*asked, "--runtime", "onnx", "--out", str(tmp_path / "out")]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["frames"] == 12
    assert json.loads((Path(result["dir"]) / "run.json").read_text())["settings"]["runtime"] == "onnx"
    assert run(["scan", str(source), "-a", "dog", "--model", str(folder), "--out", str(tmp_path / "scan")]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runtime": "torch"}, "which PyTorch does not run"),
        ({"device": "cuda"}, "leave --device cuda out"),
        ({"runtime": "tensorrt"}, "choose auto, torch, onnx or openvino"),
    ],
)
def test_what_an_exported_model_cannot_do_is_one_line(pair, options, said):
    _, folder = pair("whole")
    with pytest.raises(InputError, match=said) as raised:
        lavida.load(folder, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "command", [["models", "export"], ["train", "configs/nano.yaml", "--dry-run"], ["figure", "tokens"]]
)
def test_what_needs_the_model_itself_says_so_of_an_export(pair, source, tmp_path, capsys, command):
    folder = str(pair("whole").folder)
    given = {
        "models": [folder, "--out", str(tmp_path / "out")],
        "train": [f"model.start={folder}", f"data.root={tmp_path}", f"out={tmp_path / 'out'}"],
        "figure": [str(source), "-a", "dog", "--model", folder, "--out", str(tmp_path / "f.png")],
    }[command[0]]
    assert run([*command, *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "exported model" in line and "made from" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_path_that_is_no_text_is_named(pair, tmp_path, runtime):
    copied = tmp_path / b"odd\xff".decode("utf-8", "surrogateescape")
    try:
        shutil.copytree(pair("whole").folder, copied)
    except (OSError, ValueError):
        pytest.skip("this disk takes no such names")
    with pytest.raises(InputError, match="give the folder another name"):
        lavida.load(copied, runtime=runtime)


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ("1", 1),
        ("0", 3),
        ("", 3),
        ("-3", 3),
        ("x", 3),
        ("\N{SUPERSCRIPT TWO}", 3),
        ("2,9", 2),
        ("99999", 4),
        ("9" * 40, 3),
    ],
)
def test_threads_are_those_of_openmp_but_no_more_than_cores(monkeypatch, given, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(session.os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    monkeypatch.setattr(session.os, "cpu_count", lambda: 4)
    assert session.threads() == threads


def test_openvino_says_what_is_wrong_and_not_where_in_its_source():
    error = RuntimeError("Exception from src/core.cpp:132:\nException from src/x.cpp:1:\nno such file.\n\nmore")
    assert session.why(error) == "no such file"
    assert session.why(RuntimeError("")) == "RuntimeError"


def test_ctrl_c_while_a_runtime_is_imported_is_ctrl_c(monkeypatch):
    def stopped(name: str) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr(session, "import_module", stopped)
    with pytest.raises(KeyboardInterrupt):
        session.choose_runtime("onnx")


def test_a_runtime_that_cannot_be_imported_is_no_damaged_export(monkeypatch):
    def broken(name: str):
        raise ImportError("libgomp.so.1: cannot open shared object file\nmore")

    monkeypatch.setattr(session, "import_module", broken)
    package = session.PACKAGES[session.installed()[0]]
    with pytest.raises(
        InputError, match=rf"{package} is installed but cannot be imported \(libgomp.*--force-reinstall"
    ):
        session.choose_runtime("auto")


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_threads_of_a_program_ask_one_detector(pair, runtime):
    pytest.importorskip("onnxruntime" if runtime == "onnx" else runtime)
    model = ExportedModel(pair("whole").folder, runtime=runtime)
    frames = np.stack([frame.transpose(2, 0, 1) for frame in made_up_frames(4, size=(96, 160))])
    expected = model.answer(frames, CATEGORIES).scores
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: model.answer(frames, CATEGORIES), range(12)):
            np.testing.assert_allclose(answer.scores, expected, atol=1e-5)


def test_an_export_beside_its_model_is_taken_until_the_model_changes(pair, tmp_path):
    _, folder = pair("bare")
    model = tmp_path / "model"
    shutil.copytree(folder.parent / "source", model)
    shutil.copytree(folder, model / "exported")
    assert isinstance(lavida.load(model, device="cpu").backend, ExportedModel)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"calibration_bias": 3.0}))
    assert not isinstance(lavida.load(model, device="cpu").backend, ExportedModel)
    with pytest.raises(
        InputError, match=r"is an export of other weights .* lavida models export .*model --out .*exported"
    ):
        lavida.load(model, runtime="onnx")
    (model / "exported" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="damaged export"):
        lavida.load(model, device="cpu")


def test_a_model_is_exported_before_another_runtime_runs_it(tiny_model_dir):
    with pytest.raises(InputError, match="lavida models export .* --out DIR"):
        lavida.load(tiny_model_dir, runtime="onnx")


def test_what_needs_the_weights_is_refused(pair):
    _, folder = pair("whole")
    detector = lavida.load(folder)
    with pytest.raises(InputError, match="this needs the model itself"):
        _ = detector.model
    with pytest.raises(InputError, match="this needs the model itself"):
        _ = detector.knobs
    with pytest.raises(AttributeError):
        _ = detector.nothing_like_this


@pytest.mark.parametrize("kind", ["whole", "bare"])
def test_the_held_out_test_asks_it_as_the_model(pair, kind):
    _, folder = pair(kind)
    plain = in_float32(folder.parent / "source")
    exported = Detector(ExportedModel(folder), name="exported")
    frames = np.stack(made_up_frames(3, size=(90, 120)))
    mask = np.zeros((3, 90, 120), bool)
    mask[:, 20:60, 30:90] = True
    sample = SegmentationSample(frames=frames, masks={"dog": mask}, ignore=None, dataset="x", key="1")
    queries = [Query(0, ("dog", "red car on the left", "smoke"), "dog"), Query(0, ("tree",), None)]
    one, other = (ask(detector, sample, queries, calibrates=False) for detector in (plain, exported))
    assert len(one) == len(other) == 6
    for mine, theirs in zip(other, one, strict=True):
        assert mine.logit == pytest.approx(theirs.logit, abs=5e-3)
        assert mine.category_logits == pytest.approx(theirs.category_logits, abs=5e-3)
        assert (mine.positive, mine.present, mine.frame) == (theirs.positive, theirs.present, theirs.frame)
        assert mine.iou == (None if theirs.iou is None else pytest.approx(theirs.iou, abs=0.01))
        assert mine.untrained is None
    logits = np.array([answer.logit for answer in one])
    assert exported.probabilities(logits) == pytest.approx(plain.probabilities(logits), abs=1e-6)
    assert exported.config.removed_categories == plain.config.removed_categories


def test_scores_are_told_frame_by_frame_and_are_those_of_whole_clips(pair, source, monkeypatch):
    monkeypatch.setattr("lavida.runtime.exported.PIXELS_AT_ONCE", 1)  # as a frame of a usual size is one part
    _, folder = pair("whole")
    detector, parts = lavida.load(folder, device="cpu"), []
    detector.smoothing = False
    found = detector.detect(source, CATEGORIES, stride=1, scored=parts.append)
    assert [len(part.times) for part in parts] == [1] * 12  # a clip has four
    whole = list(detector.stream(source, CATEGORIES, stride=1))
    assert [len(clip.times) for clip in whole] == [4, 4, 4]
    for name in ("indices", "times", "scores", "category_scores"):
        one, other = (np.concatenate([getattr(each, name) for each in some]) for some in (parts, whole))
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.sampled_scores, np.concatenate([clip.scores for clip in whole]))


def test_a_source_that_is_not_read_ahead_is_told_of_before_its_next_clip_is_read(pair):
    detector = lavida.load(pair("whole").folder, device="cpu")
    read, told = [], []

    def live():
        for i, frame in enumerate(np.stack(made_up_frames(4, size=(64, 96))).repeat(4, 0)):
            read.append(i)
            yield frame, 0.2 * i

    def scored(part):
        told.append((int(part.indices[-1]), read[-1]))

    detector.detect(live(), CATEGORIES, stride=1, scored=scored)
    assert told[-1][0] == 15
    assert all(seen <= last // 4 * 4 + 5 for last, seen in told)  # a frame more is read, as the last one is analysed
