"""Data sets of pictures with one label image each, whose pixel values are class numbers."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import ClassVar, Final

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.reading import (
    GrayLevels,
    Remark,
    folder,
    matching,
    of_split,
    read_indices,
    read_rgb,
)
from lavida.exposure.sample import SegmentationSample
from lavida.files import as_stored

IGNORE: Final = None  # a pixel without a label: neither this word nor that
BACKGROUND: Final = ""  # a pixel that shows none of the words
Legend = Mapping[int, str | None]


class LabelImageDataset:
    """Single frames with a label image; a data set of this kind only says where its files are and what they mean.

    A complete one, which a recipe names as `roads:Potholes` where it stands in `roads.py`:

        from lavida.exposure.datasets.label_images import BACKGROUND, IGNORE, LabelImageDataset

        class Potholes(LabelImageDataset):
            \"\"\"Roads with their damage.\"\"\"

            name = "potholes"
            images = "photos/{part}/*.jpg"
            labels = "damage/{part}/*.png"
            parts = {"train": ("train",), "heldout": ("validation",)}
            expected = {"train": {"images": 720}, "heldout": {"images": 80}}
            legend = {0: BACKGROUND, 1: "pothole", 2: "long crack", 3: "cross crack", 255: IGNORE}
            unions = {"crack": ("long crack", "cross crack")}

    Attributes:
        name: key of the data set.
        images: pattern of the pictures below the root; `{part}` is an official split, `*` a part of a name. Suffixes
            may be written in capitals.
        other_suffixes: those that pictures may have instead.
        labels: where the label image of a picture is; its stars stand for what those of `images` stand for, in order.
        layout: what the root holds, for people; made from the two patterns where it is not given.
        parts: split -> the official splits that it joins.
        expected: split -> official counts.
        legend: label value -> its word; several values may share one. Any other value is an error.
        unions: more general word -> the words that it covers, beside its own values where it has any. Later
            ones may name earlier ones; words that the legend lacks are passed over.
        vocabulary: all words, those of the legend first.
        levels: the one stretch of gray levels for pictures of 16 bits.

    Photos are upright, as their EXIF data turn them. A label image fits the upright photo, or by its size the stored
    one: then it is turned with it.

    Args:
        root: the data set's own folder.
        split: `train` or `heldout`.

    Raises:
        InputError: the split is unknown, a folder is missing or there is no picture. A missing or broken file of one
            sample is an error when that sample is read.
    """

    name: ClassVar[str]
    images: ClassVar[str]
    labels: ClassVar[str]
    other_suffixes: ClassVar[tuple[str, ...]] = ()
    layout: ClassVar[str]
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"train": ("train",), "heldout": ("val",)}
    expected: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    legend: Legend = {}
    unions: Mapping[str, tuple[str, ...]] = {}
    vocabulary: tuple[str, ...]
    levels: GrayLevels

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "images" in vars(cls) and "layout" not in vars(cls):
            parts = "|".join(part for group in cls.parts.values() for part in group)
            cls.layout = f"{cls.images}, {cls.labels}".replace("{part}", f"<{parts}>")

    def __init__(self, root: str | Path, split: str) -> None:
        self.root = Path(root)
        parts = of_split(self.parts, split, dataset=self.name)
        for pattern in (self.images, self.labels):
            for part in parts:
                folder(self.root / _fixed(pattern.format(part=part)), dataset=self.name, layout=self.layout)
        self.legend, self.unions = self.read_legend(), self.read_unions()
        self._samples = [(part, stars) for part in parts for stars in self.list_samples(part)]
        if not self._samples:
            raise InputError(f"{self.name} is empty: no {split} picture in {root}; its own folder holds {self.layout}")
        self.vocabulary = tuple(dict.fromkeys([*filter(None, self.legend.values()), *self._general_words()]))
        self._ignored = [value for value, word in self.legend.items() if word is IGNORE]
        self.levels = GrayLevels(self._all_pictures)

    def read_legend(self) -> Legend:
        """The legend; a data set that brings a list of its classes reads it here, below `self.root`."""
        return self.legend

    def read_unions(self) -> Mapping[str, tuple[str, ...]]:
        """The unions; called after `read_legend`, for a data set whose groups follow from its list of classes."""
        return self.unions

    def list_samples(self, part: str) -> Iterable[tuple[str, ...]]:
        """What the stars stand for in each sample of an official split; here one sample a picture, by its path."""
        return _stars_of(self.images.format(part=part), self.root, self.other_suffixes)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> SegmentationSample:
        part, stars = self._samples[index]
        image_path, label_path = self._paths(part, stars)
        image = read_rgb(image_path, levels=self.levels)
        labels = matching(image, read_indices(label_path), path=label_path, picture=image_path)
        masks = self._masks(labels, path=label_path)
        return SegmentationSample(
            frames=image[None],
            masks={word: masks[word][None] for word in self.vocabulary if word in masks},
            ignore=np.isin(labels, self._ignored)[None],
            dataset=self.name,
            key="/".join(stars if len(stars) > 1 else (part, *stars)),
        )

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self)}

    def files(self) -> Iterator[Path]:
        """The picture and the label image of every sample, whether they exist or not."""
        return (path for pair in self.pairs() for path in pair)

    def pairs(self) -> Iterator[tuple[Path, Path]]:
        """Picture and label image of every sample, whether they exist or not."""
        return (self._paths(part, stars) for part, stars in self._samples)

    def words(self, labels: Path) -> set[str]:
        """What a label image shows. Raises InputError where it cannot be read or has a value that is not known."""
        words = (self._word(value, path=labels) for value in _values(read_indices(labels)))
        shown = {word for word in words if word is not BACKGROUND and word is not IGNORE}
        for word, members in self.unions.items():
            if not shown.isdisjoint(members):
                shown.add(word)
        return shown

    def remarks(self) -> Iterator[Remark]:
        """What the listing of the files tells."""
        if self.labels.count("*") != self.images.count("*"):
            return
        parts = dict.fromkeys(part for part, _ in self._samples)
        pairs = (
            self._paths(part, stars) for part in parts for stars in _stars_of(self.labels.format(part=part), self.root)
        )
        if lost := [labels for picture, labels in pairs if not picture.exists()]:
            yield Remark(f"without a picture: {len(lost)} label files, first: {lost[0]}")

    def _all_pictures(self) -> Iterator[Path]:
        """The pictures of all splits that are there."""
        for part in dict.fromkeys(part for parts in self.parts.values() for part in parts):
            with suppress(InputError):  # a split that was not fetched
                yield from (self._paths(part, stars)[0] for stars in self.list_samples(part))

    def _paths(self, part: str, stars: tuple[str, ...]) -> tuple[Path, Path]:
        image, labels = (_filled(pattern.format(part=part), stars) for pattern in (self.images, self.labels))
        return as_stored(self.root / image, *self.other_suffixes), as_stored(self.root / labels)

    def _masks(self, labels: np.ndarray, *, path: Path) -> dict[str, np.ndarray]:
        """Word -> bool [H, W] for the words that have a pixel."""
        masks: dict[str, np.ndarray] = {}
        for value in _values(labels):
            if word := self._word(value, path=path):
                mask = labels == value
                masks[word] = masks[word] | mask if word in masks else mask
        for word, members in self.unions.items():
            covered = [masks[member] for member in (word, *members) if member in masks]
            if covered:
                masks[word] = reduce(np.logical_or, covered)
        return masks

    def _word(self, value: int, *, path: Path) -> str | None:
        if value not in self.legend:
            raise InputError(f"unknown label {value}: {path}; {self.name} has no such class, give its own labels")
        return self.legend[value]

    def _general_words(self) -> list[str]:
        """The words of the unions that cover something."""
        known = {word for word in self.legend.values() if word}
        for word, members in self.unions.items():
            if not known.isdisjoint((word, *members)):
                known.add(word)
        return [word for word in self.unions if word in known]


def _values(labels: np.ndarray) -> list[int]:
    """The values of a label image in order; for 8 and 16 bits without the sorting that `np.unique` does."""
    if labels.dtype.kind == "u":
        return np.flatnonzero(np.bincount(labels.ravel())).tolist()
    return np.unique(labels).tolist()


def _stars_of(pattern: str, root: Path, other_suffixes: Iterable[str] = ()) -> list[tuple[str, ...]]:
    """What the stars of a pattern stand for in each file, by its path."""
    stem, suffix = os.path.splitext(pattern)
    stem, suffix = (pattern, "") if "*" in suffix else (stem, suffix)
    # names that begin with a dot are not pictures but what operating systems leave behind
    stars = "([^/.][^/]*)".join(map(re.escape, stem.split("*")))
    suffixes = "|".join(map(re.escape, (suffix, *other_suffixes)))
    matches = re.compile(f"{stars}(?i:{suffixes})").fullmatch
    paths = (path.relative_to(root).as_posix() for path in sorted(root.glob(f"{stem}.*" if suffix else stem)))
    return list(dict.fromkeys(match.groups() for match in map(matches, paths) if match))


def _fixed(pattern: str) -> PurePosixPath:
    """The folders before the first star."""
    return PurePosixPath(pattern.partition("*")[0] + "*").parent


def _filled(pattern: str, stars: tuple[str, ...]) -> str:
    """The pattern with its stars replaced, in order."""
    for star in stars:
        pattern = pattern.replace("*", star, 1)
    return pattern
