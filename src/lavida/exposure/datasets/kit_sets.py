"""The small public sets of one layout: `images/*.jpg`, `masks/*.png` with class numbers, their names in `classes.json`.

A set only says what its classes are called here and what is there without a mask of its own; what it labels
completely stands with the rules of the vocabulary (`vocabulary_sets.json`), its held-out pictures in `held_out.json`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.coco128 import Coco128
from lavida.exposure.datasets.label_images import BACKGROUND, IGNORE, LabelImageDataset, Legend
from lavida.exposure.datasets.reading import files_in, folder, format_of, of_split, read_rgb, read_text
from lavida.exposure.datasets.yolo_polygons import Sample
from lavida.exposure.sample import SegmentationSample

UNLABELLED = 255
ALONE = "alone"
PARTS = {"train": ("train",), "heldout": ("heldout",)}
Box = tuple[str, float, float, float, float]  # name; left, top, right and bottom in parts of the picture


@lru_cache(maxsize=1)
def _lists() -> dict[str, dict[str, list[str]]]:
    """Data set -> names of its pictures: `heldout`; where there are some, `unused`, in neither split, and `alone`."""
    text = (files("lavida.exposure.datasets") / "held_out.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = json.loads(text)
    return found


@lru_cache(maxsize=64)
def _listed(dataset: str, which: str) -> frozenset[str]:
    return frozenset(_lists().get(dataset, {}).get(which, ()))


def in_part(dataset: str, name: str, part: str) -> bool:
    """Whether the picture `name` (without extension) of a data set is in its part `train` or `heldout`."""
    return not is_unused(dataset, name) and (name in _listed(dataset, "heldout")) == (part == "heldout")


def is_unused(dataset: str, name: str) -> bool:
    """Whether a picture is in neither split: nearly the same one is in the other, or its label is wrong."""
    return name in _listed(dataset, "unused")


def counts_of(dataset: str, pictures: int) -> dict[str, Mapping[str, int]]:
    """How many of a data set's pictures are in which split."""
    held_out, unused = (len(_listed(dataset, which)) for which in ("heldout", "unused"))
    return {"train": {"images": pictures - held_out - unused}, "heldout": {"images": held_out}}


class KitSet(LabelImageDataset):
    """Single photos of one of these sets; the pictures named in `held_out.json` are held out.

    Attributes:
        pictures: how many the set has.
        says: class of `classes.json` -> its word, `BACKGROUND` or `IGNORE`; a class that is not named is its own word.
        also: word -> words of things that are surely there with it, though no mask shows all of them: they are
            listed with an empty mask, and so neither taught nor denied.
        reach: where more things of the kinds that are labelled may stand unlabelled: how far from the labelled ones, in
            heights of the picture, a pixel is known to show none; beyond it is ignored.
        partial: whether there may be such things; no view of a picture has surely lost a class then.

    Pictures in which nothing else stands, as somebody has seen, are listed as `alone`: all of their pixels count, and
    `alone` is the scene of their rules.

    Args:
        root: folder with `images`, `masks` and `classes.json`.
    """

    images = "images/*.jpg"
    labels = "masks/*.png"
    layout = "images/*.jpg, masks/*.png, classes.json"
    parts = PARTS
    pictures: ClassVar[int]
    says: ClassVar[Mapping[str, str | None]] = {}
    also: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    reach: ClassVar[float | None] = None
    partial: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.expected = counts_of(cls.name, cls.pictures)

    def read_legend(self) -> Legend:
        """The names of `classes.json`, of which the first is that of the background, as words."""
        path = self.root / "classes.json"
        with format_of(self.name, path):
            background, *names = json.loads(read_text(path, layout=self.layout))
        legend = {value: self.says.get(name, name) for value, name in enumerate(names, start=1)}
        return {0: self.says.get(background, BACKGROUND)} | legend | {UNLABELLED: IGNORE}

    def list_samples(self, part: str) -> Iterable[tuple[str, ...]]:
        """The pictures of one part of the only folder."""
        return [stars for stars in super().list_samples(part) if in_part(self.name, stars[0], part)]

    def __getitem__(self, index: int) -> SegmentationSample:
        sample = super().__getitem__(index)
        there = {other for word in sample.masks for other in self.also.get(word, ())}
        hidden = {word: np.zeros(sample.frames.shape[:3], dtype=bool) for word in sorted(there)}
        (_, (name,)) = self._samples[index]
        if name in _listed(self.name, ALONE):
            return replace(sample, key=f"{ALONE}/{name}", masks={**sample.masks, **hidden})
        ignore = sample.ignore
        if self.reach is not None and sample.masks:
            labelled = np.logical_or.reduce([mask[0] for mask in sample.masks.values()])
            beyond = ~within_reach(labelled, round(self.reach * len(labelled)))[None]
            ignore = beyond if ignore is None else ignore | beyond
        more = frozenset(sample.masks if self.partial or self.reach is not None else ())
        return replace(sample, key=name, masks={**sample.masks, **hidden}, ignore=ignore, partial=more)


