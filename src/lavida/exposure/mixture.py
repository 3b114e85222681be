"""Mixture of data sets: draws training samples by weight and keeps the decoded ones in memory.

Categories can be removed from it altogether, to be asked at test as words that were never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.sample import SegmentationDataset, SegmentationSample
from lavida.exposure.vocabulary import Vocabulary

CACHE_BYTES = 2 << 30


class Mixture:
    """Samples of several data sets, by weight.

    Attributes:
        datasets: what is drawn from.
        names: all names that occur in them and may be used, each once.
        removal: what takes the removed categories out of samples.

    Args:
        datasets: what to draw from.
        weights: one positive number a data set, in any unit.
        cache: whether decoded samples stay in memory (masks as bits) until `CACHE_BYTES` are full.
        max_side: longer pictures are reduced to this many pixels when they are loaded.
        removed: categories that training must not use: no name says them, their pixels are ignored, and their
            samples list them with an empty mask, so that they are not called absent either.
        known: removed categories that other mixtures have and this one may lack.
        vocabulary: tells which expressions say a removed category; the built-in one by default.

    Raises:
        InputError: the weights do not fit, or no data set has a removed category.
    """

    def __init__(
        self,
        datasets: Sequence[SegmentationDataset],
        weights: Sequence[float],
        *,
        cache: bool = True,
        max_side: int = 640,
        removed: Collection[str] = (),
        known: Collection[str] = (),
        vocabulary: Vocabulary | None = None,
    ) -> None:
        if len(datasets) != len(weights) or not datasets or min(weights) <= 0:
            raise InputError(f"{len(datasets)} data sets have weights {list(weights)}; give each a positive one")
        self.datasets = tuple(datasets)
        self._shares = np.asarray(weights, dtype=float) / np.sum(weights)
        self._max_side = max_side
        self._packed: dict[tuple[int, int], _Packed] = {}
        self._room = CACHE_BYTES if cache else 0
        self.removal = Removal(removed, Vocabulary.builtin() if vocabulary is None else vocabulary)
        all_names = [name for dataset in self.datasets for name in dataset.vocabulary]
        if missing := [name for name in self.removal.missing(all_names) if name not in known]:
            raise InputError(f"removed category {missing[0]!r} is in no data set of the mixture; check its spelling")
        self._own_names: dict[str, tuple[str, ...]] = {}
        for dataset in self.datasets:
            names = (*self._own_names.get(dataset.name, ()), *dataset.vocabulary)
            self._own_names[dataset.name] = self.removal.kept(names)
        self.names: tuple[str, ...] = self.removal.kept(all_names)

    def own_names(self, dataset: str) -> tuple[str, ...]:
        """The names of one data set of the mixture that may be used."""
        return self._own_names[dataset]

    def draw(self, rng: np.random.Generator) -> SegmentationSample:
        """One sample: a data set by weight, then any of its samples."""
        return self.draw_from(int(rng.choice(len(self.datasets), p=self._shares)), rng)

    def draw_from(self, which: int, rng: np.random.Generator) -> SegmentationSample:
        """Any sample of the data set of this number."""
        index = int(rng.integers(len(self.datasets[which])))
        packed = self._packed.get((which, index))
        if packed is not None:
            return packed.unpack()
        segmented = self.removal.apply(shrink(self.datasets[which][index], max_side=self._max_side))
        if self._room > 0:
            packed = _Packed.of(segmented)
            self._room -= packed.nbytes
            self._packed[which, index] = packed
        return segmented


def each_once(draw: Callable[[], SegmentationSample], draws: int) -> Iterator[SegmentationSample]:
    """Those of so many drawn samples that differ by data set or key."""
    seen = set()
    for sample in (draw() for _ in range(draws)):
        if (sample.dataset, sample.key) not in seen:
            seen.add((sample.dataset, sample.key))
            yield sample


class Removal:
    """Takes names out of samples.

    Args:
        names: the removed categories.
        vocabulary: tells which free texts say one of them.
    """

    def __init__(self, names: Collection[str], vocabulary: Vocabulary) -> None:
        self.names = frozenset(names)
        self._vocabulary = vocabulary

    def __bool__(self) -> bool:
        return bool(self.names)

    def concerns(self, name: str) -> bool:
        """Whether `name` may not be used: a removed class, or a free text that says one."""
        return name in self.names or (name not in self._vocabulary and self._vocabulary.says(name, self.names))

    def kept(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names that may be used, each once."""
        return tuple(name for name in dict.fromkeys(names) if not (self and self.concerns(name)))

    def missing(self, names: Iterable[str]) -> list[str]:
        """The removed categories that none of `names` is or says."""
        missing = {name: Removal([name], self._vocabulary) for name in sorted(self.names)}
        for text in names:
            for found in [name for name, alone in missing.items() if alone.concerns(text)]:
                del missing[found]
            if not missing:
                break
        return list(missing)

    def apply(self, segmented: SegmentationSample) -> SegmentationSample:
        """The sample without them: listed with an empty mask, since they are there, and their pixels ignored."""
        gone = [name for name in segmented.masks if self and self.concerns(name)]
        if not self or not (gone or segmented.expressions or segmented.out_of_view):
            return segmented
        hidden = np.logical_or.reduce([segmented.masks[name] for name in gone]) if gone else None
        masks = {name: np.zeros_like(mask) if name in gone else mask for name, mask in segmented.masks.items()}
        expressions = {
            name: tuple(text for text in texts if not self._vocabulary.says(text, self.names))
            for name, texts in segmented.expressions.items()
            if name not in gone
        }
        ignore = segmented.ignore
        if hidden is not None:
            ignore = hidden if ignore is None else ignore | hidden
        return replace(
            segmented,
            masks=masks,
            ignore=ignore,
            expressions=expressions,
            out_of_view=frozenset(self.kept(sorted(segmented.out_of_view))),
        )


