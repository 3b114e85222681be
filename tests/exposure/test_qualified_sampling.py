"""Qualified categories in the samples that training sees: true where proven, and as often false of what is there."""

from itertools import chain

import numpy as np
import pytest

from lavida.exposure.qualifier_words import UNPROVEN
from lavida.exposure.sample import ExposedSample, SegmentationSample
from lavida.exposure.sampler import AnomalyExposureSampler
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.phrase import split_phrase

H, W = 100, 120
RED, GREEN = (200, 20, 25), (30, 120, 40)
NAMES = ("car", "bus", "dog", "bicycle", "person", "truck", "horse", "boat")


@pytest.fixture(scope="module")
def street() -> SegmentationSample:
    """A large red car on the left and a green bus at the right."""
    frames, masks = np.full((1, H, W, 3), 128, np.uint8), {}
    for name, left, colour in (("car", 5, RED), ("bus", 75, GREEN)):
        mask = np.zeros((1, H, W), bool)
        mask[:, 40:80, left : left + 35] = True
        frames[mask] = colour
        masks[name] = mask
    return SegmentationSample(frames=frames, masks=masks, ignore=None, dataset="coco128", key="1")


def drawn(street: SegmentationSample, count: int = 150, **settings) -> list[ExposedSample]:
    settings = {"probability": 1.0, "phrases": False, "max_categories": 8, "names": NAMES, **settings}
    sampler = AnomalyExposureSampler(vocabulary=Vocabulary.builtin(), **settings)
    rng = np.random.default_rng(0)
    own = sampler.own_names(NAMES)
    return [sampler.sample(street, own, rng) for _ in range(count)]


def asked(samples: list[ExposedSample]) -> dict[str, set[bool]]:
    """Every category that was asked, and whether it was true."""
    seen: dict[str, set[bool]] = {}
    for each in samples:
        for place, text in enumerate(each.categories):
            seen.setdefault(text, set()).add(place in each.category_masks)
    return seen


def qualified(text: str) -> bool:
    return bool(split_phrase(text).qualifiers)


def test_no_text_is_true_in_one_sample_and_false_in_another(street):
    seen = asked(drawn(street, qualified=0.7, denied=0.7))
    assert all(len(answers) == 1 for answers in seen.values()), seen
    true = {text for text, answers in seen.items() if answers == {True}}
    false = set(seen) - true
    assert {"red car", "green bus"} <= true
    assert {"green car", "red bus"} <= false


def test_what_is_true_is_anomalous_there_and_nowhere_else(street):
    for each in drawn(street, 60, qualified=1.0, several=0.0):
        assert each.frame_labels.tolist() == [1.0]
        ((place, mask),) = each.category_masks.items()
        assert np.array_equal(mask, each.pixel_labels)
        text = each.categories[place]
        assert qualified(text) and each.kinds[place]
        assert np.array_equal(mask, street.masks["car" if "car" in text else "bus"])


def test_the_thing_is_there_and_the_qualifier_is_false(street):
    samples = drawn(street, qualified=1.0, denied=1.0, unproven=0.0)
    denied = [
        (each, place)
        for each in samples
        for place in each.noun_masks
        if place not in each.category_masks and each.kinds[place] != "absent"
    ]
    assert len(denied) > 2 * len(samples)
    for each, place in denied:  # where its noun is is known, so that the model can learn that this does not suffice
        name = "car" if "car" in each.categories[place] else "bus"
        assert np.array_equal(each.noun_masks[place], street.masks[name])
    absent = [each.noun_masks[place] for each in samples for place, kind in each.kinds.items() if kind == "absent"]
    assert absent and not np.any(absent)


def test_beside_a_true_qualifier_stand_false_ones_of_its_kind(street):
    together = 0
    for each in drawn(street, qualified=1.0, several=0.0):
        ((place, _),) = each.category_masks.items()
        false = [kind for other, kind in each.kinds.items() if other != place]
        assert set(false) <= {each.kinds[place]}
        together += bool(false)
    assert together > 50


def test_what_nothing_proves_is_asked_in_its_share_and_never_true(street):
    samples = drawn(street, 300, denied=1.0, unproven=0.4)
    kinds = [each.kinds[place] for each in samples for place in each.kinds if each.kinds[place] != "absent"]
    assert kinds.count("unproven") / len(kinds) == pytest.approx(0.5, abs=0.2)  # an absent thing takes from the rest
    patterns = {pattern.format(n=name) for pattern in UNPROVEN["vehicles"] for name in ("car", "bus")}
    seen = asked(samples)
    assert patterns & set(seen)
    assert all(seen[text] == {False} for text in patterns & set(seen))


def test_without_the_switches_nothing_is_qualified_and_the_draws_are_those_of_the_paper(street):
    plain = drawn(street, 50)
    assert not any(map(qualified, chain.from_iterable(each.categories for each in plain)))
    assert not any(each.kinds or each.noun_masks or each.probes for each in plain)


def test_probes_put_true_and_false_texts_on_the_same_things(street):
    both = 0
    for each in drawn(street, 60, probes=12):
        assert len(each.probes) <= 12
        true = {probe.text for probe in each.probes if probe.mask is not None}
        false = {probe.text for probe in each.probes if probe.mask is None}
        assert not true & false
        assert all(qualified(text) for text in true)
        both += bool(true) and bool(false)
    assert both == 60
