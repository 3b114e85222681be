"""Anomaly exposure sampler: turns a segmentation sample into an anomaly sample (Eq. 1, 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from lavida.errors import InputError
from lavida.exposure.sample import Exposure, Segmented
from lavida.exposure.vocabulary import Vocabulary

SEVERAL_TRUE = 0.3  # part of the anomalous samples with more than one true category
MOST_TRUE = 3
ASK_LEFT = 0.5  # how likely a class that the view has lost is asked for
OWN_NAMES = 0.5  # part of the irrelevant names that is preferred from the sample's own data set
REPHRASED = 0.5


class AnomalyExposureSampler:
    """Draws the categories c_i and the labels y_i of a sample.

    Args:
        vocabulary: phrases and conflicts of the names.
        names: names that fill up the irrelevant categories; all of the vocabulary by default. In training
            give those of the mixture: a name that is only ever irrelevant teaches that its word means no.
        max_categories: K_E is uniform in 1..max_categories.
        probability: p of Eq. 2.
        labels: `observed` sets y^f to 1 only in frames that show a true category; `letter` in all, as Eq. 2.
        min_area: part of a frame that a class must exceed in some frame to become a true category.
        phrases: whether names are at random replaced by a phrase of the same meaning.
        weights: how much each name is wanted as irrelevant, and its inverse as true; 1 where a name is not
            given, and without any the draws are uniform (Eq. 1). See `even_weights`.
    """

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        names: Sequence[str] | None = None,
        max_categories: int = 30,
        probability: float = 0.5,
        labels: Literal["observed", "letter"] = "observed",
        min_area: float = 0.0,
        phrases: bool = True,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        if max_categories < 1:
            raise InputError(f"max_categories is {max_categories}; give at least 1")
        if not 0 <= probability <= 1:
            raise InputError(f"the anomaly probability is {probability}; give a number from 0 to 1")
        if labels not in ("observed", "letter"):
            raise InputError(f"unknown frame labels {labels!r}; use observed or letter")
        self._vocabulary = vocabulary
        self._names = tuple(vocabulary.names if names is None else names)
        self._max_categories = max_categories
        self._probability = probability
        self._labels = labels
        self._min_area = min_area
        self._phrases = phrases
        self._weights = {} if weights is None else weights

    def sample(self, segmented: Segmented, own_names: Sequence[str], rng: np.random.Generator) -> Exposure:
        """Expose one sample (Eq. 2). `own_names` are the classes of its data set, s_j of Eq. 1.

        A sample in which no class is visible is always normal.

        Raises:
            InputError: no irrelevant name is left for a normal sample.
        """
        visible = [name for name, mask in segmented.masks.items() if self._is_visible(mask)]
        total = int(rng.integers(1, self._max_categories + 1))  # K_E
        anomalous = bool(visible) and rng.random() < self._probability
        true = self._draw_true(visible, total, rng) if anomalous else []
        irrelevant = self._draw_irrelevant(segmented, own_names, total - len(true), rng)
        if not true and not irrelevant:
            where = f"{segmented.dataset}/{segmented.key}"
            raise InputError(f"no irrelevant name: every name may be true of {where}; add names of other things")
        names = [*true, *irrelevant]
        texts = self._say(names, segmented.expressions if true else {}, rng)
        order = rng.permutation(len(names))
        masks = {place: segmented.masks[names[i]] for place, i in enumerate(order) if i < len(true)}
        pixels = np.logical_or.reduce([np.zeros(segmented.frames.shape[:3], bool), *masks.values()])
        return Exposure(
            frames=segmented.frames,
            categories=tuple(texts[i] for i in order),
            frame_labels=self._frame_labels(pixels, anomalous=anomalous),
            pixel_labels=pixels,  # [T, H, W]
            category_masks=masks,
            ignore=segmented.ignore,
            dataset=segmented.dataset,
            key=segmented.key,
        )

    def _is_visible(self, mask: np.ndarray) -> bool:
        largest = np.count_nonzero(mask, axis=(1, 2)).max()
        return bool(largest > self._min_area * mask[0].size)

    def _draw_true(self, visible: Sequence[str], total: int, rng: np.random.Generator) -> list[str]:
        """One visible class, sometimes several that stand apart."""
        wanted = int(rng.integers(2, MOST_TRUE + 1)) if rng.random() < SEVERAL_TRUE else 1
        chosen: list[str] = []
        weights = [1 / self._weights.get(name, 1.0) for name in visible]
        for candidate in _shuffled(visible, weights, rng):
            if len(chosen) == min(wanted, total):
                break
            if not any(candidate in self._vocabulary.related(name) for name in chosen):
                chosen.append(candidate)
        return chosen

    def _draw_irrelevant(
        self, segmented: Segmented, own_names: Sequence[str], count: int, rng: np.random.Generator
    ) -> list[str]:
        """Up to `count` names of things that are not there (Eq. 1): lost ones, own names and others mixed."""
        conflicts = self._vocabulary.conflicts(segmented.masks, segmented.dataset, scene=segmented.scene)
        # a class that was labelled in the sample and cropped away is surely absent, whatever the rules leave open
        related = frozenset[str]().union(*(self._vocabulary.related(name) for name in segmented.masks))
        left = [name for name in sorted(segmented.left - related) if rng.random() < ASK_LEFT]
        own = self._pool([name for name in own_names if name not in conflicts], rng)
        others = self._pool([name for name in self._names if name not in conflicts.union(own_names)], rng)
        chosen: list[str] = []
        for name in left[:count]:
            if self._vocabulary.alike(name).isdisjoint(chosen):
                chosen.append(name)
        while len(chosen) < count and (own or others):
            from_own = own and (not others or rng.random() < OWN_NAMES)
            name = own.pop(0) if from_own else others.pop(0)
            if self._vocabulary.alike(name).isdisjoint(chosen):
                chosen.append(name)
        return chosen

    def _pool(self, names: list[str], rng: np.random.Generator) -> list[str]:
        return _shuffled(names, [self._weights.get(name, 1.0) for name in names], rng)

    def _say(
        self, names: Sequence[str], expressions: Mapping[str, tuple[str, ...]], rng: np.random.Generator
    ) -> list[str]:
        """Texts of the names; the sample's own expressions are as likely as all phrases together."""
        if not self._phrases:
            return list(names)
        texts = []
        for name in names:
            ways = self._vocabulary.phrases(name)
            if name in expressions and (not ways or rng.random() < 0.5):
                ways = expressions[name]
            texts.append(ways[rng.integers(len(ways))] if ways and rng.random() < REPHRASED else name)
        return texts

    def _frame_labels(self, pixels: np.ndarray, *, anomalous: bool) -> np.ndarray:
        """y^f of Eq. 2, float32 [T]."""
        if self._labels == "letter":
            return np.full(len(pixels), anomalous, dtype=np.float32)
        return pixels.any(axis=(1, 2)).astype(np.float32)


def _shuffled(names: Sequence[str], weights: Sequence[float], rng: np.random.Generator) -> list[str]:
    """Names in random order; a larger weight tends to come first."""
    waits = rng.exponential(size=len(names)) / np.asarray(weights)
    return [names[i] for i in np.argsort(waits)]
