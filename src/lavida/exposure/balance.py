"""Balance of words: keeps the names alone from telling whether a sample is anomalous."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np

from lavida.exposure.augment import augment
from lavida.exposure.mixture import Mixture
from lavida.exposure.sampler import AnomalyExposureSampler

VIEW = (72, 96)  # only what is in the view matters here, so small pictures do


def even_weights(
    sampler: AnomalyExposureSampler,
    mixture: Mixture,
    *,
    scale: tuple[float, float] = (0.35, 2.0),
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Give the sampler weights that even out how often each name is true and irrelevant; returns them.

    Drawn uniformly, a word such as "sky" is nearly always true where it is asked and "zebra" nearly never,
    so a model may answer without looking. The sampler is run on the mixture, and each name's share among the
    true names over its share among the irrelevant ones is fed back. Same arguments, same weights.

    Args:
        sampler: as in training, but without weights.
        mixture: the training data.
        scale: zoom of the augmentation in training.
        draws: samples to look at.
        seed: fixes the draws.
    """
    rng = np.random.default_rng(seed)
    weights = dict.fromkeys(mixture.names, 1.0)
    names = frozenset(mixture.names)
    true: Counter[str] = Counter()
    irrelevant: Counter[str] = Counter()
    for _ in range(draws):
        view = augment(mixture.draw(rng), size=VIEW, rng=rng, scale=scale)
        choice = sampler.choose(view, mixture.own_names(view.dataset), rng)
        # of the texts of an object, each that can be irrelevant elsewhere is true in its part of the draws
        said = [(name, *(text for text in view.expressions.get(name, ()) if text in names)) for name in choice.true]
        for texts in said:
            true.update(dict.fromkeys(texts, 1 / len(texts)))
        irrelevant.update(choice.irrelevant)
        # Irrelevant names are several times as many, so shares are compared, not counts.
        times = (1 + irrelevant.total()) / (1 + true.total())
        changed = {
            name: times * (1 + true[name]) / (times + irrelevant[name]) for name in chain(*said, choice.irrelevant)
        }
        weights.update(changed)
        sampler.reweigh(changed)
    return weights
