"""The stream of training exposures: mixture -> augmentation -> sampler (Eq. 1, 2)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.augment import degrade, reframe
from lavida.exposure.balance import even_weights
from lavida.exposure.cutouts import CutoutBank
from lavida.exposure.datasets import load
from lavida.exposure.mixture import Mixture
from lavida.exposure.moving import MOTION_NAMES, MOTION_WEIGHT, neighbours, set_in_motion, with_motion
from lavida.exposure.removal import Removal
from lavida.exposure.sample import Exposure, SegmentationDataset
from lavida.exposure.sampler import AnomalyExposureSampler
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.prompt import TEMPLATES
from lavida.training.recipe import DataRecipe, Recipe, SetRecipe


class ExposureStream:
    """Draws single images and, from the sets that have them, clips of `data.clip_length` frames."""

    def __init__(self, recipe: Recipe):
        data = recipe.data
        self._size, self._zoom, self._without = tuple(data.size), tuple(data.zoom), data.without
        self._images = self._mixture(recipe, length=1)
        self._moving = data.moving
        self._bank = CutoutBank(self._images, removed=data.removed) if data.moving > 0 else None
        self._searched = self._images.removal.kept(MOTION_NAMES)
        self._actors = () if self._bank is None else self._images.removal.kept(self._bank.names)
        self.has_clips = data.clip_length > 1 and any(s.clips for s in data.sets)
        self._clips = self._mixture(recipe, length=data.clip_length) if self.has_clips else self._images
        self._sampler = AnomalyExposureSampler(
            vocabulary=Vocabulary.builtin(),
            # only names that some mask in the mixture shows: one that is always irrelevant would come to mean "no"
            names=self._images.names,
            further=self._images.removal.kept(n for n in Vocabulary.builtin().classes if n not in MOTION_NAMES),
            further_share=recipe.sampler.further,
            irrelevant=recipe.sampler.names,
            absent=recipe.sampler.absent,
            class_share=recipe.sampler.class_share,
            max_categories=recipe.sampler.max_categories,
            limits=_limits(zip(data.sets, self._images.datasets, strict=True)),
            probability=recipe.sampler.probability,
            several=recipe.sampler.several,
            ask_left=recipe.sampler.ask_left,
            labels=recipe.sampler.labels,
            phrases=recipe.sampler.phrases,
            removed=self._images.removal.names,
        )
        if recipe.sampler.even_words:
            even_weights(self._sampler, self._images, scale=self._zoom)
        if self._bank is not None:
            self._sampler.reweigh(dict.fromkeys(self._searched, MOTION_WEIGHT))

    def __call__(self, length: int, rng: np.random.Generator) -> Exposure:
        """One exposure of `length` frames: 1 or `data.clip_length`."""
        moving = self._bank is not None and rng.random() < self._moving
        mixture = self._images if length == 1 or moving else self._clips
        view = reframe(mixture.draw(rng), size=self._size, scale=self._zoom, without=self._without, rng=rng)
        if moving:
            view = mixture.removal.apply(set_in_motion(view, self._bank, length=length, rng=rng))
        elif self._bank is not None:
            view = neighbours(view, rng=rng)
        # of a moving scene, ask mostly for what moves
        own, searched = (self._actors, self._searched) if moving else (mixture.own_names(view.dataset), ())
        return self._sampler.sample(with_motion(degrade(view, rng=rng)), own, rng, searched=searched)

    @staticmethod
    def _mixture(recipe: Recipe, *, length: int) -> Mixture:
        data = recipe.data
        sets = [s for s in data.sets if length == 1 or s.clips]
        datasets = [
            load(s.name, Path(data.root) / s.folder, s.split, **({"clip_length": length} if s.clips else {}))
            for s in sets
        ]
        return Mixture(
            datasets,
            [s.weight for s in sets],
            max_side=data.max_side,
            removed=data.removed,
            # the images, which all sets give, have been asked before the clips
            known=data.removed if length > 1 else _known(data, datasets),
        )


def _known(data: DataRecipe, datasets: Sequence[SegmentationDataset]) -> list[str]:
    """Removed categories that the data sets have, if only in the pictures that are not trained on."""
    removal = Removal(data.removed, Vocabulary.builtin())
    missing = removal.missing([name for dataset in datasets for name in dataset.vocabulary])
    for each in data.sets if missing else ():
        try:
            other = load(each.name, Path(data.root) / each.folder, "train" if each.split == "heldout" else "heldout")
        except InputError:  # a copy without that part
            continue
        missing = Removal(missing, Vocabulary.builtin()).missing(other.vocabulary)
    return sorted(removal.names.difference(missing))


def _limits(sets: Iterable[tuple[SetRecipe, SegmentationDataset]]) -> dict[str, int]:
    """The largest K_E of each data set that has its own. Raises InputError where two entries of a set disagree."""
    most: dict[str, int | None] = {}
    for recipe, dataset in sets:
        if most.setdefault(dataset.name, recipe.max_categories) != recipe.max_categories:
            raise InputError(f"data.sets: {recipe.name} is listed with different max_categories; give it the same one")
    return {name: limit for name, limit in most.items() if limit is not None}


def prompt_corpus(vocabulary: Vocabulary) -> list[str]:
    """Text for a small tokenizer: every template filled with every way to say every class."""
    words = [text for name in vocabulary.names for text in (name, *vocabulary.phrases(name))]
    return [template.format(c=word) for template in TEMPLATES for word in words]
