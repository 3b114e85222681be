from itertools import islice

import pytest
from tiny import tiny_lavida
from torch import device

from lavida.detector import Detector
from lavida.evaluation.held_out.qualifier_pairs import pairs_by_hand
from lavida.paper.ablations import runs
from lavida.paper.ablations.runs import held_out_sets, overall


def test_moving_scenes_have_a_column_of_their_own_and_no_part_in_the_mean():
    sets = {
        "camvid": {"prompts": 4, "auc": 0.8, "mask_iou": 0.4, "category_accuracy": None},
        "davis": {"prompts": 4, "auc": 0.6, "mask_iou": None, "category_accuracy": 0.5},
        "moving": {"prompts": 4, "auc": 0.1, "mask_iou": 0.0, "category_accuracy": 0.0},
    }
    columns = overall(sets)
    assert columns["auc"] == pytest.approx(0.7) and columns["auc.moving"] == 0.1
    assert columns["mask_iou"] == 0.4 and columns["category_accuracy"] == 0.5


@pytest.mark.slow
def test_moving_scenes_are_asked_for_both_motion_words(kit, known_bank):
    detector = Detector.of(tiny_lavida(motion=True), name="tiny", device=device("cpu"))
    sets = held_out_sets(detector, kit, pictures=4, sets=())
    assert sets.keys() == {"moving"} and 2 < sets["moving"]["prompts"] <= 8


@pytest.mark.slow
def test_ingredients_are_also_measured_in_crowds_and_by_pairs(kit, known_bank, monkeypatch):
    monkeypatch.setattr(runs, "further_questions", lambda root: {})  # a thousand prompts
    made = runs.made_pairs
    monkeypatch.setattr(runs, "made_pairs", lambda root, sets, most: islice(made(root, sets, most=most), 3))
    monkeypatch.setattr(runs, "pairs_by_hand", lambda root: islice(pairs_by_hand(root), 3))
    detector = Detector.of(tiny_lavida(motion=True, qualifiers=True), name="tiny", device=device("cpu"))
    sets = runs.further_measures(detector, kit, pictures=2)
    assert sets.keys() == {"crowd", "qualified", "by hand"} and 2 < sets["crowd"]["prompts"] <= 4
    assert all(sets[name]["prompts"] >= 3 and 0 <= sets[name]["auc"] <= 1 for name in ("qualified", "by hand"))
    assert runs.overall(sets)["auc"] is None  # none of them is a set of pictures
    assert runs.further_measures(detector, kit / "nowhere", pictures=2) == {}
