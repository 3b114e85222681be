from itertools import combinations

import pytest
from scenes import toy_vocabulary

from lavida.exposure.datasets import camvid, coco128, idd_lite
from lavida.exposure.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.builtin()


def test_every_class_of_every_data_set_has_an_entry(vocabulary, train_sets, heldout_sets):
    for dataset in (*train_sets.values(), *heldout_sets.values()):
        assert set(dataset.vocabulary) <= set(vocabulary.names), dataset.name


def test_the_union_is_fixed(vocabulary):
    assert len(vocabulary.names) == len(set(vocabulary.names)) == 107
    assert {*coco128.CLASSES, *camvid.CLASSES, *idd_lite.CLASSES} < set(vocabulary.names)


def test_no_phrase_says_two_things(vocabulary):
    said = [text for name in vocabulary.names for text in (name, *vocabulary.phrases(name))]
    assert len(said) == len(set(said))
    assert all(3 <= len(vocabulary.phrases(name)) <= 8 for name in vocabulary.names)


@pytest.mark.parametrize(
    ("present", "dataset", "conflict", "free"),
    [
        # what follows from a class, and a near-synonym, are never denied
        ({"bicyclist"}, "camvid", {"bicyclist", "person", "bicycle"}, {"giraffe", "fence"}),
        ({"car"}, "coco128", {"car", "truck", "vehicle"}, {"bus", "person", "traffic light"}),
        ({"person"}, "coco128", {"pedestrian", "dancing"}, {"bicycle", "bicyclist", "dog"}),
        # nothing in the picture that would have been labelled: surely absent, and so is what needs it
        (
            {"road", "sky"},
            "idd_lite",
            {"bench"},
            {"person", "pedestrian", "car", "vehicle", "building", "tree"},
        ),
        ({"vehicle"}, "idd_lite", {"car", "truck", "bus", "motorcycle", "bicycle"}, {"person", "sky"}),
        ({"building"}, "camvid", {"building or vegetation", "bus"}, {"tree", "person", "car"}),
        # one object is labelled: common surroundings may be there all the same
        ({"dog"}, "davis", {"person", "tree", "car", "sky", "road"}, {"oven", "zebra"}),
        ({"person"}, "humans", {"pedestrian", "tie", "building", "car", "tree"}, {"zebra", "toilet"}),
        # stuff has no label in COCO, unless the place rules it out
        ({"dog"}, "coco128", {"road", "tree", "sky", "building"}, {"cat"}),
        ({"toilet"}, "coco128", {"sky"}, {"road", "traffic sign", "sidewalk"}),
    ],
)
def test_conflicts_of_real_pictures(vocabulary, present, dataset, conflict, free):
    conflicts = vocabulary.conflicts(present, dataset)
    assert present | conflict <= conflicts
    assert not free & conflicts


def test_relations_hold_in_both_directions(vocabulary):
    for one, other in combinations(vocabulary.names, 2):
        assert (one in vocabulary.related(other)) == (other in vocabulary.related(one)), (one, other)


def test_conflicts_are_present_certain_or_possible():
    vocabulary = toy_vocabulary(
        w0={"implies": ["w1"]},
        w1={"implies": ["w2"], "like": ["w3"]},
        w4={"maybe": ["w0", "w7"], "excludes": ["w9"]},
    )
    assert vocabulary.conflicts(["w0"], "toys") == {"w0", "w1", "w2", "w3", "w4", "w8", "w9"}
    # somebody has looked at the shelf: no w8 there, and w1 only because w0 brings it along
    assert vocabulary.conflicts(["w0"], "toys", scene="shelf") == {"w0", "w1", "w2", "w3", "w4", "w9"}
    # w7 is labelled wherever it is, so it may be denied beside w4; w4 rules w9 out
    assert vocabulary.conflicts(["w4"], "toys") == {"w4", "w0", "w8"}


def test_scenes_that_were_looked_at_rule_out_what_is_unsafe_elsewhere(vocabulary, train_sets):
    anywhere = vocabulary.conflicts(["flamingo"], "davis")
    pond = vocabulary.conflicts(["flamingo"], "davis", scene="flamingo")
    assert {"person", "pedestrian", "car", "bicycle", "road"} <= anywhere - pond
    assert {"flamingo", "bird", "tree"} <= pond
    scenes = {train_sets["davis"][i].scene for i in range(0, len(train_sets["davis"]), 10)}
    assert {"flamingo", "mallard-water"} <= scenes


def test_an_unknown_data_set_has_only_the_rules_of_the_words(vocabulary):
    assert vocabulary.conflicts(["forklift"], "warehouse") == {"forklift"}
    assert vocabulary.phrases("forklift") == ()
