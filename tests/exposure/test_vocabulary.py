import hashlib
import json
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from scenes import HEIGHT, WIDTH, Scenes, box, scene, toy_vocabulary

from lavida.exposure.datasets import coco128, davis2017, mapillary, street_scenes, youtube_vos
from lavida.exposure.datasets.ade20k import Ade20k
from lavida.exposure.datasets.coco_stuff import CocoStuff
from lavida.exposure.datasets.kit_sets import is_unused
from lavida.exposure.datasets.pascal_voc import PascalVoc
from lavida.exposure.datasets.street_scenes import Cityscapes
from lavida.exposure.heldout import heldout_prompts
from lavida.exposure.vocabulary import Vocabulary

FIRST = ("camvid", "idd_lite", "coco128", "davis", "humans")  # the embedded model's
LABEL_IMAGES = (Cityscapes, Ade20k, CocoStuff, PascalVoc)


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.builtin()


def test_every_class_of_every_data_set_has_an_entry(vocabulary, train_sets, heldout_sets):
    for dataset in (*train_sets.values(), *heldout_sets.values()):
        assert set(dataset.vocabulary) <= set(vocabulary.names), dataset.name


def test_the_union_is_fixed(vocabulary):
    assert len(vocabulary.names) == len(set(vocabulary.names)) == 107
    assert {*coco128.CLASSES, *street_scenes.CAMVID, *street_scenes.IDD_LITE} < set(vocabulary.names)


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
        # every pixel has a label: what is not labelled is not there, unless a label that is there may hide it
        (
            {"road", "rider", "person", "bicycle", "vehicle", "building"},
            "cityscapes",
            {"bicyclist", "backpack", "clothes", "window", "lane marking", "bench", "wall lamp"},
            {"pedestrian", "car", "motorcycle", "motorcyclist", "zebra", "fence", "grass", "oven"},
        ),
        ({"road", "sky"}, "mapillary", {"road"}, {"person", "bench", "animal", "dog", "pothole"}),
        ({"animal", "grass"}, "ade20k", {"dog", "zebra", "ground"}, {"person", "car", "sea", "motorcyclist"}),
        ({"wall", "bed"}, "ade20k", {"door", "window"}, {"animal", "dog", "sky", "bathtub"}),
        ({"dog", "grass"}, "coco_stuff", {"animal", "field", "wood"}, {"cat", "person", "clothes", "sea", "airplane"}),
        ({"horse", "person"}, "pascal_voc", {"horse rider", "hat", "tree"}, {"dog", "bicyclist", "sheep"}),
        # nobody labels everything in the videos and in the other pictures of expressions
        ({"owl"}, "youtube_vos", {"bird", "animal", "person", "tree", "car"}, {"dog", "zebra", "shark", "oven"}),
        ({"a cat walking to the left"}, "mevis", {"cat", "person", "animal"}, {"elephant", "pizza"}),
        ({"sky blue", "child boy"}, "refclef", {"sky", "person", "tree", "car"}, {"giraffe", "oven"}),
        # COCO labels all of its objects below the expressions, too
        ({"zebra", "left zebra"}, "refcoco", {"zebra", "tree", "body part"}, {"person", "clothes", "car"}),
    ],
)
def test_conflicts_of_real_pictures(vocabulary, present, dataset, conflict, free):
    conflicts = vocabulary.conflicts(present, dataset)
    assert present | conflict <= conflicts
    assert not free & conflicts


@pytest.mark.parametrize("name", FIRST)
def test_further_words_change_nothing_between_the_first_ones(vocabulary, name):
    alone = Vocabulary(**json.loads((files("lavida.exposure") / "vocabulary.json").read_text(encoding="utf-8")))
    assert vocabulary.names == alone.names
    assert all(vocabulary.phrases(each) == alone.phrases(each) for each in alone.names)
    rng, first = np.random.default_rng(0), frozenset(alone.names)
    for each in alone.names:
        assert vocabulary.related(each) & first == alone.related(each)
    for scene_name in ("", "flamingo", "nowhere"):
        for _ in range(60):
            present = rng.choice(alone.names, rng.integers(0, 6), replace=False).tolist()
            conflicts = vocabulary.conflicts(present, name, scene=scene_name)
            assert conflicts & first == alone.conflicts(present, name, scene=scene_name)


def test_held_out_prompts_stay_what_they_are(vocabulary):
    """The exposure test compares models over time, so its prompts must not change with the vocabulary."""
    shown = (("car", "road"), ("dog",), ("person", "bicycle"), ("sky", "building or vegetation", "vehicle"))
    full = box(0, HEIGHT, 0, WIDTH)
    prompts = []
    for name in FIRST:
        data = Scenes([scene(dict.fromkeys(classes, full), dataset=name) for classes in shown], name=name)
        prompts += heldout_prompts(data, vocabulary=vocabulary)
    text = json.dumps([(p.index, p.categories, p.positive) for p in prompts])
    assert hashlib.md5(text.encode()).hexdigest() == "6bed02e2bced869a1559bdb39188a314"


