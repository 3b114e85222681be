from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scenes import Scenes, box, scene, toy_vocabulary

from lavida.errors import InputError
from lavida.exposure.mixture import Mixture
from lavida.exposure.sampler import AnomalyExposureSampler


class Counting(Scenes):
    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


def two_sets():
    odd = box(0, 5, 0, 7)
    first = Counting([scene({"w0": odd}, dataset="first"), scene({"w1": odd}, dataset="first")], name="first")
    return first, Counting([scene({"w1": odd, "w2": odd}, dataset="second")], name="second")


def test_data_sets_are_drawn_by_weight():
    mixture, rng = Mixture(two_sets(), [3, 1]), np.random.default_rng(0)
    drawn = Counter(mixture.draw(rng).dataset for _ in range(1000))
    assert drawn["first"] == pytest.approx(750, abs=50)


@pytest.mark.parametrize(("cache", "reads"), [(True, 2), (False, 50)])
def test_a_cached_sample_is_read_once_and_comes_back_whole(cache, reads):
    first, _ = two_sets()
    mixture, rng = Mixture([first], [1], cache=cache), np.random.default_rng(0)
    drawn = [mixture.draw(rng) for _ in range(50)]
    assert first.reads == reads
    for sample in drawn:
        (mask,) = sample.masks.values()
        assert (mask == box(0, 5, 0, 7)).all() and mask.dtype == bool
        assert (sample.frames[mask] == 255).all() and sample.ignore is None


def test_ignore_survives_the_cache():
    sample = replace(scene({"w0": box(0, 5, 0, 7)}), ignore=box(3, 9, 2, 30))
    mixture, rng = Mixture([Scenes([sample])], [1]), np.random.default_rng(0)
    assert all((mixture.draw(rng).ignore == sample.ignore).all() for _ in range(2))


def test_names_are_those_that_occur():
    mixture = Mixture(two_sets(), [1, 1])
    assert mixture.names == ("w0", "w1", "w2")
    assert mixture.own_names("second") == ("w1", "w2")
    twice = Mixture([*two_sets(), Scenes([scene({"w7": box(0, 5, 0, 7)})], name="second")], [1, 1, 1])
    assert twice.own_names("second") == ("w1", "w2", "w7")


def test_long_pictures_are_reduced():
    large = scene({"w0": box(0, 24, 0, 16)})
    drawn = Mixture([Scenes([large])], [1], max_side=16).draw(np.random.default_rng(0))
    assert drawn.frames.shape == (1, 12, 16, 3) and drawn.masks["w0"].shape == (1, 12, 16)
    assert drawn.masks["w0"][0, :, :8].all() and not drawn.masks["w0"][0, :, 8:].any()


def test_neighbours_of_the_frames_are_reduced_with_them():
    large = replace(scene({"w0": box(0, 24, 0, 16)}), before=np.full((1, 24, 32, 3), 7, np.uint8))
    drawn = Mixture([Scenes([large])], [1], max_side=16).draw(np.random.default_rng(0))
    assert drawn.before.shape == (1, 12, 16, 3) and (drawn.before == 7).all()


ONE, OTHER = box(0, 6, 0, 6), box(4, 12, 4, 12)


def without_w1(sample):
    mixture = Mixture([Scenes([sample])], [1], removed=["w1"], vocabulary=toy_vocabulary())
    return mixture, mixture.draw(np.random.default_rng(0))


def test_a_removed_class_is_no_name_and_its_pixels_are_ignored():
    sample = replace(scene({"w0": ONE, "w1": OTHER}), out_of_view=frozenset({"w1", "w2"}), ignore=box(20, 22, 0, 9))
    mixture, drawn = without_w1(sample)
    assert mixture.names == mixture.own_names("toys") == ("w0",)
    # listed all the same: it is there and must not be called absent
    assert list(drawn.masks) == ["w0", "w1"] and not drawn.masks["w1"].any() and (drawn.masks["w0"] == ONE).all()
    assert (drawn.ignore == (OTHER | box(20, 22, 0, 9))).all() and drawn.out_of_view == {"w2"}
    assert (without_w1(scene({"w0": ONE, "w1": OTHER}))[1].ignore == OTHER).all()


def test_expressions_that_say_a_removed_class_go_with_it():
    texts = {"beside a word 1": OTHER, "the first": ONE, "w1": box(0, 0, 0, 0)}
    expressions = {"the first": ("not word 1", "alone"), "beside a word 1": ("second",)}
    sample = scene(texts, expressions=expressions, out_of_view=frozenset({"lost w1", "lost w2"}))
    mixture, drawn = without_w1(sample)
    assert mixture.names == ("the first",)
    assert drawn.masks.keys() == texts.keys() and not drawn.masks["beside a word 1"].any()
    assert drawn.expressions == {"the first": ("alone",)} and drawn.out_of_view == {"lost w2"}
    assert (drawn.ignore == OTHER).all()


def test_a_removed_class_stays_out_of_the_exposures_and_a_known_thing():
    vocabulary = toy_vocabulary(w1={"implies": ["w2"]})
    samples = [scene({"w0": ONE, "w1": OTHER}), scene({"w3": ONE, "w2": OTHER})]
    mixture = Mixture([Scenes(samples)], [1], removed=["w1"], vocabulary=vocabulary)
    sampler = AnomalyExposureSampler(vocabulary=vocabulary, names=mixture.names, removed=mixture.removal.names)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(200):
        sample = mixture.draw(rng)
        texts = set(sampler.sample(sample, mixture.own_names("toys"), rng).categories)
        assert not texts & {"w1", "word 1"}
        assert "w0" not in sample.masks or not texts & {"w2", "word 2"}  # which w1 brings along
        seen |= texts
    assert {"w0", "w2", "w3"} <= seen


def test_a_removed_name_must_be_in_some_data_set():
    with pytest.raises(InputError, match="'w5'"):
        Mixture(two_sets(), [1, 1], removed=["w2", "w5"])
    assert Mixture(two_sets(), [1, 1], removed=["w2", "w5"], known=["w5"]).names == ("w0", "w1")
    texts = Scenes([scene({"left dog": ONE, "cat": OTHER})])
    assert Mixture([texts], [1], removed=["dog"]).names == ("cat",)  # an expression says it


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, 1, 1]])
def test_weights_must_fit(weights):
    with pytest.raises(InputError, match="weight"):
        Mixture(two_sets(), weights)
