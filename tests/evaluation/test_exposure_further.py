"""Further rows of the exposure test: all of COCO, the small sets, fire and smoke among what looks like them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_lavida

from lavida.detector import Detector
from lavida.evaluation.held_out.answers import QueryAnswer, ask
from lavida.evaluation.held_out.further import (
    COCO,
    HAZARDS,
    LOOKALIKES,
    NAMES,
    SMALL,
    CocoQuestions,
    HazardQuestions,
    further_questions,
    further_sets,
    intervals,
)
from lavida.exposure.datasets import DATASETS
from lavida.exposure.datasets.kit_sets import in_part
from lavida.exposure.heldout import Query, sample_prompts
from lavida.exposure.sample import SegmentationSample
from lavida.exposure.vocabulary import Vocabulary


def photo(**shares: float) -> SegmentationSample:
    """A photo whose names cover these shares of it from the left."""
    frames = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3)).astype(np.uint8)
    masks = {name: np.zeros((1, 64, 96), bool) for name in shares}
    for name, share in shares.items():
        masks[name][:, :, : round(96 * share)] = True
    return SegmentationSample(frames, masks, None, "fire_smoke", "a")


def answer(index: int, *, positive: bool, logit: float) -> QueryAnswer:
    return QueryAnswer(positive, logit, 0.5 if positive else None, positive or None, calibrates=False, index=index)


def test_iou_counts_only_pixels_with_a_label_where_asked(tmp_path):
    detector = Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))
    sample, prompt = photo(fire=0.5), Query(7, ("fire", "oven"), "fire")
    region = SegmentationSample(sample.frames, sample.masks, sample.masks["fire"], "fire_smoke", "a")
    (found,) = ask(detector, region, [prompt], calibrates=False, valid=True)
    assert found.positive and found.iou is None and found.index == 7  # only a region of it is known
    (as_before,) = ask(detector, region, [prompt], calibrates=False)
    (whole,) = ask(detector, sample, [prompt], calibrates=False, valid=True)
    assert as_before.iou == whole.iou is not None


@pytest.mark.slow
def test_absent_names_of_a_row_join_those_of_the_vocabulary():
    vocabulary, sample = Vocabulary.builtin(), photo(fire=0.5)
    drawn = [sample_prompts(sample, index, vocabulary=vocabulary, names=("turtle", "tiger")) for index in range(60)]
    absent = {name for prompts in drawn for prompt in prompts for name in prompt.categories} - {"fire"}
    assert {"turtle", "tiger"} <= absent and "smoke" not in absent  # smoke is absent, but was not given
    assert set(NAMES) <= set(vocabulary.classes) and set(NAMES).isdisjoint(vocabulary.names)


def test_intervals_are_over_pictures():
    sure = [answer(i, positive=i % 2 == 0, logit=float(i % 2 == 0)) for i in range(40)]
    assert intervals(sure, draws=50)["auc"] == [1.0, 1.0]
    noise = np.random.default_rng(0).normal(size=40)
    once = [answer(i, positive=i % 2 == 0, logit=noise[i]) for i in range(40)]
    low, high = intervals(once, draws=100)["auc"]
    assert low < 0.5 < high and high - low > 0.2
    # asking the same picture again tells nothing new
    assert intervals(once * 5, draws=100)["auc"] == pytest.approx([low, high], abs=0.02)


def test_rows_are_there_where_their_folders_are(tmp_path):
    assert further_sets(tmp_path) == [] and further_questions(tmp_path) == {}
    folder = tmp_path / "potholes"
    for name, mode, value in (("images/g_img_0113_jpg.jpg", "RGB", 0), ("masks/g_img_0113_jpg.png", "L", 1)):
        (folder / name).parent.mkdir(parents=True)
        Image.new(mode, (32, 32), value).save(folder / name)
    (folder / "classes.json").write_text(json.dumps(["background", "pothole"]))
    (row,) = further_sets(tmp_path)
    questions, learns = row.questions(tmp_path)
    (question,) = questions
    assert row.row == "potholes" and question.prompts[0].positive == "pothole" and question.valid and len(learns) == 1


def test_lookalikes_are_held_out(kit):
    for name, keys in LOOKALIKES.items():
        if name != "coco128":
            assert all(in_part(name, key, "heldout") for key in keys), name
    asked = HazardQuestions(kit, "fire")
    assert sum(len(source.indices) for source in asked._sources if source.dataset in LOOKALIKES) == 36


@pytest.mark.parametrize("word", HAZARDS)
def test_fire_and_smoke_are_asked_where_they_are_and_where_they_are_not(kit, word):
    there, not_there = set(), set()
    for question in HazardQuestions(kit, word):
        for prompt in question.prompts:
            assert word in prompt.categories and len(prompt.categories) == 5
            (there if prompt.positive else not_there).add((question.sample.dataset, question.index))
    assert {name for name, _ in there} == {"fire_smoke"} and len(there) > 80
    assert {name for name, _ in not_there} >= {"facade_night", "coco_mini", "coco128", "voc_animals", "camvid"}
    assert len(not_there) > 150


def test_coco_is_the_third_of_one_set_and_the_fifth_of_the_other_in_five_draws(kit):
    questions = CocoQuestions(kit)
    counts = [DATASETS[name].expected["heldout"]["images"] for name in ("coco128", "coco_mini")]
    assert len(questions) == sum(counts) and counts[0] == 43
    found = list(questions)
    assert [question.index for question in found] == list(range(sum(counts)))
    assert {len(question.prompts) for question in found} <= {5, 10} and not any(q.removed for q in found)
    assert set(further_questions(kit)) == {COCO, *HAZARDS}
    assert {each.row for each in further_sets(kit)} == {each.row for each in SMALL}
