"""Anomaly exposure sampler: turns a segmentation sample into an anomaly sample (Eq. 1, 2)."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, fields
from itertools import chain

import numpy as np

from lavida.errors import InputError
from lavida.exposure.mixture import Mixture
from lavida.exposure.names import NamePool, NameTable, OwnNames, mixed
from lavida.exposure.qualified_draws import Shares, draw_probes, is_bare, is_thing, qualify
from lavida.exposure.qualifier_proofs import Qualifier
from lavida.exposure.sample import CategoryPrompt, ExposedSample, SegmentationSample
from lavida.exposure.views import augment, stretched
from lavida.exposure.vocabulary import Picture, Vocabulary
from lavida.settings import check_settings, renamed, setting

MOST_TRUE = 3  # where a sample has several true categories
OWN_NAMES = 0.5  # part of the irrelevant names that is preferred from the sample's own data set
REPHRASED = 0.5
UNPROVEN_PROBES = 0.15  # part of the probes whose qualifier nothing proves
VIEW = (72, 96)  # for `even_weights` only what is in the view matters, so small pictures do
# what an exposure takes over from its sample as it is
CARRIED = sorted({field.name for field in fields(SegmentationSample)} & {field.name for field in fields(ExposedSample)})


@dataclass(frozen=True, slots=True)
class Choice:
    """The names of one sample.

    Attributes:
        true: what is asked for and there; empty for a normal sample.
        irrelevant: what is asked for and not there.
    """

    true: tuple[str, ...]
    irrelevant: tuple[str, ...]


def _all_positive(limits: Mapping[str, int]) -> bool:
    return all(most >= 1 for most in limits.values())


@renamed(further="negatives_only", further_share="negatives_only_share", ask_left="ask_out_of_view")
@dataclass(kw_only=True, eq=False, repr=False)
class AnomalyExposureSampler:
    """Draws the categories c_i and the labels y_i of a sample.

    Eq. 1 and 2 are `irrelevant="own"`, `absent="unlisted"`, `class_share=None`, `several=0`, `ask_out_of_view=0`,
    `labels="literal"`, `phrases=False`, no names for negatives only and no weights. What is true is then any
    visible object by any of its names. What has no switch: names are drawn from the distinct ones of a data set, not
    from its samples; a normal sample has K_E names, since K_E - 1 may be none; two irrelevant names never mean nearly
    the same; a sample in which no class is visible is always normal; and a normal sample for which its own data set has
    no name gets one of another set.

    Args:
        vocabulary: phrases and conflicts of the names.
        names: names that fill up the irrelevant categories; all of the vocabulary by default. In training
            give those of the mixture: a name that is only ever irrelevant teaches that its word means no.
        negatives_only: names of other things, which are only ever irrelevant.
        negatives_only_share: part of the irrelevant names that is preferred from `negatives_only`.
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
        ask_out_of_view: how likely a class that the view has lost (`out_of_view`) is asked for before all other names.
        labels: `observed` sets y^f to 1 only in frames that show a true category; `literal` in all, as Eq. 2.
        min_area: part of a frame that a class must exceed in some frame to become a true category.
        phrases: whether names are at random replaced by a phrase of the vocabulary with the same meaning. The
            sample's own expressions of what is true are drawn in any case.
        removed: classes that no phrase may say.
        qualified: part of the anomalous samples in which a thing is asked for with a true qualifier
            (`exposure.qualifier_proofs`), where one is proven: only the things that it fits are anomalous then.
        denied: part of the irrelevant names that give way to a visible thing with a false qualifier.
        unproven: part of those whose qualifier nothing proves.
        probes: how many further texts with qualifiers each sample gets (`ExposedSample.probes`).
        weights: how much each name is wanted as irrelevant, and its inverse as true; 1 where a name is not
            given, and without any the draws are uniform (Eq. 1). See `even_weights`.
    """

    vocabulary: Vocabulary
    names: InitVar[Sequence[str] | None] = None
    negatives_only: InitVar[Sequence[str]] = ()
    negatives_only_share: float = setting(0.0, least=0, below=1)
    irrelevant: str = setting("mixture", choices=("mixture", "own"))
    absent: str = setting("sure", choices=("sure", "unlisted"))
    class_share: float | None = setting(0.5, least=0, most=1)
    max_categories: int = setting(30, least=1)
    limits: Mapping[str, int] | None = setting(None, rule=(_all_positive, "max_categories of 1 or more for each set"))
    probability: float = setting(0.5, least=0, most=1)
    several: float = setting(0.3, least=0, most=1)
    ask_out_of_view: float = setting(0.5, least=0, most=1)
    labels: str = setting("observed", choices=("observed", "literal"))
    min_area: float = 0.0
    phrases: bool = True
    removed: frozenset[str] = frozenset()
    qualified: float = setting(0.0, least=0, most=1)
    denied: float = setting(0.0, least=0, most=1)
    unproven: float = setting(0.3, least=0, most=1)
    probes: int = setting(0, least=0)
    weights: InitVar[Mapping[str, float] | None] = None
    _ways: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def __post_init__(
        self, names: Sequence[str] | None, negatives_only: Sequence[str], weights: Mapping[str, float] | None
    ) -> None:
        if self.labels == "letter":
            warnings.warn('labels="letter" is now called "literal"', DeprecationWarning, stacklevel=4)
            self.labels = "literal"
        check_settings(self)
        self._table = NameTable({} if weights is None else weights)
        self._names = self._table.places(self.vocabulary.names if names is None else names)
        self._negatives_only = NamePool(self._table, np.setdiff1d(self._table.places(negatives_only), self._names))

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Change the weights of some names."""
        self._table.reweigh(weights)

    def own_names(self, names: Sequence[str], *, motion_words: Sequence[str] = ()) -> OwnNames:
        """What the samples of one data set draw their irrelevant names from; make it once, as the names may be many.

        Args:
            names: the classes of the data set, s_j of Eq. 1.
            motion_words: further names that are surely absent from a sample unless its masks list them.
        """
        return OwnNames(
            self._table,
            names=names,
            motion_words=motion_words,
            others=self._names,
            vocabulary=self.vocabulary,
            apart=self.class_share is not None,
        )

    def sample(
        self, segmented: SegmentationSample, own: OwnNames | Sequence[str], rng: np.random.Generator
    ) -> ExposedSample:
        """Expose one sample (Eq. 2).

        A sample in which no class is visible is always normal.

        Args:
            segmented: the sample.
            own: the names of its data set, from `own_names` or, of a small set, as they are.
            rng: source of every choice.

        Raises:
            InputError: no irrelevant name is left for a normal sample.
        """
        choice = self.choose(segmented, own, rng)
        asked = [CategoryPrompt(text, segmented.masks[name]) for name, text in self._said(choice.true, segmented, rng)]
        asked += [CategoryPrompt(text, None) for _, text in self._said(choice.irrelevant, segmented, rng, sure=False)]
        probes: tuple[CategoryPrompt, ...] = ()
        if self.qualified or self.denied or self.probes:
            picture = self._picture(segmented)
            qualifier = Qualifier(segmented, lambda name: not picture.may_show(name))
            visible = [name for name, mask in segmented.masks.items() if self._is_visible(mask) and is_thing(name)]
            things = [name if is_thing(name) and name in self.vocabulary else "" for name in choice.irrelevant]
            say = self._noun(rng)
            asked = qualify(
                asked,
                qualifier,
                Shares(self.qualified, self.denied, self.unproven),
                true=len(choice.true),
                visible=visible,
                irrelevant=things,
                say=say,
                rng=rng,
            )
            probes = draw_probes(qualifier, visible, most=self.probes, unproven=UNPROVEN_PROBES, say=say, rng=rng)
        asked = [asked[i] for i in rng.permutation(len(asked))]
        masks = {place: each.mask for place, each in enumerate(asked) if each.mask is not None}
        pixels = np.logical_or.reduce([np.zeros(segmented.frames.shape[:3], bool), *masks.values()])
        return ExposedSample(
            **{name: getattr(segmented, name) for name in CARRIED},
            categories=tuple(each.text for each in asked),
            frame_labels=self._frame_labels(pixels, anomalous=bool(choice.true)),
            pixel_labels=pixels,  # [T, H, W]
            category_masks=masks,
            noun_masks={place: each.noun for place, each in enumerate(asked) if each.noun is not None},
            kinds={place: each.kind for place, each in enumerate(asked) if each.kind},
            probes=probes,
        )

    def _said(
        self, names: Sequence[str], segmented: SegmentationSample, rng: np.random.Generator, *, sure: bool = True
    ) -> Iterator[tuple[str, str]]:
        return zip(names, self._say(names, segmented.expressions if sure else {}, rng), strict=True)

    def _noun(self, rng: np.random.Generator) -> Callable[[str], str]:
        """Says a class in words that hold no qualifier of their own."""

        def say(name: str) -> str:
            ways = [way for way in (name, *self._phrases_of(name)) if is_bare(way)] if self.phrases else []
            return ways[int(rng.integers(len(ways)))] if ways and rng.random() < REPHRASED else name

        return say

    def choose(self, segmented: SegmentationSample, own: OwnNames | Sequence[str], rng: np.random.Generator) -> Choice:
        """The names of `sample`, before they are put into words: c_i of Eq. 2, with the irrelevant ones of Eq. 1.

        Raises InputError as `sample`.
        """
        visible = [name for name, mask in segmented.masks.items() if self._is_visible(mask)]
        most = min(self.max_categories, (self.limits or {}).get(segmented.dataset, self.max_categories))
        total = int(rng.integers(1, most + 1))  # K_E
        anomalous = bool(visible) and rng.random() < self.probability
        true = self._draw_true(visible, total, rng) if anomalous else []
        own = own if isinstance(own, OwnNames) else self.own_names(own)
        irrelevant = self._draw_irrelevant(segmented, own, total - len(true), rng, alone=not true)
        if not true and not irrelevant:
            where = f"{segmented.dataset}/{segmented.key}"
            raise InputError(f"no irrelevant name: every name may be true of {where}; add names of other things")
        return Choice(true=tuple(true), irrelevant=tuple(irrelevant))

    def _is_visible(self, mask: np.ndarray) -> bool:
        largest = np.count_nonzero(mask, axis=(1, 2)).max()
        return bool(largest > self.min_area * mask[0].size)

    def _draw_true(self, visible: Sequence[str], total: int, rng: np.random.Generator) -> list[str]:
        """One visible class, sometimes several that stand apart."""
        wanted = int(rng.integers(2, MOST_TRUE + 1)) if rng.random() < self.several else 1
        chosen: list[str] = []
        waits = rng.exponential(size=len(visible)) * [self._table.weight(name) for name in visible]
        for candidate in (visible[i] for i in np.argsort(waits)):
            if len(chosen) == min(wanted, total):
                break
            if not any(candidate in self.vocabulary.related(name) for name in chosen):
                chosen.append(candidate)
        return chosen

    def _draw_irrelevant(
        self, segmented: SegmentationSample, own: OwnNames, count: int, rng: np.random.Generator, *, alone: bool
    ) -> list[str]:
        """Up to `count` names of things that are not there (Eq. 1): lost ones, own names and others mixed.

        `alone`: there is no true category, so at least one is needed, wherever it comes from.
        """
        picture = self._picture(segmented)
        lost = [name for name in sorted(segmented.out_of_view) if picture.has_lost(name)]
        listed = {*segmented.masks, *segmented.out_of_view, *chain.from_iterable(segmented.expressions.values())}
        chosen: list[str] = []
        self._take((name for name in lost if rng.random() < self.ask_out_of_view), chosen, count)

        def may_show(name: str) -> bool:
            if name in own.motion_words:
                return name in segmented.masks
            return name in listed if self.absent == "unlisted" else picture.may_show(name)

        def absent(*parts: NamePool) -> Iterator[str]:
            drawn = [(name for name in part.draws(rng) if not may_show(name)) for part in parts]
            if len(drawn) == 1 or self.class_share is None:  # not apart: all are in one pool
                return drawn[0]
            return mixed(*drawn, share=self.class_share, rng=rng)

        names, others = absent(*own.own), absent(*own.others)
        if self.irrelevant == "mixture":
            names = mixed(names, others, share=OWN_NAMES, rng=rng)
        if self.negatives_only_share:
            names = mixed(absent(self._negatives_only), names, share=self.negatives_only_share, rng=rng)
        self._take(names, chosen, count)
        if alone:
            self._take(chain(lost, others), chosen, 1)
        return chosen

    def _take(self, names: Iterator[str], chosen: list[str], count: int) -> None:
        """Fill up `chosen` to `count` names that mean different things."""
        while len(chosen) < count and (name := next(names, None)) is not None:
            if self.vocabulary.alike(name).isdisjoint(chosen):
                chosen.append(name)

    def _picture(self, segmented: SegmentationSample) -> Picture:
        seen: list[str] = []
        gone: list[str] = []
        for name, texts in segmented.expressions.items():
            (seen if name in segmented.masks else gone).extend(texts)
        return self.vocabulary.picture(
            segmented.masks,
            segmented.dataset,
            scene=segmented.scene,
            texts=seen,
            doubtful=[*gone, *(name for name in sorted(segmented.out_of_view) if name not in self.vocabulary)],
        )

    def _say(
        self, names: Sequence[str], expressions: Mapping[str, tuple[str, ...]], rng: np.random.Generator
    ) -> Iterator[str]:
        """Texts of the names: any of the sample's own expressions, or a phrase of the vocabulary.

        All that is said of an object is equally likely; with phrases, a class keeps its name half of the time.
        """
        for name in names:
            said = expressions.get(name, ())
            if self.phrases and name in self.vocabulary:
                ways = self._phrases_of(name)
                if said and (not ways or rng.random() < 0.5):
                    ways = said
                yield ways[rng.integers(len(ways))] if ways and rng.random() < REPHRASED else name
            else:
                yield (name, *said)[rng.integers(1 + len(said))] if said else name

    def _phrases_of(self, name: str) -> tuple[str, ...]:
        ways = self.vocabulary.phrases(name)
        if not ways or not self.removed:
            return ways
        if name not in self._ways:
            self._ways[name] = tuple(way for way in ways if not self.vocabulary.says(way, self.removed))
        return self._ways[name]

    def _frame_labels(self, pixels: np.ndarray, *, anomalous: bool) -> np.ndarray:
        """y^f of Eq. 2, float32 [T]."""
        if self.labels == "literal":
            return np.full(len(pixels), anomalous, dtype=np.float32)
        return np.asarray(pixels.any(axis=(1, 2)), dtype=np.float32)


def even_weights(
    sampler: AnomalyExposureSampler,
    mixture: Mixture,
    *,
    scale: tuple[float, float] | None = (0.35, 2.0),
    change: Callable[[SegmentationSample, np.random.Generator], SegmentationSample] | None = None,
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
        scale: zoom of the views in training; None: pictures are shown whole.
        change: what else training does to views that changes what they show.
        draws: samples to look at.
        seed: fixes the draws.
    """
    rng = np.random.default_rng(seed)
    weights = dict.fromkeys(mixture.names, 1.0)
    names = frozenset(mixture.names)
    true: Counter[str] = Counter()
    irrelevant: Counter[str] = Counter()
    own = {dataset.name: sampler.own_names(mixture.own_names(dataset.name)) for dataset in mixture.datasets}
    for _ in range(draws):
        sample = mixture.draw(rng)
        view = stretched(sample, size=VIEW) if scale is None else augment(sample, size=VIEW, rng=rng, scale=scale)
        view = view if change is None else change(view, rng)
        choice = sampler.choose(view, own[view.dataset], rng)
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
