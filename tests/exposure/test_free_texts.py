"""Referring expressions as names: the sampler must not call what is there absent, and must stay quick."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from scenes import box, scene

from lavida.exposure.sampler import AnomalyExposureSampler
from lavida.exposure.vocabulary import Vocabulary

NOWHERE, HERE = box(0, 0, 0, 0), box(4, 12, 4, 12)
# what each thing is, in the words of COCO; said here in words that no data set labels
THINGS = {
    "man": {"person"},
    "cyclist": {"person", "bicycle"},
    "girl on a pony": {"person", "horse"},
    "jockey": {"person", "horse"},
    "skateboarder": {"person", "skateboard"},
    "puppy": {"dog"},
    "hot dog": {"hot dog"},
    "jeep": {"car"},
    "motorbike": {"motorcycle"},
    "sofa": {"couch"},
    "airliner": {"airplane"},
    "zebra": {"zebra"},
    "kitten on a settee": {"cat", "couch"},
    "ewe": {"sheep"},
}
WAYS = ("{}", "left {}", "The red {}.", "big {} by itself", "second {} from right")
TEXTS = {way.format(thing): words for way in WAYS for thing, words in THINGS.items()}
CLASSES = tuple(sorted(frozenset().union(*THINGS.values()))) + ("pedestrian", "bicyclist", "vehicle", "pizza", "fork")
VEHICLES = {"car", "motorcycle", "bicycle", "airplane"}


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.builtin()


def random_scene(rng, dataset):
    """Things with one or two expressions each, and all their categories, as the COCO sets list them."""
    things = rng.choice(list(THINGS), rng.integers(1, 4), replace=False).tolist()
    there = frozenset().union(*(THINGS[thing] for thing in things))
    masks = dict.fromkeys(sorted(there), NOWHERE)
    expressions = {}
    for thing in things:
        first, other = rng.choice(WAYS, 2, replace=False).tolist()
        masks[first.format(thing)] = HERE
        expressions[first.format(thing)] = (other.format(thing), first.format(thing).upper())  # and repeated
    return scene(masks, dataset=dataset, expressions=expressions), there


def is_there(name, there):
    """By what the words mean, not by what the vocabulary knows of them."""
    if name == "bicyclist":
        return {"person", "bicycle"} <= there
    words = {"pedestrian": {"person"}, "vehicle": VEHICLES}.get(name, TEXTS.get(name, {name}))
    return not words.isdisjoint(there)


def drawn(sample, own_names, *, count=1, seed=0, **settings):
    settings = {"vocabulary": Vocabulary.builtin(), "names": (), "probability": 0.0, "phrases": False} | settings
    sampler, rng = AnomalyExposureSampler(**settings), np.random.default_rng(seed)
    own = sampler.own_names(own_names)  # once: they may be many
    return [name for _ in range(count) for name in sampler.choose(sample, own, rng).irrelevant]


@pytest.mark.parametrize("dataset", ["refcoco", "refcocog", "grefcoco", "ref_youtube_vos", "unknown"])
def test_nothing_that_is_there_is_called_absent(dataset, vocabulary):
    rng, own = np.random.default_rng(0), tuple(TEXTS)
    sampler = AnomalyExposureSampler(vocabulary=vocabulary, names=CLASSES + own, phrases=False)
    asked = Counter()
    for _ in range(150):
        sample, there = random_scene(rng, dataset)
        choice = sampler.choose(sample, own, rng)
        assert set(choice.true) <= {name for name, mask in sample.masks.items() if mask.any()}
        assert not [name for name in choice.irrelevant if is_there(name, there)]
        asked.update(choice.irrelevant)
    assert len(asked) > 20 and set(asked) & set(TEXTS) and set(asked) & set(CLASSES)


def test_where_all_objects_are_labelled_people_can_be_denied(vocabulary):
    sample = scene({"zebra": NOWHERE, "left zebra": HERE}, dataset="refcoco")
    asked = set(drawn(sample, tuple(TEXTS), count=60))
    assert {"man", "cyclist", "jockey", "left skateboarder"} <= asked
    elsewhere = scene({"zebra": NOWHERE, "left zebra": HERE}, dataset="ref_youtube_vos")
    assert not {text for text in drawn(elsewhere, tuple(TEXTS), count=60) if "person" in TEXTS[text]}


def test_a_picture_with_classes_is_asked_for_expressions_of_things_that_it_lacks(vocabulary):
    sample = scene({"road": HERE, "car": HERE, "vehicle": HERE}, dataset="cityscapes")
    own = ("road", "car", "vehicle", "person", "bicycle")
    asked = set(drawn(sample, own, names=own + tuple(TEXTS), count=80))
    assert {"person", "bicycle", "man", "cyclist", "zebra", "sofa"} <= asked
    assert not {text for text, words in TEXTS.items() if "car" in words} & asked


def test_every_text_of_another_sample_can_be_irrelevant_where_the_sample_alone_is_asked():
    said = {"left zebra": ("zebra by itself", "them")}
    sample = scene({"left zebra": HERE}, dataset="mevis", expressions=said, left=frozenset({"lost wug"}))
    others = ("a runner", "the big one", "a zebra drinking", "puppy")
    own = (*others, "left zebra", *said["left zebra"], "lost wug")
    asked = set(drawn(sample, own, count=60, absent="unlisted", ask_out_of_view=0.0))
    assert asked == set(others)
    assert set(drawn(sample, own, count=60, ask_out_of_view=0.0)) == {"puppy"}  # people may be there without a label


def test_a_lost_name_is_asked_for_as_often_as_wanted():
    sample = scene({"zebra": HERE}, dataset="refcoco", left=frozenset({"a wug"}))
    for share in (0.0, 0.2, 1.0):
        names = drawn(sample, ("puppy",), count=400, max_categories=1, ask_out_of_view=share)
        assert names.count("a wug") / 400 == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("phrases", [True, False])
def test_every_expression_of_an_object_is_its_name_equally_often(phrases):
    sample = scene({"left zebra": HERE}, dataset="refcoco", expressions={"left zebra": ("one by itself", "this")})
    sampler = AnomalyExposureSampler(vocabulary=Vocabulary.builtin(), names=(), phrases=phrases, probability=1.0)
    rng = np.random.default_rng(0)
    drawn_names = (sampler.sample(sample, ("puppy",), rng) for _ in range(900))
    counts = Counter(e.categories[place] for e in drawn_names for place in e.category_masks)
    assert set(counts) == {"left zebra", "one by itself", "this"}
    assert all(count == pytest.approx(300, abs=60) for count in counts.values())


def test_texts_without_a_known_word_are_compared_by_their_content():
    texts = ("shiny wug", "the wug on the right", "two wugs", "the big one", "left", "blarg", "shiny blarg")
    sample = scene({"the shiny wug": HERE}, dataset="refcoco", expressions={"the shiny wug": ("quox",)})
    assert set(drawn(sample, (*texts, "Quox!"), count=40)) == {"blarg"}


def test_a_lost_object_is_asked_for_by_what_still_tells_it_apart():
    lost = {"zebra at the fence", "left zebra", "the ZEBRA drinking", "zebra with a rider", "wug", "zebra", "dog"}
    sample = scene({"zebra drinking": HERE, "person": NOWHERE}, dataset="refcoco", left=frozenset(lost))
    asked = set(drawn(sample, (), count=40, max_categories=7))
    # not what says where, what is said of the zebra that is left, nor its class
    assert asked == {"zebra at the fence", "zebra with a rider", "wug", "dog"}


def test_a_lost_expression_leaves_what_it_mentions_open():
    gone = {"boy": ("boy beside a car",)}
    sample = scene({"zebra": HERE}, dataset="unknown", expressions=gone, left=frozenset({"man with a dog"}))
    asked = set(drawn(sample, ("red jeep", "puppy", "ewe"), count=40))
    assert "ewe" in asked and not {"red jeep", "puppy"} & asked


def test_class_names_and_texts_are_asked_alike_often_however_many_texts_there_are():
    sample = scene({"zebra": HERE, "left zebra": HERE}, dataset="refcoco")
    own = tuple(f"ewe number {i}" for i in range(3000))
    others = ("fork", "pizza", "couch", "cat") + tuple(f"puppy number {i}" for i in range(3000))
    kinds = Counter(name.split()[0] for name in drawn(sample, own, names=others, count=1000, max_categories=1))
    assert kinds["ewe"] / 1000 == pytest.approx(0.5, abs=0.05)
    assert kinds["puppy"] / 1000 == pytest.approx(0.25, abs=0.05)


def test_a_draw_looks_at_few_of_many_texts(vocabulary, monkeypatch):
    own = tuple(f"{text} number {i}" for i in range(1500) for text in TEXTS)
    sample = scene({"zebra": NOWHERE, "left zebra": HERE}, dataset="refcoco")
    looked, read = [], Vocabulary.read
    monkeypatch.setattr(Vocabulary, "read", lambda self, text: looked.append(text) or read(self, text))
    names = drawn(sample, own, count=30)
    assert len(own) > 100_000 and len(names) > 200 and len(looked) < 10 * len(names)


def test_draws_do_not_depend_on_the_order_of_hashes():
    code = "import test_free_texts as t; print([t.drawn(t.random_scene(t.np.random.default_rng(i), 'refcoco')[0],"
    code += "tuple(t.TEXTS), names=t.CLASSES, probability=0.5, seed=i) for i in range(20)])"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    outputs = set()
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        outputs.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert len(outputs) == 1 and len(outputs.pop()) > 500