@pytest.mark.parametrize("kind", LABEL_IMAGES, ids=lambda kind: kind.name)
def test_every_word_of_the_label_images_is_a_class(vocabulary, kind):
    words = {*filter(None, kind.legend.values()), *kind.unions}
    assert words <= set(vocabulary.classes)


def test_every_word_of_the_other_data_sets_is_a_class(vocabulary):
    categories = ("ape", "earless_seal", "giant_panda", "hand", "mouse", "paddle", "raccoon", "sedan", "tennis_racket")
    words = {youtube_vos.NAMES.get(each, each.replace("_", " ")) for each in categories}
    words |= {*davis2017.NAMES.values(), *mapillary.WORDS.values(), *mapillary.GROUPS}
    assert words <= set(vocabulary.classes)


def test_what_can_be_said_alike_is_never_set_against_each_other(vocabulary):
    said = {}
    for name in vocabulary.classes:
        for text in (name, *vocabulary.phrases(name)):
            said.setdefault(text, []).append(name)
    for text, names in said.items():
        assert all(other in vocabulary.related(one) for one, other in combinations(names, 2)), text


def test_every_class_is_of_one_kind():
    more = json.loads((files("lavida.exposure") / "vocabulary_more.json").read_text(encoding="utf-8"))
    members = [name for kind in more["kinds"].values() for name in kind]
    assert len(members) == len(set(members)) and set(members) == set(Vocabulary.builtin().classes)


def test_davis_has_no_skateboard_in_training(vocabulary, train_sets, heldout_sets):
    def skateboard(dataset):
        scenes = {dataset[i].scene: set(dataset[i].masks) for i in range(0, len(dataset), 20)}
        return {"skateboard" in vocabulary.conflicts(present, "davis", scene=name) for name, present in scenes.items()}

    assert skateboard(train_sets["davis"]) == {False} and skateboard(heldout_sets["davis"]) == {True}


def test_relations_hold_in_both_directions(vocabulary):
    for one, other in combinations(vocabulary.classes, 2):
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


def test_a_word_may_be_hidden_in_what_is_labelled():
    rules = {"exhaustive": ["w1", "w2"], "unsafe": ["w8"], "scenes": {}, "within": {"w3": ["w1"], "w2": ["w1"]}}
    classes = {f"w{i}": {"phrases": []} for i in range(9)} | {"w4": {"phrases": [], "implies": ["w3"]}}
    vocabulary = Vocabulary(classes=classes | {"w3": {"phrases": [], "maybe": ["w5"]}}, datasets={"toys": rules})
    # w3 may hide in w1, and w2 would have been labelled; without w1 there is no w3, and so no w4
    assert vocabulary.conflicts(["w1"], "toys") == {"w1", "w3", "w8"}
    assert vocabulary.conflicts(["w5"], "toys") == {"w5", "w8"}
    assert vocabulary.conflicts(["w3"], "toys") == {"w3", "w4", "w5", "w8"}


@pytest.mark.parametrize("thing", ["person", "cat", "dog", "chair"])
@pytest.mark.parametrize("dataset", ["voc_animals", "coco_mini", "pascal_voc"])
def test_what_people_wear_may_be_on_pets_and_furniture(vocabulary, thing, dataset):
    assert {"hat", "shirt", "bag"} <= vocabulary.conflicts([thing], dataset)
    assert not {"hat", "shirt", "bag"} & vocabulary.conflicts(["airplane"], dataset)


def test_photos_in_which_somebody_has_no_mask_are_left_out(kit):
    for names, sets in (
        (["2008_002442", "2008_006657", "2010_000001", "2011_000202", "2011_002433"], "voc_animals"),
        (["000000022192"], "coco_mini"),
    ):
        there = {path.stem for path in (kit / sets).rglob("*.jpg")}
        assert there >= set(names)
        assert all(is_unused(sets, name) for name in names)


def test_texts_say_what_is_there(vocabulary):
    texts = ["the rider of a brown horse"]
    picture = vocabulary.picture(["zebra"], "refcoco", texts=texts, doubtful=["somebody on a bench"])
    assert {"zebra", "horse", "person", "rider"} <= picture.names
    assert picture.may_show("a man") and picture.may_show("pony") and not picture.may_show("the car")
    assert not picture.may_show("bench")  # COCO would have labelled it
    assert vocabulary.picture(["zebra"], "mevis", doubtful=["a baboon beside them"]).may_show("monkey")
    assert not vocabulary.picture(["zebra"], "mevis").may_show("monkey")


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
