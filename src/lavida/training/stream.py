"""The stream of training exposures: mixture -> augmentation -> sampler (Eq. 1, 2)."""

from pathlib import Path

import numpy as np

from lavida.exposure.augment import augment
from lavida.exposure.balance import even_weights
from lavida.exposure.datasets import load
from lavida.exposure.mixture import Mixture
from lavida.exposure.sample import Exposure
from lavida.exposure.sampler import AnomalyExposureSampler
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.prompt import TEMPLATES
from lavida.training.recipe import Recipe


class ExposureStream:
    """Draws single images and, from the sets that have them, clips of `data.clip_length` frames."""

    def __init__(self, recipe: Recipe):
        data = recipe.data
        self._size, self._zoom, self._without = tuple(data.size), tuple(data.zoom), data.without
        self._images = self._mixture(recipe, length=1)
        self.has_clips = data.clip_length > 1 and any(s.clips for s in data.sets)
        self._clips = self._mixture(recipe, length=data.clip_length) if self.has_clips else self._images
        vocabulary, sampler = Vocabulary.builtin(), recipe.sampler
        weights = None
        if sampler.even_words:
            weights = even_weights(
                self._images,
                vocabulary=vocabulary,
                max_categories=sampler.max_categories,
                probability=sampler.probability,
                scale=self._zoom,
            )
        self._sampler = AnomalyExposureSampler(
            vocabulary=vocabulary,
            # only names that some mask in the mixture shows: one that is always irrelevant would come to mean "no"
            names=self._images.names,
            max_categories=sampler.max_categories,
            probability=sampler.probability,
            labels=sampler.labels,
            phrases=sampler.phrases,
            weights=weights,
        )

    def __call__(self, length: int, rng: np.random.Generator) -> Exposure:
        """One exposure of `length` frames: 1 or `data.clip_length`."""
        mixture = self._images if length == 1 else self._clips
        segmented = augment(mixture.draw(rng), size=self._size, scale=self._zoom, without=self._without, rng=rng)
        return self._sampler.sample(segmented, mixture.own_names(segmented.dataset), rng)

    @staticmethod
    def _mixture(recipe: Recipe, *, length: int) -> Mixture:
        data = recipe.data
        sets = [s for s in data.sets if length == 1 or s.clips]
        datasets = [
            load(s.name, Path(data.root) / s.folder, s.split, **({"clip_length": length} if s.clips else {}))
            for s in sets
        ]
        return Mixture(datasets, [s.weight for s in sets], max_side=data.max_side)


def prompt_corpus(vocabulary: Vocabulary) -> list[str]:
    """Text for a small tokenizer: every template filled with every way to say every class."""
    words = [text for name in vocabulary.names for text in (name, *vocabulary.phrases(name))]
    return [template.format(c=word) for template in TEMPLATES for word in words]
