"""Sets of photos with polygons in YOLO's text format, as annotation tools export them."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.coco_outlines import drawn
from lavida.exposure.datasets.reading import GrayLevels, Remark, files_in, folder, of_split, read_rgb
from lavida.exposure.datasets.yolo_layout import (
    CLASS_LISTS,
    PARTS,
    PICTURES,
    Listed,
    YoloLayout,
    check_reach,
    label_of,
    pictures_in,
    read_polygons,
)
from lavida.exposure.sample import SegmentationSample

SPLITS = {"train": ("train",), "heldout": ("val",)}
HELD_OUT_EVERY = 5  # of a set that nobody divided
NO_LABELS = {*CLASS_LISTS, *(f"{name}.txt" for names in PARTS.values() for name in names)}  # lie beside labels
Sample = tuple[str, Path, Path]  # key, picture, label file


class YoloPolygons:
    """Single photos; a photo without a label file, or with an empty one, shows none of the classes.

    The photos of the splits are those that `data.yaml` names as `train` and `val`: folders, text files that list
    photos, or several of them; else those in `images/train` and `images/val`. Of a set without a `val` (or `test`)
    every fifth photo is held out. The label file of a photo is found by putting `labels` for the last `images` in its
    path, else beside the photo. Polygons belong to the upright photo, as annotation tools show it.

    Args:
        root: folder with `data.yaml` (or `obj.data`), or with `classes.txt` (one name a line).

    Raises:
        InputError: there are no class names, a folder is missing or there is no photo. A broken line is an error when
            its sample is read.
    """

    name: ClassVar[str] = "yolo_polygons"
    layout: ClassVar[str] = "data.yaml (or classes.txt), images/<train|val>/*, labels/<train|val>/*.txt"
    expected: ClassVar[Mapping[str, Mapping[str, int]]] = {}  # as many as there are
    empty_labels: ClassVar[bool] = True  # of a background picture
    counted: ClassVar[bool] = False  # whether every thing has a line of its own
    vocabulary: tuple[str, ...]

    def __init__(self, root: str | Path, split: str) -> None:
        self.root = Path(root)
        (part,) = of_split(SPLITS, split, dataset=self.name)
        self._set = YoloLayout.of(self.root)
        self._classes = self.read_classes()
        self._undivided = False
        self._samples = list(self.list_samples(part))
        if not self._samples:
            mend = "name a `val` in data.yaml" if self._undivided else f"its own folder holds {self.layout}"
            raise InputError(f"{self.name} is empty: no {split} photo in {root}; {mend}")
        self.vocabulary = tuple(dict.fromkeys(self._classes.values()))
        self.levels = GrayLevels(self._all_pictures)

    def read_classes(self) -> Mapping[int, str]:
        """Class number -> its name, in plain words."""
        if "kpt_shape" in self._set.config:
            raise InputError(f"key points have no mask: {self._set.file} says `kpt_shape`; export polygons instead")
        names = self._set.names()
        if not names:
            raise InputError(f"no class names: {self.root}; {self.name} needs {self.layout}, with `names` in data.yaml")
        try:
            return {int(number): " ".join(name.replace("_", " ").lower().split()) for number, name in names.items()}
        except (ValueError, TypeError, AttributeError):
            raise InputError(f"`names` is no list of class names: {self._set.file}; mend it") from None

    def list_samples(self, part: str) -> Iterable[Sample]:
        """Key, picture and label file of each sample, in the order of the paths or of the list that names them."""
        samples = [(f"{part}/{name}", path, label_of(path, self.root)) for name, path in self._divided(part)]
        folders = dict.fromkeys(labels.parent for *_, labels in samples)
        if folders and not any(each.is_dir() for each in folders):
            folder(next(iter(folders)), dataset=self.name, layout=self.layout)
        return samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> SegmentationSample:
        key, image_path, label_path = self._samples[index]
        image = read_rgb(image_path, levels=self.levels)
        height, width = image.shape[:2]
        outlines: dict[str, list[list[float]]] = {}
        polygons = list(self._polygons(label_path))
        for name, corners in polygons:
            outlines.setdefault(name, []).append((corners * (width, height)).ravel().tolist())
        return SegmentationSample(
            frames=image[None],
            masks={name: drawn(each, (height, width))[None] for name, each in outlines.items()},
            ignore=None,
            dataset=self.name,
            key=key,
            counts=dict(Counter(name for name, _ in polygons)) if self.counted else {},
        )

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self)}

    def files(self) -> Iterator[Path]:
        """Every picture, and its label file where it has one: to have none is to show none of the classes."""
        return chain.from_iterable(self.pairs())

    def pairs(self) -> Iterator[tuple[Path, ...]]:
        """Every picture, whether it exists or not, with its label file where it has one."""
        for _, picture, labels in self._samples:
            yield (picture, labels) if labels.exists() else (picture,)

    def words(self, labels: Path) -> set[str]:
        """What a label file shows.

        Raises:
            InputError: a line is no polygon of a known class, or lies outside the photo by more than a little.
        """
        polygons = self._polygons(labels)
        check_reach(polygons, path=labels)
        return {name for name, _ in polygons}

    def remarks(self) -> Iterator[Remark]:
        """What the listing of the files tells."""
        if self._undivided:
            yield Remark(f"no `val`: every {HELD_OUT_EVERY}th photo of {self.root} is held out")
        without = [picture for _, picture, labels in self._samples if not labels.exists()]
        if without:
            count = f"without a label file: {len(without)} of {len(self)} photos"
            none = len(without) == len(self)
            why = "put the labels where `labels` stands for `images`" if none else "they show none of the classes"
            yield Remark(f"{count}, first: {without[0]}; {why}", wrong=none)
        if lost := self._labels_without_a_photo():
            yield Remark(f"without a photo: {len(lost)} label files, first: {lost[0]}")
        root = os.path.abspath(self.root) + os.sep
        outside = [picture for _, picture, _ in self._samples if not os.path.abspath(picture).startswith(root)]
        if outside:
            yield Remark(f"outside {self.root}: {len(outside)} photos, first: {outside[0]}")

    def _divided(self, part: str) -> Sequence[Listed]:
        """The photos of `train` or `val`."""
        held_out = self._set.pictures("val")
        if held_out is None:
            self._undivided = True
            listed = self._set.pictures("train")
            photos = self._all_in("images") if listed is None else listed
            return [each for place, each in enumerate(photos, 1) if (place % HELD_OUT_EVERY == 0) == (part == "val")]
        listed = held_out if part == "val" else self._set.pictures("train")
        return self._all_in("images/train") if listed is None else listed

    def _all_in(self, name: str) -> Sequence[Listed]:
        return pictures_in(folder(self.root / name, dataset=self.name, layout=self.layout))

    def _all_pictures(self) -> Iterator[Path]:
        """The photos of both splits, as far as they are there."""
        for (part,) in SPLITS.values():
            with suppress(InputError):  # a split that was not fetched
                yield from (picture for _, picture, _ in self.list_samples(part))

    def _polygons(self, labels: Path) -> list[tuple[str, np.ndarray]]:
        return read_polygons(labels, self._classes) if labels.exists() else []

    def _labels_without_a_photo(self) -> list[Path]:
        """Label files that lie beside those of the photos."""
        lost: list[Path] = []
        folders = {labels.parent: picture.parent for _, picture, labels in self._samples}
        for labels, pictures in sorted(folders.items()):
            if labels.is_dir() and pictures.is_dir():
                photos = {path.stem for path in pictures.iterdir() if path.suffix.lower() in PICTURES}
                texts = (path for path in files_in(labels, ".txt") if path.name not in NO_LABELS)
                lost += [path for path in texts if path.stem not in photos]
        return lost