def shrink(segmented: SegmentationSample, *, max_side: int) -> SegmentationSample:
    """The sample with its longer side at most `max_side` pixels."""
    height, width = segmented.frames.shape[1:3]
    if max(height, width) <= max_side:
        return segmented
    ratio = max_side / max(height, width)
    height, width = max(1, round(height * ratio)), max(1, round(width * ratio))

    def smaller(planes: np.ndarray, how: Image.Resampling) -> np.ndarray:
        return np.stack([np.asarray(Image.fromarray(plane).resize((width, height), how)) for plane in planes])

    nearest = Image.Resampling.NEAREST
    return replace(
        segmented,
        frames=smaller(segmented.frames, Image.Resampling.BOX),
        before=None if segmented.before is None else smaller(segmented.before, Image.Resampling.BOX),
        masks={name: smaller(mask, nearest) for name, mask in segmented.masks.items()},
        ignore=None if segmented.ignore is None else smaller(segmented.ignore, nearest),
    )


@dataclass(frozen=True, slots=True)
class _Packed:
    """A sample with eight mask pixels a byte."""

    sample: SegmentationSample  # without masks and ignore
    bits: dict[str, np.ndarray]
    ignore: np.ndarray | None

    @classmethod
    def of(cls, segmented: SegmentationSample) -> _Packed:
        return cls(
            sample=replace(segmented, masks={}, ignore=None),
            bits={name: np.packbits(mask) for name, mask in segmented.masks.items()},
            ignore=None if segmented.ignore is None else np.packbits(segmented.ignore),
        )

    @property
    def nbytes(self) -> int:
        values = (*(getattr(self.sample, field.name) for field in fields(self.sample)), self.ignore)
        return sum(array.nbytes for array in (*values, *self.bits.values()) if isinstance(array, np.ndarray))

    def unpack(self) -> SegmentationSample:
        shape = self.sample.frames.shape[:3]  # [T, H, W]

        def mask(bits: np.ndarray) -> np.ndarray:
            return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)

        return replace(
            self.sample,
            masks={name: mask(bits) for name, bits in self.bits.items()},
            ignore=None if self.ignore is None else mask(self.ignore),
        )
