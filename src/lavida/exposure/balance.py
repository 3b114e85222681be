"""Balance of words: keeps the names alone from telling whether a sample is anomalous."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lavida.exposure.augment import augment
from lavida.exposure.mixture import Mixture
from lavida.exposure.sampler import AnomalyExposureSampler
from lavida.exposure.vocabulary import Vocabulary

VIEW = (72, 96)  # only what is in the view matters here, so small pictures do


def even_weights(
    mixture: Mixture,
    *,
    vocabulary: Vocabulary,
    max_categories: int = 30,
    probability: float = 0.5,
    scale: tuple[float, float] = (0.35, 2.0),
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Weights for `AnomalyExposureSampler` that even out how often each name is true and irrelevant.

    Drawn uniformly, a word such as "sky" is nearly always true where it is asked and "zebra" nearly never,
    so a model may answer without looking. The sampler is run on the mixture, and each name's share among the
    true names over its share among the irrelevant ones is fed back. Same arguments, same weights.

    Args:
        mixture: the training data.
        vocabulary: names and conflicts.
        max_categories: as in training.
        probability: as in training.
        scale: zoom of the augmentation in training.
        draws: samples to look at.
        seed: fixes the draws.
    """
    rng = np.random.default_rng(seed)
    names = mixture.names
    weights = dict.fromkeys(names, 1.0)
    sampler = AnomalyExposureSampler(
        vocabulary=vocabulary,
        names=names,
        max_categories=max_categories,
        probability=probability,
        phrases=False,
        weights=weights,
    )
    true: Counter[str] = Counter()
    irrelevant: Counter[str] = Counter()
    for _ in range(draws):
        view = augment(mixture.draw(rng), size=VIEW, rng=rng, scale=scale)
        exposure = sampler.sample(view, mixture.own_names(view.dataset), rng)
        for index, name in enumerate(exposure.categories):
            (true if index in exposure.category_masks else irrelevant)[name] += 1
        # Irrelevant names are several times as many, so shares are compared, not counts.
        times = (1 + sum(irrelevant.values())) / (1 + sum(true.values()))
        for name in exposure.categories:
            weights[name] = times * (1 + true[name]) / (times + irrelevant[name])
    return weights
