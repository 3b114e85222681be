import pytest
from tiny import tiny_lavida
from torch import device

from lavida.detector import Detector
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
