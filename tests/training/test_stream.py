from collections import Counter
from dataclasses import fields

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from toy_sets import Animals, Texts, Things

from lavida.errors import InputError
from lavida.exposure.moving import FAST
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.prompt import TEMPLATES
from lavida.training.data import Batch, ExposureStream, StepBatches
from lavida.training.recipe import DataRecipe, Recipe, SamplerRecipe, SetRecipe, TrainRecipe

ANIMALS, THINGS, TEXTS, MOVERS, FIRES = (
    f"toy_sets:{kind}" for kind in ("Animals", "Things", "Texts", "Movers", "Fires")
)


def stream(*sets: SetRecipe, sampler: dict | None = None, **data) -> ExposureStream:
    data = {"size": (24, 32), "drop_share": 0.0, "zoom": (0.9, 1.0), "clip_length": 3} | data
    recipe = Recipe(
        data=DataRecipe(root=".", sets=[*sets], **data),
        sampler=SamplerRecipe(**({"even_words": False, "phrases": False} | (sampler or {}))),
        train=TrainRecipe(steps=1),
    )
    return ExposureStream(recipe.data, recipe.sampler)


def part(name: str, **settings) -> SetRecipe:
    return SetRecipe(name=name, folder="none", **settings)


def exposures(source: ExposureStream, count: int, *, length: int = 1) -> list:
    return [source(length, np.random.default_rng((1, i))) for i in range(count)]


@pytest.fixture(scope="module")
def drawn():
    """Draws of a mixture of three parts classes with their own maximum and one part expressions."""
    parts = part(ANIMALS, weight=0.5, max_categories=3), part(THINGS, weight=0.25, clips=True), part(TEXTS, weight=0.25)
    return exposures(stream(*parts, sampler={"max_categories": 6}), 2400)


def true_names(exposure) -> set[str]:
    return {exposure.categories[i] for i in exposure.category_masks}


@pytest.mark.slow
def test_the_mixture_is_drawn_in_its_shares(drawn):
    counts = Counter(e.dataset for e in drawn)
    assert counts[Animals.name] / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert counts[Things.name] / len(drawn) == pytest.approx(0.25, abs=0.03)


def test_the_anomaly_rate_holds_in_every_data_set(drawn):
    for name in (Animals.name, Things.name, Texts.name):
        assert np.mean([e.frame_labels[0] for e in drawn if e.dataset == name]) == pytest.approx(0.5, abs=0.06)


def test_the_number_of_categories_is_uniform_up_to_the_maximum_of_the_set(drawn):
    for name, most in ((Animals.name, 3), (Things.name, 6), (Texts.name, 6)):
        counts = Counter(len(e.categories) for e in drawn if e.dataset == name)
        assert set(counts) == set(range(1, most + 1))
        assert all(count / counts.total() == pytest.approx(1 / most, abs=0.06) for count in counts.values())


def test_three_tenths_of_the_anomalies_have_several_true_categories(drawn):
    wide = [e for e in drawn if e.category_masks and len(e.categories) > 1]
    assert np.mean([len(e.category_masks) > 1 for e in wide]) == pytest.approx(0.3, abs=0.06)


def test_labels_are_the_union_of_what_is_true(drawn):
    for e in drawn[:300]:
        union = np.logical_or.reduce([np.zeros_like(e.pixel_labels), *e.category_masks.values()])
        assert (e.pixel_labels == union).all() and e.frame_labels[0] == bool(e.category_masks)


@pytest.mark.slow
def test_irrelevant_names_come_from_all_of_the_mixture_or_from_the_own_set(drawn):
    own = {kind.name: set(kind.vocabulary) for kind in (Animals, Things, Texts)}
    foreign = Counter(e.dataset for e in drawn for n in e.categories if n not in own[e.dataset])
    assert set(foreign) == set(own)
    alone = exposures(stream(part(ANIMALS), part(TEXTS), sampler={"names": "own", "max_categories": 6}), 400)
    assert all(set(e.categories) <= own[e.dataset] for e in alone)


@pytest.mark.slow
def test_a_removed_category_is_never_asked_nor_labelled():
    assert {"dog", "cow"} <= {n for e in exposures(stream(part(ANIMALS), part(TEXTS)), 300) for n in e.categories}
    vocabulary, seen = Vocabulary.builtin(), Counter()
    for e in exposures(stream(part(ANIMALS), part(TEXTS), removed=["dog", "cow"], sampler={"phrases": True}), 600):
        assert not any(vocabulary.says(text, {"dog", "cow"}) for text in e.categories)
        seen.update(e.categories)
        if e.dataset == Texts.name:  # the puppies are ignored, the blargs are not
            assert e.ignore.any() and not (e.ignore & e.pixel_labels).any()
    assert seen["a wug"] and seen["zebra"] and not seen["a wug beside a dog"]


