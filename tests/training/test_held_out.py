from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_lavida
from toy_run import ToyPictures, log, toy_recipe, train

from lavida.checkpoints.pretrained import LavidaModel
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.held_out.questions import MOST_PICTURES
from lavida.exposure.heldout import evenly_spread
from lavida.training.monitor import FOUND, TRUTH, WIDTH, HeldOutExample, HeldOutTest, draw_example
from lavida.training.recipe import SetRecipe

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


class ManyPictures(ToyPictures):
    """Remembers which were looked at; recipes find it as a data set of the user's own."""

    seen: set[int] = set()

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index):
        self.seen.add(index)
        return super().__getitem__(index)


@pytest.fixture
def detector() -> Detector:
    return Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))


class OtherPictures(ManyPictures):
    """The same in another set."""


def heldout_test(*kinds: type, **settings) -> HeldOutTest:
    recipe = toy_recipe("nowhere", **settings)
    recipe.data.sets = [SetRecipe(f"{__name__}:{kind.__name__}", "toy") for kind in kinds or (ManyPictures,)]
    return HeldOutTest(recipe.data, recipe.train)


@pytest.mark.slow
def test_only_pictures_that_calibration_may_learn_from_are_asked(monkeypatch, detector):
    monkeypatch.setattr(ManyPictures, "seen", set())
    aucs = heldout_test(evaluate_pictures=8).aucs(detector)
    assert len(aucs) == 1 and all(0 <= auc <= 1 for auc in aucs.values())
    assert len(ManyPictures.seen) == 8
    assert ManyPictures.seen <= set(evenly_spread(40, MOST_PICTURES)[::2])


@pytest.mark.slow
def test_the_same_pictures_give_the_same_numbers(detector):
    test = heldout_test(evaluate_pictures=6)
    assert test.aucs(detector) == test.aucs(detector)


@pytest.mark.slow
def test_prompts_with_a_removed_category_are_left_out():
    model = tiny_lavida(removed_categories=["dog"])
    test = heldout_test(evaluate_pictures=8)
    dogless = Detector.of(model, name="tiny", device=torch.device("cpu"))
    assert test.aucs(dogless) == {}  # no prompt with a present class is left
    assert test.examples(dogless) == []


@pytest.mark.slow
def test_findings_take_turns_between_the_sets(detector):
    test = heldout_test(ManyPictures, OtherPictures, show_pictures=3, evaluate_pictures=4)
    examples = test.examples(detector)
    assert len(examples) == 3 and {example.present for example in examples} == {"dog"}
    assert all("dog" in example.categories and example.truth.any() for example in examples)
    assert np.array_equal(examples[0].frame, examples[1].frame)  # the first of each set
    assert not np.array_equal(examples[0].frame, examples[2].frame)
    assert examples[0].found.shape == examples[0].truth.shape == examples[0].frame.shape[:2]


def test_a_set_without_held_out_pictures_is_told_at_the_start(tmp_path):
    recipe = toy_recipe(tmp_path, evaluate_every=2)
    recipe.data.sets, recipe.data.root = [SetRecipe("camvid", "camvid")], str(tmp_path)
    with pytest.raises(InputError, match="camvid"):
        HeldOutTest(recipe.data, recipe.train)


def test_a_finding_is_drawn_as_frame_truth_and_what_was_found():
    truth, found = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    truth[:, :40], found[:, 40:] = True, True
    frame = np.full((60, 80, 3), 100, np.uint8)
    picture = draw_example(HeldOutExample(frame, truth, found, ("cat", "dog"), "dog", logit=0.0))
    assert picture.dtype == np.uint8 and picture.shape[1] == 3 * WIDTH and picture.shape[0] > 240
    left, right = 80, 240  # columns inside a panel
    assert picture[120, left].tolist() == picture[120, right].tolist() == [100] * 3
    assert picture[120, WIDTH + left].tolist() == [(100 + c) // 2 for c in TRUTH]
    assert picture[120, WIDTH + right].tolist() == [100] * 3
    assert picture[120, 2 * WIDTH + left].tolist() == [100] * 3
    assert picture[120, 2 * WIDTH + right].tolist() == pytest.approx([(100 + c) // 2 for c in FOUND], abs=1)
    assert picture[240:].max() == 255  # a caption
    longer = draw_example(HeldOutExample(frame, truth, found, ("cat",) * 60, "dog", logit=0.0))
    assert longer.shape[0] > picture.shape[0]  # takes more lines


class Scripted:
    """Gives the AUCs that it is told."""

    script = [{"a": 0.5, "b": 0.7}, {"a": 0.5}, {"a": 0.8, "b": 0.6}]

    def __init__(self):
        self._left = list(self.script)

    def aucs(self, detector):
        assert not detector.model.training
        return self._left.pop(0)

    def examples(self, detector):
        return []


@pytest.mark.slow
def test_the_best_model_is_kept(tmp_path, caplog):
    caplog.set_level("INFO", logger="lavida")
    train(toy_recipe(tmp_path, evaluate_every=2, steps=6), test=Scripted())
    assert [(line["step"], line["auc"]) for line in log(tmp_path, "evaluations.jsonl")] == [
        (2, pytest.approx(0.6)),
        (4, 0.5),
        (6, pytest.approx(0.7)),
    ]
    told = [line for line in caplog.messages if "held-out" in line]
    assert ["best" in line for line in told] == [True, False, True]
    assert same(tmp_path / "best", tmp_path / "model")


@pytest.mark.slow
def test_a_worse_model_does_not_take_its_place(tmp_path):
    train(toy_recipe(tmp_path, evaluate_every=2, steps=4), test=Scripted())
    assert not same(tmp_path / "best", tmp_path / "model")
    LavidaModel.from_pretrained(tmp_path / "best")


def same(one: Path, other: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
