from collections import Counter

import numpy as np
import pytest
from scenes import Scenes, box, scene

from lavida.errors import InputError
from lavida.exposure.mixture import Mixture


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
    from dataclasses import replace

    sample = replace(scene({"w0": box(0, 5, 0, 7)}), ignore=box(3, 9, 2, 30))
    mixture, rng = Mixture([Scenes([sample])], [1]), np.random.default_rng(0)
    assert all((mixture.draw(rng).ignore == sample.ignore).all() for _ in range(2))


def test_names_are_those_that_occur():
    mixture = Mixture(two_sets(), [1, 1])
    assert mixture.names == ("w0", "w1", "w2")
    assert mixture.own_names("second") == ("w1", "w2")


def test_long_pictures_are_reduced():
    large = scene({"w0": box(0, 24, 0, 16)})
    drawn = Mixture([Scenes([large])], [1], max_side=16).draw(np.random.default_rng(0))
    assert drawn.frames.shape == (1, 12, 16, 3) and drawn.masks["w0"].shape == (1, 12, 16)
    assert drawn.masks["w0"][0, :, :8].all() and not drawn.masks["w0"][0, :, 8:].any()


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, 1, 1]])
def test_weights_must_fit(weights):
    with pytest.raises(InputError, match="weight"):
        Mixture(two_sets(), weights)
