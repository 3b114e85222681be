"""The exposure test: fixed prompts over held-out pictures, scored by the AUC of the frame score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lavida.exposure.sample import SegmentationDataset
from lavida.exposure.vocabulary import Vocabulary

CATEGORIES = 5
MIN_AREA = 0.005


@dataclass(frozen=True, slots=True)
class Prompt:
    """Categories to ask of one picture.

    Attributes:
        index: the sample's index in its data set.
        categories: canonical names in random order.
        positive: the one category that is there, or None where none is.
    """

    index: int
    categories: tuple[str, ...]
    positive: str | None


def heldout_prompts(
    dataset: SegmentationDataset, *, vocabulary: Vocabulary, seed: int = 0, limit: int | None = None
) -> list[Prompt]:
    """Two prompts a picture: one present class among absent names, and absent names alone.

    The positive needs a class of at least `MIN_AREA` of the picture; without one only the negative is given.
    Absent names come from the whole vocabulary less its conflicts. A picture's prompts depend on `seed` and
    its index alone.

    Args:
        dataset: held-out samples.
        vocabulary: names and conflicts.
        seed: fixes every choice.
        limit: at most this many pictures, spread evenly over the data set.
    """
    count = len(dataset) if limit is None else min(limit, len(dataset))
    prompts = []
    for index in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist():
        rng = np.random.default_rng((seed, index))
        sample = dataset[index]
        conflicts = vocabulary.conflicts(sample.masks, sample.dataset, scene=sample.scene)
        absent = [name for name in vocabulary.names if name not in conflicts]
        large = [name for name, mask in sample.masks.items() if mask.mean() >= MIN_AREA]
        if large:
            positive = large[rng.integers(len(large))]
            names = [positive, *rng.choice(absent, CATEGORIES - 1, replace=False).tolist()]
            prompts.append(Prompt(index, tuple(rng.permutation(names).tolist()), positive))
        negative = rng.choice(absent, CATEGORIES, replace=False).tolist()
        prompts.append(Prompt(index, tuple(negative), None))
    return prompts
