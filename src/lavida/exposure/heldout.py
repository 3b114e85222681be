"""The exposure test's questions: fixed prompts over held-out samples, each sample read once for all of its prompts."""

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lavida.errors import InputError
from lavida.exposure.sample import SegmentationDataset, SegmentationSample
from lavida.exposure.vocabulary import Vocabulary

CATEGORIES = 5
MIN_AREA = 0.005
_REMOVED_STREAM = 1  # keeps the draws of the removed categories apart from those of a sample's own prompts


@dataclass(frozen=True, slots=True)
class Query:
    """Categories to ask of one sample.

    Attributes:
        index: the sample's index in its data set.
        categories: canonical names in random order.
        positive: the one category that is there, or None where none is.
    """

    index: int
    categories: tuple[str, ...]
    positive: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """One sample and everything that is asked of it.

    Attributes:
        sample: the picture, or clip, with its masks.
        index: its index in the data set.
        prompts: one with a present class, where one is large enough, and one with absent names alone; times the seeds.
        removed: likewise for every class shown that was removed from training.
        valid: whether IoU counts only pixels with a label.
    """

    sample: SegmentationSample
    index: int
    prompts: tuple[Query, ...]
    removed: tuple[Query, ...]
    valid: bool = False


class HeldoutQuestions:
    """Reads samples one by one and draws their prompts; a sample's prompts depend on the seed and its index alone.

    Args:
        dataset: held-out samples, or training samples for a baseline that learns by the same rule.
        vocabulary: names and conflicts.
        asked: indices of the samples that get prompts of their own.
        removed: names removed from training; any sample of the data set that shows one is then asked for it.
        seeds: one pair of prompts for each.
        names: asked as absent, too, beside those of the vocabulary.
        valid: of the questions.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        *,
        vocabulary: Vocabulary,
        asked: Collection[int],
        removed: Collection[str] = (),
        seeds: Sequence[int] = (0,),
        names: Sequence[str] = (),
        valid: bool = False,
    ) -> None:
        self._dataset, self._vocabulary, self._seeds = dataset, vocabulary, seeds
        self._names, self._valid = tuple(names), valid
        self._asked, self._removed = frozenset(asked), frozenset(removed)
        # what a sample shows is known only when it is read
        self._read = range(len(dataset)) if self._removed else sorted(self._asked)

    def __len__(self) -> int:
        """How many samples are read."""
        return len(self._read)

    def __iter__(self) -> Iterator[Question]:
        words = self._vocabulary
        for index in self._read:
            sample = self._dataset[index]
            own, removed = [], []
            for seed in self._seeds:
                if index in self._asked:
                    own += sample_prompts(sample, index, vocabulary=words, seed=seed, names=self._names)
                if self._removed:
                    removed += removed_prompts(sample, index, vocabulary=words, removed=self._removed, seed=seed)
            yield Question(sample, index, tuple(own), tuple(removed), self._valid)


def evenly_spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` of the indices below `count`, evenly spread over them."""
    kept = count if limit is None else min(limit, count)
    return np.linspace(0, count - 1, kept).round().astype(int).tolist()


def heldout_prompts(
    dataset: SegmentationDataset, *, vocabulary: Vocabulary, seed: int = 0, limit: int | None = None
) -> list[Query]:
    """The prompts of at most `limit` samples, spread evenly over the data set; every sample is read for it."""
    asked = evenly_spread(len(dataset), limit)
    questions = HeldoutQuestions(dataset, vocabulary=vocabulary, asked=asked, seeds=(seed,))
    return [prompt for question in questions for prompt in question.prompts]


def sample_prompts(
    sample: SegmentationSample, index: int, *, vocabulary: Vocabulary, seed: int = 0, names: Sequence[str] = ()
) -> list[Query]:
    """Two prompts: one present class among absent names, and absent names alone.

    The positive needs a class of at least `MIN_AREA` of some frame; without one only the negative is given.
    Absent names come from the whole vocabulary, and from `names`, less its conflicts.

    Raises:
        InputError: fewer than `CATEGORIES` names are surely absent.
    """
    rng = np.random.default_rng((seed, index))
    absent = _absent(sample, vocabulary, names)
    prompts = []
    if large := _large(sample):
        positive = large[rng.integers(len(large))]
        prompts.append(_among(positive, rng.choice(absent, CATEGORIES - 1, replace=False).tolist(), index, rng))
    negative = rng.choice(absent, CATEGORIES, replace=False).tolist()
    prompts.append(Query(index, tuple(negative), None))
    return prompts


def removed_prompts(
    sample: SegmentationSample, index: int, *, vocabulary: Vocabulary, removed: Collection[str], seed: int = 0
) -> list[Query]:
    """Two prompts for each removed class that covers at least `MIN_AREA` of some frame.

    The positive holds it among absent names. The negative holds absent names, one of them removed where one is
    surely absent: a removed word alone must not give the answer away. All other names were in training.
    """
    shown = [name for name in _large(sample) if name in removed]
    if not shown:
        return []
    rng = np.random.default_rng((seed, index, _REMOVED_STREAM))
    absent = _absent(sample, vocabulary)
    trained = [name for name in absent if name not in removed]
    opposite = [name for name in absent if name in removed]
    if len(trained) < CATEGORIES:
        raise _too_few(sample)
    prompts = []
    for positive in shown:
        prompts.append(_among(positive, rng.choice(trained, CATEGORIES - 1, replace=False).tolist(), index, rng))
        negative = rng.choice(trained, CATEGORIES, replace=False).tolist()
        if opposite:
            negative[rng.integers(CATEGORIES)] = opposite[rng.integers(len(opposite))]
        prompts.append(Query(index, tuple(negative), None))
    return prompts


def _among(positive: str, others: list[str], index: int, rng: np.random.Generator) -> Query:
    return Query(index, tuple(rng.permutation([positive, *others]).tolist()), positive)


def _large(sample: SegmentationSample) -> list[str]:
    return [name for name, mask in sample.masks.items() if mask.mean(axis=(1, 2)).max() >= MIN_AREA]


def _absent(sample: SegmentationSample, vocabulary: Vocabulary, names: Sequence[str] = ()) -> list[str]:
    # what is said of an object that is named by a text alone may speak of more than its name does
    texts = [text for name, said in sample.expressions.items() if name not in vocabulary for text in said]
    picture = vocabulary.picture(sample.masks, sample.dataset, scene=sample.scene, texts=texts)
    absent = [name for name in dict.fromkeys((*vocabulary.names, *names)) if name not in picture.names]
    if len(absent) < CATEGORIES:
        raise _too_few(sample)
    return absent


def _too_few(sample: SegmentationSample) -> InputError:
    return InputError(
        f"{sample.dataset}/{sample.key}: fewer than {CATEGORIES} names are surely absent; "
        "add names of other things to the vocabulary or remove fewer"
    )


def __getattr__(name: str) -> type:
    """The name of one version ago."""
    if name != "Prompt":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("Prompt is now called Query", DeprecationWarning, stacklevel=2)
    return Query
