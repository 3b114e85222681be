"""Anomaly exposure sampler: turns a segmentation sample into an anomaly sample (Eq. 1, 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Literal

import numpy as np

from lavida.errors import InputError
from lavida.exposure.names import NamePool, NameTable, mixed
from lavida.exposure.picture import Picture
from lavida.exposure.pools import Pools
from lavida.exposure.sample import Exposure, Segmented
from lavida.exposure.vocabulary import Vocabulary

MOST_TRUE = 3  # where a sample has several true categories
OWN_NAMES = 0.5  # part of the irrelevant names that is preferred from the sample's own data set
REPHRASED = 0.5
MOST_POOLS = 64  # kept at a time; a mixture has a few dozen data sets
# what an exposure takes over from its sample as it is
CARRIED = tuple(sorted({field.name for field in fields(Segmented)} & {field.name for field in fields(Exposure)}))


@dataclass(frozen=True, slots=True)
class Choice:
    """The names of one sample.

    Attributes:
        true: what is asked for and there; empty for a normal sample.
        irrelevant: what is asked for and not there.
    """

    true: tuple[str, ...]
    irrelevant: tuple[str, ...]


class AnomalyExposureSampler:
    """Draws the categories c_i and the labels y_i of a sample.

    Eq. 1 and 2 are `irrelevant="own"`, `absent="unlisted"`, `class_share=None`, `several=0`, `ask_left=0`,
    `labels="letter"`, `phrases=False`, no further names and no weights. What is true is then any visible object by any
    of its names. Four things have no switch: names are drawn from the distinct ones of a data set, not from its
    samples; a normal sample has K_E names, since K_E - 1 may be none; two irrelevant names never mean nearly the same;
    and a normal sample for which its own data set has no name gets one of another set.

    Args:
        vocabulary: phrases and conflicts of the names.
        names: names that fill up the irrelevant categories; all of the vocabulary by default. In training
            give those of the mixture: a name that is only ever irrelevant teaches that its word means no.
        further: names of other things, which are only ever irrelevant.
        further_share: part of the irrelevant names that is preferred from `further`.
        irrelevant: `mixture` takes irrelevant names from `names` and from the sample's own data set, `own` from
            the latter alone (Eq. 1), unless a normal sample would then have no category at all.
        absent: which names may be irrelevant. `sure`: those that can be true of nothing in the picture, as far as the
            vocabulary knows; `unlisted`: all that the sample itself does not list, even if another sample's name or
            expression should fit it, too (j != i in Eq. 1).
        class_share: part of the irrelevant names, the sample's own and others alike, that is preferred from class
            names where there are free texts, too; None draws both from one pool.
        max_categories: K_E is uniform in 1..max_categories.
        limits: data set name -> a lower `max_categories` of its own; a higher one has no effect.
        probability: p of Eq. 2.
        several: part of the anomalous samples that get two or three true categories, where so many stand apart.
        ask_left: how likely a class that the view has lost (`Segmented.left`) is asked for before all other names.
        labels: `observed` sets y^f to 1 only in frames that show a true category; `letter` in all, as Eq. 2.
        min_area: part of a frame that a class must exceed in some frame to become a true category.
        phrases: whether names are at random replaced by a phrase of the vocabulary with the same meaning. The
            sample's own expressions of what is true are drawn in any case.
        removed: classes that no phrase may say.
        weights: how much each name is wanted as irrelevant, and its inverse as true; 1 where a name is not
            given, and without any the draws are uniform (Eq. 1). See `even_weights`.
    """

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        names: Sequence[str] | None = None,
        further: Sequence[str] = (),
        further_share: float = 0.0,
        irrelevant: Literal["mixture", "own"] = "mixture",
        absent: Literal["sure", "unlisted"] = "sure",
        class_share: float | None = 0.5,
        max_categories: int = 30,
        limits: Mapping[str, int] | None = None,
        probability: float = 0.5,
        several: float = 0.3,
        ask_left: float = 0.5,
        labels: Literal["observed", "letter"] = "observed",
        min_area: float = 0.0,
        phrases: bool = True,
        removed: frozenset[str] = frozenset(),
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._limits = {} if limits is None else dict(limits)
        for most in (max_categories, *self._limits.values()):
            if most < 1:
                raise InputError(f"max_categories is {most}; give at least 1")
        shares = {"probability": probability, "several": several, "ask_left": ask_left, "class_share": class_share}
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise InputError(f"{name} is {share}; give a number from 0 to 1")
        if not 0 <= further_share < 1:
            raise InputError(f"the share of further names is {further_share}; give a number from 0 to less than 1")
        if labels not in ("observed", "letter"):
            raise InputError(f"unknown frame labels {labels!r}; use observed or letter")
        if irrelevant not in ("mixture", "own"):
            raise InputError(f"unknown source of irrelevant names {irrelevant!r}; use mixture or own")
        if absent not in ("sure", "unlisted"):
            raise InputError(f"unknown rule for absent names {absent!r}; use sure or unlisted")
        self._vocabulary = vocabulary
        self._table = NameTable({} if weights is None else weights)
        self._names = self._table.places(vocabulary.names if names is None else names)
        self._further = NamePool(self._table, np.setdiff1d(self._table.places(further), self._names))
        self._further_share = further_share
        self._own_alone = irrelevant == "own"
        self._unlisted = absent == "unlisted"
        self._class_share = class_share
        self._max_categories = max_categories
        self._probability = probability
        self._several = several
        self._ask_left = ask_left
        self._labels = labels
        self._min_area = min_area
        self._phrases = phrases
        self._removed = removed
        self._pools: dict[tuple[int, tuple[str, ...]], Pools] = {}
        self._ways: dict[str, tuple[str, ...]] = {}

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Change the weights of some names."""
        self._table.reweigh(weights)

    def sample(
        self,
        segmented: Segmented,
        own_names: Sequence[str],
        rng: np.random.Generator,
        *,
        searched: tuple[str, ...] = (),
    ) -> Exposure:
        """Expose one sample (Eq. 2).

        A sample in which no class is visible is always normal.

        Args:
            segmented: the sample.
            own_names: the classes of its data set, s_j of Eq. 1. Give the same object every time: it may be long.
            rng: source of every choice.
            searched: further names of the sample that are surely absent unless its masks list them.

        Raises:
            InputError: no irrelevant name is left for a normal sample.
        """
        choice = self.choose(segmented, own_names, rng, searched=searched)
        names = [*choice.true, *choice.irrelevant]
        texts = [*self._say(choice.true, segmented.expressions, rng), *self._say(choice.irrelevant, {}, rng)]
        order = rng.permutation(len(names))
        masks = {place: segmented.masks[names[i]] for place, i in enumerate(order) if i < len(choice.true)}
        pixels = np.logical_or.reduce([np.zeros(segmented.frames.shape[:3], bool), *masks.values()])
        return Exposure(
            **{name: getattr(segmented, name) for name in CARRIED},
            categories=tuple(texts[i] for i in order),
            frame_labels=self._frame_labels(pixels, anomalous=bool(choice.true)),
            pixel_labels=pixels,  # [T, H, W]
            category_masks=masks,
        )

    def choose(
        self,
        segmented: Segmented,
        own_names: Sequence[str],
        rng: np.random.Generator,
        *,
        searched: tuple[str, ...] = (),
    ) -> Choice:
        """The names of `sample`, before they are put into words."""
        visible = [name for name, mask in segmented.masks.items() if self._is_visible(mask)]
        most = min(self._max_categories, self._limits.get(segmented.dataset, self._max_categories))
        total = int(rng.integers(1, most + 1))  # K_E
        anomalous = bool(visible) and rng.random() < self._probability
        true = self._draw_true(visible, total, rng) if anomalous else []
        pools = self._pools_of(own_names, searched)
        irrelevant = self._draw_irrelevant(segmented, pools, total - len(true), rng, alone=not true)
        if not true and not irrelevant:
            where = f"{segmented.dataset}/{segmented.key}"
            raise InputError(f"no irrelevant name: every name may be true of {where}; add names of other things")
        return Choice(true=tuple(true), irrelevant=tuple(irrelevant))

    def _is_visible(self, mask: np.ndarray) -> bool:
        largest = np.count_nonzero(mask, axis=(1, 2)).max()
        return bool(largest > self._min_area * mask[0].size)

    def _draw_true(self, visible: Sequence[str], total: int, rng: np.random.Generator) -> list[str]:
        """One visible class, sometimes several that stand apart."""
        wanted = int(rng.integers(2, MOST_TRUE + 1)) if rng.random() < self._several else 1
        chosen: list[str] = []
        waits = rng.exponential(size=len(visible)) * [self._table.weight(name) for name in visible]
        for candidate in (visible[i] for i in np.argsort(waits)):
            if len(chosen) == min(wanted, total):
                break
            if not any(candidate in self._vocabulary.related(name) for name in chosen):
                chosen.append(candidate)
        return chosen

    def _draw_irrelevant(
        self, segmented: Segmented, pools: Pools, count: int, rng: np.random.Generator, *, alone: bool
    ) -> list[str]:
        """Up to `count` names of things that are not there (Eq. 1): lost ones, own names and others mixed.

        `alone`: there is no true category, so at least one is needed, wherever it comes from.
        """
        picture = self._picture(segmented)
        lost = [name for name in sorted(segmented.left) if picture.has_lost(name)]
        listed = {*segmented.masks, *segmented.left, *chain.from_iterable(segmented.expressions.values())}
        chosen: list[str] = []
        self._take((name for name in lost if rng.random() < self._ask_left), chosen, count)

        def may_show(name: str) -> bool:
            if name in pools.searched:
                return name in segmented.masks
            return name in listed if self._unlisted else picture.may_show(name)

        def absent(*parts: NamePool) -> Iterator[str]:
            drawn = [(name for name in part.draws(rng) if not may_show(name)) for part in parts]
            return drawn[0] if len(drawn) == 1 else mixed(*drawn, share=self._class_share, rng=rng)

        own, others = absent(*pools.own), absent(*pools.others)
        if not self._own_alone:
            own = mixed(own, others, share=OWN_NAMES, rng=rng)
        if self._further_share:
            own = mixed(absent(self._further), own, share=self._further_share, rng=rng)
        self._take(own, chosen, count)
        if alone:
            self._take(chain(lost, others), chosen, 1)
        return chosen

    def _take(self, names: Iterator[str], chosen: list[str], count: int) -> None:
        """Fill up `chosen` to `count` names that mean different things."""
        while len(chosen) < count and (name := next(names, None)) is not None:
            if self._vocabulary.alike(name).isdisjoint(chosen):
                chosen.append(name)

    def _picture(self, segmented: Segmented) -> Picture:
        seen, gone = [], []
        for name, texts in segmented.expressions.items():
            (seen if name in segmented.masks else gone).extend(texts)
        return self._vocabulary.picture(
            segmented.masks,
            segmented.dataset,
            scene=segmented.scene,
            texts=seen,
            doubtful=[*gone, *(name for name in sorted(segmented.left) if name not in self._vocabulary)],
        )

    def _pools_of(self, own_names: Sequence[str], searched: tuple[str, ...]) -> Pools:
        key = (id(own_names), searched)  # a tuple of all names would be slow to compare
        pools = self._pools.get(key)
        if pools is None or pools.own_names is not own_names:
            if len(self._pools) == MOST_POOLS:
                self._pools.clear()
            pools = Pools(
                self._table,
                own_names=own_names,
                searched=searched,
                names=self._names,
                vocabulary=self._vocabulary,
                apart=self._class_share is not None,
            )
            self._pools[key] = pools
        return pools

    def _say(
        self, names: Sequence[str], expressions: Mapping[str, tuple[str, ...]], rng: np.random.Generator
    ) -> Iterator[str]:
        """Texts of the names: any of the sample's own expressions, or a phrase of the vocabulary.

        All that is said of an object is equally likely; with phrases, a class keeps its name half of the time.
        """
        for name in names:
            said = expressions.get(name, ())
            if self._phrases and name in self._vocabulary:
                ways = self._phrases_of(name)
                if said and (not ways or rng.random() < 0.5):
                    ways = said
                yield ways[rng.integers(len(ways))] if ways and rng.random() < REPHRASED else name
            else:
                yield (name, *said)[rng.integers(1 + len(said))] if said else name

    def _phrases_of(self, name: str) -> tuple[str, ...]:
        ways = self._vocabulary.phrases(name)
        if not ways or not self._removed:
            return ways
        if name not in self._ways:
            self._ways[name] = tuple(way for way in ways if not self._vocabulary.says(way, self._removed))
        return self._ways[name]

    def _frame_labels(self, pixels: np.ndarray, *, anomalous: bool) -> np.ndarray:
        """y^f of Eq. 2, float32 [T]."""
        if self._labels == "letter":
            return np.full(len(pixels), anomalous, dtype=np.float32)
        return pixels.any(axis=(1, 2)).astype(np.float32)
