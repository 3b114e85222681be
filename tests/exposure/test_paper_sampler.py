"""`configs/paper.yaml` draws as Eq. 1 and 2 say."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from paper_sets import SAID, Said

from lavida.exposure.sample import ExposedSample
from lavida.training.data import ExposureStream
from lavida.training.recipe import load_recipe

PAPER = Path(__file__).resolve().parents[2] / "configs" / "paper.yaml"
TINY = ["data.root=.", "data.size=[32,32]", "data.sets=[{name: 'paper_sets:Said', folder: none}]"]


def opened(overrides: list[str]) -> ExposureStream:
    recipe = load_recipe(PAPER, overrides)
    return ExposureStream(recipe.data, recipe.sampler)


def exposures(*changes: str, count: int = 1100) -> list[ExposedSample]:
    stream = opened([*TINY, "sampler.max_categories=4", *changes])
    return [stream(1, np.random.default_rng((5, i))) for i in range(count)]


@pytest.fixture(scope="module")
def drawn() -> list[ExposedSample]:
    return exposures()


def true_and_irrelevant(drawn: list[ExposedSample]) -> tuple[dict[int, Counter[str]], dict[int, Counter[str]]]:
    """Sample -> how often each text was true of it, and irrelevant."""
    true, irrelevant = ({index: Counter() for index in range(len(SAID))} for _ in range(2))
    for e in drawn:
        index = int(e.key.partition("/")[0])
        for place, text in enumerate(e.categories):
            (true if place in e.category_masks else irrelevant)[index][text] += 1
    return true, irrelevant


def is_uniform(counts: Counter[str], names: set[str]) -> bool:
    """Whether the counts are of all `names` and alike: chi-square at most six standard deviations above its mean."""
    expected, freedom = counts.total() / len(names), len(names) - 1
    square = sum((counts[name] - expected) ** 2 for name in names) / expected
    return set(counts) == names and square < freedom + 6 * np.sqrt(2 * freedom)


@pytest.mark.slow
def test_irrelevant_names_are_uniform_over_all_other_samples(drawn):
    for index, counts in true_and_irrelevant(drawn)[1].items():
        assert counts.total() > 350 and is_uniform(counts, set(Said.vocabulary) - set(SAID[index]))


def test_each_text_of_an_object_is_its_name_equally_often(drawn):
    for index, counts in true_and_irrelevant(drawn)[0].items():
        assert counts.total() > 75 and is_uniform(counts, set(SAID[index]))


@pytest.mark.slow
def test_a_preference_for_class_names_is_no_longer_uniform():
    counts = true_and_irrelevant(exposures("sampler.class_share=0.5", count=600))[1]
    assert not any(is_uniform(counts[i], set(Said.vocabulary) - set(SAID[i])) for i in counts)


@pytest.mark.slow
def test_an_anomalous_sample_has_one_true_category_and_all_its_frames_are_positive(drawn):
    assert {len(e.category_masks) for e in drawn} == {0, 1}
    assert np.mean([len(e.category_masks) for e in drawn]) == pytest.approx(0.5, abs=0.04)
    assert all((e.frame_labels == len(e.category_masks)).all() for e in drawn)
    clips = opened([*TINY[:2], f"{TINY[2][:-2]}, clips: true}}]"])
    for i in range(50):
        clip = clips(8, np.random.default_rng(i))
        assert len(clip.frame_labels) == 8 and set(clip.frame_labels) == {len(clip.category_masks)}


def test_pictures_are_shown_as_they_are(drawn):
    """Whole and unchanged but for their size, as the published code trains: the object is always in the same place."""
    seen = np.zeros((32, 32), bool)
    seen[8:24, 8:24] = True
    picture = np.where(seen[..., None], 200, 60).repeat(3, -1)
    assert all((e.frames[0] == picture).all() for e in drawn)
    anomalous = [e.pixel_labels[0] for e in drawn if e.pixel_labels.any()]
    assert len(anomalous) > 0.4 * len(drawn) and all((labels == seen).all() for labels in anomalous)
    varied = exposures("data.views=varied", count=20)
    assert not any((e.frames[0] == picture).all() for e in varied)


def test_the_number_of_categories_is_uniform(drawn):
    assert is_uniform(Counter(str(len(e.categories)) for e in drawn), set("1234"))
