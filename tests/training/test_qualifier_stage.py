"""What qualifies a thing is learnt from remembered features, and nothing else of the model changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_lavida
from toys import exposure

from lavida.errors import InputError
from lavida.exposure.sample import CategoryPrompt
from lavida.training.qualifier_stage import UNPROVEN, Remembered, even_weights, learn_qualifiers
from lavida.training.recipe import QualifierRecipe, Recipe, TrainRecipe
from lavida.training.start import check_training

OPT = TrainRecipe(steps=0, workers=0, seed=3)


class Sides:
    """A bright dog on the left or on the right, and texts that say so."""

    has_clips = False

    def __call__(self, length, rng):
        sample = exposure(length, seed=int(rng.integers(1 << 30)), categories=("dog",))
        at = "left" if rng.random() < 0.5 else "right"
        dog = np.zeros(sample.frames.shape[:3], bool)
        dog[:, 20:44, slice(8, 32) if at == "left" else slice(64, 88)] = True
        sample.frames[dog] = 250
        probes = (
            CategoryPrompt("dog on the left", dog if at == "left" else None, dog, "place"),
            CategoryPrompt("dog on the right", dog if at == "right" else None, dog, "place"),
        )
        return replace(sample, probes=probes)


@pytest.mark.slow
def test_sides_are_told_apart_and_only_the_qualifiers_change():
    model = tiny_lavida(qualifiers=True)
    model.alignment.bias.data.fill_(5.0)  # dogs wherever it looks
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    told, logged = [], []
    learn_qualifiers(
        model,
        Sides(),
        Recipe(train=OPT, qualifiers=QualifierRecipe(samples=32, steps=120, batch_size=16, learning_rate=1e-2)),
        log=lambda step, loss: logged.append((step, loss)),
        progress=lambda *values: told.append(values),
    )
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("qualifiers.") for name in changed)
    assert {row[0] for row in told} == {"samples for qualifiers", "qualifiers"}
    assert [step for step, _ in logged] == list(range(10, 121, 10))
    first, last = (float(row[3].split()[1]) for row in (told[2], told[-1]))
    assert last < 0.8 * first
    assert not model.training


def test_a_stream_without_probes_is_refused():
    class Bare(Sides):
        def __call__(self, length, rng):
            return replace(super().__call__(length, rng), probes=())

    recipe = Recipe(train=OPT, qualifiers=QualifierRecipe(samples=16, steps=1))
    with pytest.raises(InputError, match=r"sampler\.probes"):
        learn_qualifiers(tiny_lavida(qualifiers=True), Bare(), recipe)


@pytest.mark.slow
def test_a_stage_that_diverges_is_one_line():
    model = tiny_lavida(qualifiers=True)
    next(model.qualifiers.parameters()).data.fill_(torch.nan)
    with pytest.raises(InputError, match="step 1 are not finite; lower qualifiers.learning_rate"):
        learn_qualifiers(model, Sides(), Recipe(train=OPT, qualifiers=QualifierRecipe(samples=8, steps=2)))


def remembered(texts: dict[str, bool], *, moves: bool = False) -> Remembered:
    masks = torch.stack([torch.full((2, 2), 255 * shown, dtype=torch.uint8) for shown in texts.values()])
    nothing = torch.zeros(0)
    return Remembered(nothing, nothing, tuple(texts), nothing, nothing, nothing, masks, nothing, moves)


def test_a_word_counts_as_often_where_it_is_true_as_where_it_is_false():
    samples = [remembered({"red car": i == 0, "dog running": i < 2}, moves=i % 2 == 0) for i in range(12)]
    samples.append(remembered({"person begging": False}))
    weights = even_weights(samples)
    for place, key in ((0, "red"), (1, "running")):
        for moves in (True, False):
            mine = [
                (w[place], s.shown[place]) for w, s in zip(weights[:-1], samples[:-1], strict=True) if s.moves == moves
            ]
            true = sum(float(w) for w, shown in mine if shown)
            false = sum(float(w) for w, shown in mine if not shown)
            assert abs(true - false) < 0.8, (key, moves, true, false)
    assert weights[-1].tolist() == [UNPROVEN]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, r"sampler\.probes"),
        ({"probes": 8}, r"model\.qualifiers=true"),
    ],
)
def test_a_recipe_that_cannot_learn_them_is_refused_at_once(tmp_path, changes, said):
    recipe = Recipe(out=str(tmp_path / "run"), qualifiers=QualifierRecipe(samples=16), calibrate=False, train=OPT)
    recipe.sampler.probes = changes.get("probes", 0)
    with pytest.raises(InputError, match=said):
        check_training(recipe, resume=False)