class FireSmoke(KitSet):
    """Fire and smoke. What `boxes.json` marks beside them has no mask: it is there, and the box is ignored.

    So is smoke inside a box of fire: there the masks, which were made from the boxes, often take one for the other.
    """

    name = "fire_smoke"
    layout = f"{KitSet.layout}, boxes.json"
    pictures = 1292

    def __init__(self, root: str | Path, split: str) -> None:
        super().__init__(root, split)
        self._boxes = read_boxes(self.root / "boxes.json", dataset=self.name, layout=self.layout)

    def __getitem__(self, index: int) -> SegmentationSample:
        sample = super().__getitem__(index)
        ignore = np.zeros(sample.frames.shape[:3], dtype=bool) if sample.ignore is None else sample.ignore
        masks = dict(sample.masks)
        for name, *corners in self._boxes.get(sample.key, ()):
            box = box_mask(corners, sample.frames.shape[1:3])
            if name not in self.vocabulary:
                ignore = ignore | box
                masks[name] = np.zeros_like(ignore)
            elif name == "fire" and "smoke" in masks:
                ignore = ignore | (masks["smoke"] & box)
        return replace(sample, masks=masks, ignore=ignore)


class WeaponBoxes:
    """Photos of weapons of which only boxes are known.

    The box is the mask of its words and ignored at once: a prompt may ask for the weapon, which is there and nowhere
    outside the box, but no pixel says what shape it has.

    Args:
        root: folder with `images` and `boxes.json`.
    """

    name = "weapon_boxes"
    layout = "images/*.jpg, boxes.json"
    expected = counts_of(name, 560)
    unions: ClassVar[Mapping[str, tuple[str, ...]]] = {"gun": ("pistol", "rifle")}

    def __init__(self, root: str | Path, split: str) -> None:
        (part,) = of_split(PARTS, split, dataset=self.name)
        self.root = Path(root)
        images = folder(self.root / "images", dataset=self.name, layout=self.layout)
        self._paths = [path for path in files_in(images, ".jpg") if in_part(self.name, path.stem, part)]
        self._boxes = read_boxes(self.root / "boxes.json", dataset=self.name, layout=self.layout)
        if not self._paths:
            raise InputError(f"{self.name} is empty: no {split} picture in {root}; its own folder holds {self.layout}")
        self.vocabulary = ("grenade", "gun", "knife", "pistol", "rifle")

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> SegmentationSample:
        path = self._paths[index]
        frames = read_rgb(path)[None]
        masks: dict[str, np.ndarray] = {}
        for name, *corners in self._boxes.get(path.stem, ()):
            box = box_mask(corners, frames.shape[1:3])[None]
            for word in (name, *(union for union, members in self.unions.items() if name in members)):
                masks[word] = masks[word] | box if word in masks else box
        ignore = np.logical_or.reduce([np.zeros(frames.shape[:3], dtype=bool), *masks.values()])
        return SegmentationSample(frames=frames, masks=masks, ignore=ignore, dataset=self.name, key=path.stem)

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self)}

    def files(self) -> Iterator[Path]:
        """The pictures; their boxes are in one file, which is read at once."""
        return iter(self._paths)


class CocoMini(Coco128):
    """Photos of COCO with polygons of the 80 classes; those named in `held_out.json` are held out.

    Args:
        root: folder with `images` and `labels`.
    """

    name = "coco_mini"
    layout = "images/*.jpg, labels/*.txt"
    expected = counts_of(name, 352)

    def list_samples(self, part: str) -> Iterable[Sample]:
        """The photos of one part of the only folder."""
        images, labels = (
            folder(self.root / name, dataset=self.name, layout=self.layout) for name in ("images", "labels")
        )
        for path in files_in(images, ".jpg"):
            if in_part(self.name, path.stem, "train" if part == "train" else "heldout"):
                yield path.stem, path, labels / f"{path.stem}.txt"


def within_reach(mask: np.ndarray, pixels: int) -> np.ndarray:
    """bool [H, W]: what is in a mask or at most so many pixels from it, straight or diagonally."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def read_boxes(path: Path, *, dataset: str, layout: str) -> Mapping[str, list[Box]]:
    """Name of a picture -> its boxes. Raises InputError where the file is missing or in another format."""
    text = read_text(path, layout=layout)
    with format_of(dataset, path):
        found: dict[str, list[Box]] = {}
        for picture, boxes in json.loads(text).items():
            found[picture] = [(str(name), float(x0), float(y0), float(x1), float(y1)) for name, x0, y0, x1, y1 in boxes]
            if not all(0 <= min(box[1:]) <= max(box[1:]) <= 1 for box in found[picture]):
                raise ValueError(f"{picture} has a box that is not name, x0, y0, x1, y1 in 0..1")
        return found


def box_mask(corners: Iterable[float], size: tuple[int, ...]) -> np.ndarray:
    """bool [H, W]: the pixels that a box in parts of the picture touches."""
    (height, width), (left, top, right, bottom) = size, corners
    mask = np.zeros((height, width), dtype=bool)
    rows = slice(int(top * height), int(np.ceil(bottom * height)))
    mask[rows, int(left * width) : int(np.ceil(right * width))] = True
    return mask
