"""refCLEF, RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: pictures whose objects are described in free words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, matching, of_split, read_rgb
from lavida.exposure.datasets.refer_annotations import Picture, Reference, read_pictures, read_references
from lavida.exposure.datasets.referring import Expressions
from lavida.exposure.sample import Segmented

SPLITS = {"train": ("train",), "heldout": ("val",)}
COCO = "images/mscoco/images/train2014"
SAIAPR = "images/saiapr_tc-12"

Expected = Mapping[str, Mapping[str, int]]


class Refer:
    """One picture with everything that is said about it is one sample; `heldout` is the official val.

    The first expression of an object, or of a set of objects, names its mask; the others are names, too. One text for
    several objects is a target of its own, their union. The categories of all labelled objects of the picture are
    listed with an empty mask, since they are surely there. Texts that are true of nothing (gRefCOCO) are `left`.

    Args:
        root: folder that holds the folder of the annotations beside `images`, as the `refer` tools expect it.
        split: `train` or `heldout`.
        split_by: whose division into splits is used, as in the file name `refs(unc).p`; the first of `divisions`
            by default. Google's division puts other objects of the same pictures into train and val.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    divisions: ClassVar[dict[str, Expected]]  # expected counts of each
    expected: Expected
    annotations: ClassVar[str]  # folder below the root
    references: ClassVar[str] = "refs({}).p"
    pictures: ClassVar[str] = COCO

    def __init__(self, root: str | Path, split: str, *, split_by: str | None = None) -> None:
        (part,) = of_split(SPLITS, split, dataset=self.name)
        division = next(iter(self.divisions)) if split_by is None else split_by
        if division not in self.divisions:
            raise InputError(f"{self.name} is not split by {division!r}; use one of: {', '.join(self.divisions)}")
        self.expected = self.divisions[division]
        self._part = part
        files, pictures = (
            folder(Path(root) / name, dataset=self.name, layout=self.layout)
            for name in (self.annotations, self.pictures)
        )
        self._instances = files / "instances.json"
        self._references = read_references(files / self.references.format(division), split=part)
        if not self._references:
            raise InputError(f"{self.name} has no reference of split {part!r}: {files}; restore the official files")
        self._samples = list(_samples(self._references, read_pictures(self._instances, self._references), pictures))
        self.vocabulary = tuple(dict.fromkeys(text for sample in self._samples for text in sample.said.texts))

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Segmented:
        sample = self._samples[index]
        image = read_rgb(sample.path)
        nothing = np.zeros(sample.picture.size, dtype=bool)
        masks = {category: nothing for category in sorted(sample.picture.categories)}
        for text, objects in sample.said.targets.items():
            masks[text] = sample.picture.mask(objects, source=self._instances)
        fitting = {
            name: matching(image, mask, path=self._instances, picture=sample.path) for name, mask in masks.items()
        }
        return Segmented(
            frames=image[None],
            masks={name: mask[None] for name, mask in fitting.items()},
            ignore=None,
            dataset=self.name,
            key=f"{self._part}/{sample.path.stem}",
            expressions=sample.said.more,
            left=sample.said.absent.difference(masks),
        )

    def counts(self) -> dict[str, int]:
        """What the annotations name: pictures, references (one for each line of the refs file), expressions."""
        return {
            "images": len(self._samples),
            "references": len(self._references),
            "expressions": sum(len(reference.texts) for reference in self._references),
        }

    def files(self) -> Iterator[Path]:
        """The pictures; the annotation files have been read already."""
        return (sample.path for sample in self._samples)


@dataclass(frozen=True, slots=True)
class _Sample:
    path: Path
    picture: Picture
    said: Expressions


def _samples(references: Sequence[Reference], pictures: Mapping[int, Picture], root: Path) -> Iterator[_Sample]:
    """One sample a picture, in the order in which the references come to it."""
    about: dict[int, list[Reference]] = {}
    for reference in references:
        about.setdefault(reference.picture, []).append(reference)
    numbered_folders = (root / "00").is_dir()  # SAIAPR TC-12 as its authors pack it, not the copy for refCLEF
    for number, those in about.items():
        picture = pictures[number]
        name = f"{number // 1000:02d}/images/{number}.jpg" if numbered_folders else picture.file_name
        said = Expressions.of((text, reference.objects) for reference in those for text in reference.texts)
        yield _Sample(root / name, picture, said)


def _counted(train: tuple[int, int, int], heldout: tuple[int, int, int]) -> Expected:
    units = ("images", "references", "expressions")
    return {"train": dict(zip(units, train, strict=True)), "heldout": dict(zip(units, heldout, strict=True))}


class RefClef(Refer):
    """Photos of SAIAPR TC-12; what ReferItGame players wrote."""

    name = "refclef"
    layout = f"refclef/refs(unc).p, refclef/instances.json, {SAIAPR}/*.jpg (or {SAIAPR}/<NN>/images/*.jpg)"
    divisions = {"unc": {"heldout": {"images": 2000}}, "berkeley": {"heldout": {"images": 1000}}}
    expected = divisions["unc"]
    annotations = "refclef"
    pictures = SAIAPR


class RefCoco(Refer):
    """COCO photos; short expressions from a game."""

    name = "refcoco"
    layout = f"refcoco/refs(unc).p, refcoco/instances.json, {COCO}/*.jpg"
    divisions = {
        "unc": _counted((16994, 42404, 120624), (1500, 3811, 10834)),
        "google": {"train": {"images": 19213, "references": 40000}, "heldout": {"images": 4559, "references": 5000}},
    }
    expected = divisions["unc"]
    annotations = "refcoco"


class RefCocoPlus(Refer):
    """COCO photos; expressions without words of place."""

    name = "refcoco_plus"
    layout = f"refcoco+/refs(unc).p, refcoco+/instances.json, {COCO}/*.jpg"
    divisions = {"unc": _counted((16992, 42278, 120191), (1500, 3805, 10758))}
    expected = divisions["unc"]
    annotations = "refcoco+"


class RefCocoG(Refer):
    """COCO photos; whole sentences."""

    name = "refcocog"
    layout = f"refcocog/refs(umd).p, refcocog/instances.json, {COCO}/*.jpg"
    divisions = {
        "umd": _counted((21899, 42226, 80512), (1300, 2573, 4896)),
        "google": _counted((24698, 44822, 85474), (4650, 5000, 9536)),
    }
    expected = divisions["umd"]
    annotations = "refcocog"


class GRefCoco(Refer):
    """COCO photos; expressions of one object, of several, or of none."""

    name = "grefcoco"
    layout = f"grefcoco/grefs(unc).json, grefcoco/instances.json, {COCO}/*.jpg"
    # of the file that was released, which holds back the challenge's expressions
    divisions = {"unc": {"train": {"expressions": 209344}, "heldout": {"expressions": 16870}}}
    expected = divisions["unc"]
    annotations = "grefcoco"
    references = "grefs({}).json"