def test_a_removed_category_may_be_missing_in_the_clips():
    source = stream(part(ANIMALS), part(THINGS, clips=True), removed=["dog"])
    assert source.has_clips and source(3, np.random.default_rng(0)).dataset == Things.name


def test_a_removed_category_may_be_in_the_held_out_part_alone():
    names = {n for e in exposures(stream(part(ANIMALS), removed=["koala", "dog"]), 100) for n in e.categories}
    assert names <= set(Animals.vocabulary) - {"dog"}


@pytest.mark.parametrize(
    ("sets", "settings", "named"),
    [
        ([part(ANIMALS)], {"removed": ["dgo"]}, "dgo"),
        ([part(ANIMALS)], {"sampler": {"names": "all"}}, "all"),
        ([part(ANIMALS, max_categories=0)], {}, "max_categories"),
        ([part(ANIMALS, max_categories=4), part(ANIMALS)], {}, "Animals"),
    ],
)
def test_what_does_not_fit_is_named(sets, settings, named):
    with pytest.raises(InputError, match=named):
        stream(*sets, **settings)


def everything(batch: Batch) -> list:
    values = [getattr(batch, field.name) for field in fields(batch)]
    return [value.tolist() if isinstance(value, torch.Tensor) else value for value in values]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"sampler": {"phrases": True}}, {"moving": 0.5}])
def test_a_seed_fixes_every_field_for_any_number_of_workers(settings):
    sets = part(MOVERS), part(THINGS, clips=True), part(TEXTS, max_categories=4)
    first, again = (stream(*sets, drop_share=0.3, **settings) for _ in range(2))
    runs = []
    for source, workers in ((first, 0), (first, 1), (again, 2)):
        options = {"batch_size": 6, "clip_length": 3, "clip_share": 0.5, "templates": len(TEMPLATES)}
        batches = StepBatches(source, steps=6, seed=3, **options)
        loader = DataLoader(batches, batch_size=None, sampler=range(6), num_workers=workers)
        runs.append([everything(batch) for batch in loader])
    assert runs[0] == runs[1] == runs[2]
    lengths = {len(batch[0][0]) for batch in runs[0]}
    assert lengths == {1, 3} and runs[0][0] != runs[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("moving", [0.0, 0.5])
def test_fires_burn_in_views_of_other_sets_in_the_share_that_is_asked_for(moving):
    sets = part(FIRES, weight=0.1), part(MOVERS, weight=0.9, clips=True)
    source = stream(*sets, burning=0.5, moving=moving, sampler={"several": 0.0, "probability": 1.0})
    drawn = [e for length in (1, 3) for e in exposures(source, 150, length=length) if e.dataset == "coco128"]
    burn = [e for e in drawn if "fire" in true_names(e)]
    assert 0.05 < len(burn) / len(drawn) < 0.5  # another thing may be asked for instead
    assert all(np.ptp(e.frames.astype(int), -1).max() > 3 for e in burn)  # never without colour
    denied = [e for e in drawn if "fire" in e.categories and "fire" not in true_names(e)]
    assert denied, "a word that is only ever true says nothing"
    with pytest.raises(InputError, match=r"data\.burning"):
        stream(part(MOVERS), burning=0.1)


@pytest.mark.slow
def test_crowds_are_as_many_as_asked_for_and_some_of_them_without_a_runner():
    def scenes(**settings) -> list:
        return exposures(stream(part(MOVERS), size=(96, 128), moving=1.0, **settings), 60, length=2)

    def changed(scene) -> float:
        """Parts of the picture that are others in the second frame."""
        change = np.abs(np.diff(scene.frames.astype(int), axis=0)[0]).max(-1) > 40
        return cv2.connectedComponents(change.astype(np.uint8))[0]

    few, many = scenes(crowds=0.0), scenes(crowds=1.0, crowd_running=1.0)
    assert np.median([changed(scene) for scene in many]) > 2 * np.median([changed(scene) for scene in few])
    asked = [scene for scene in many if FAST in scene.categories]
    assert len(asked) > 10 and all(FAST in true_names(scene) for scene in asked)
    calm = [scene for scene in scenes(crowds=1.0, crowd_running=0.0) if FAST in scene.categories]
    assert 0.1 < np.mean([FAST in true_names(scene) for scene in calm]) < 0.9
