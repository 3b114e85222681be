"""refCLEF, RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: pictures whose objects are described in free words.

`refs(*).p` says which objects a text means, `instances.json` where they are.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import Expressions
from lavida.exposure.datasets.coco_outlines import drawn
from lavida.exposure.datasets.reading import folder, format_of, matching, of_split, read_rgb, read_text
from lavida.exposure.sample import SegmentationSample

SPLITS = {"train": ("train",), "heldout": ("val",)}
COCO = "images/mscoco/images/train2014"
SAIAPR = "images/saiapr_tc-12"
ObjectId = int | str  # 1733 in COCO, "8756_2" in SAIAPR TC-12
NO_OBJECT = -1  # how gRefCOCO says that a text is true of nothing
PERSONS = {"person", "persons", "man", "woman", "child", "boy", "girl"}
Expected = Mapping[str, Mapping[str, int]]


class Refer:
    """One picture with everything that is said about it is one sample; `heldout` is the official val.

    The first expression of an object, or of a set of objects, names its mask; the others are names, too. One text for
    several objects is a target of its own, their union. The categories of all labelled objects of the picture are
    listed with an empty mask, since they are surely there. Texts that are true of nothing (gRefCOCO) are `out_of_view`.

    Args:
        root: folder that holds the folder of the annotations beside `images`, as the `refer` tools expect it.
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

    def __getitem__(self, index: int) -> SegmentationSample:
        sample = self._samples[index]
        image = read_rgb(sample.path)
        nothing = np.zeros(sample.picture.size, dtype=bool)
        masks = dict.fromkeys(sorted(sample.picture.categories), nothing)
        for text, objects in sample.said.targets.items():
            masks[text] = sample.picture.mask(objects, source=self._instances)
        fitting = {
            name: matching(image, mask, path=self._instances, picture=sample.path) for name, mask in masks.items()
        }
        return SegmentationSample(
            frames=image[None],
            masks={name: mask[None] for name, mask in fitting.items()},
            ignore=None,
            dataset=self.name,
            key=f"{self._part}/{sample.path.stem}",
            expressions=sample.said.more,
            out_of_view=sample.said.absent.difference(masks),
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


@dataclass(frozen=True, slots=True)
class _Sample:
    path: Path
    picture: Picture
    said: Expressions[ObjectId]


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


@dataclass(frozen=True, slots=True)
class Reference:
    """Texts that mean the same: one object, several, or none.

    Attributes:
        picture: id of the picture.
        objects: ids of the objects; empty where the texts are true of nothing.
        texts: the expressions; some are empty in the official files.
    """

    picture: int
    objects: frozenset[ObjectId]
    texts: tuple[str, ...]


@dataclass(slots=True)
class Picture:
    """A picture with its objects.

    Attributes:
        file_name: as `instances.json` gives it.
        size: height and width.
        categories: what is labelled in it, in plain words.
        outlines: object -> polygons or run lengths as JSON text, which takes a fraction of the decoded lists.
    """

    file_name: str
    size: tuple[int, int]
    categories: set[str] = field(default_factory=set)
    outlines: dict[ObjectId, str] = field(default_factory=dict)

    def mask(self, objects: Iterable[ObjectId], *, source: Path) -> np.ndarray:
        """The union of the objects, bool [H, W]. Raises InputError naming `source` and the object."""
        union = np.zeros(self.size, dtype=bool)
        for each in objects:
            try:
                union |= drawn(json.loads(self.outlines[each]), self.size)
            except Exception as error:  # pycocotools raises bare Exceptions
                raise InputError(
                    f"cannot draw object {each} of {self.file_name}: {source} ({error}); restore the data set"
                ) from None
        return union


def read_references(path: Path, *, split: str) -> list[Reference]:
    """The references of one official split, from a pickle or a JSON file.

    Raises:
        InputError: the file is missing, is not in the format, or is a pickle of more than plain data.
    """
    entries = _json(path) if path.suffix == ".json" else _plain_pickle(path)
    with format_of("the refer data", path):
        return [_reference(entry) for entry in entries if entry["split"] == split]


def _reference(entry: dict[str, Any]) -> Reference:
    objects = entry["ann_id"] if isinstance(entry["ann_id"], list) else [entry["ann_id"]]
    return Reference(
        picture=entry["image_id"],
        objects=frozenset(each for each in objects if each != NO_OBJECT),
        texts=tuple(sentence["sent"].strip() for sentence in entry["sentences"]),
    )


def read_pictures(path: Path, references: Sequence[Reference]) -> dict[int, Picture]:
    """The pictures that are referred to, by id, with the outlines of the objects that are meant.

    Raises:
        InputError: the file is missing, not in the format, or lacks a picture or an object of `references`.
    """
    meant: dict[int, set[ObjectId]] = {}
    for reference in references:
        meant.setdefault(reference.picture, set()).update(reference.objects)
    content = _json(path)
    with format_of("the refer data", path):
        names = {category["id"]: category["name"] for category in content["categories"]}
        pictures = {
            image["id"]: Picture(image["file_name"], (image["height"], image["width"]))
            for image in content["images"]
            if image["id"] in meant
        }
        for annotation in content["annotations"]:
            if (picture := pictures.get(annotation["image_id"])) is None:
                continue
            picture.categories.update(_words(names[annotation["category_id"]]))
            if annotation["id"] in meant[annotation["image_id"]]:
                picture.outlines[annotation["id"]] = json.dumps(annotation["segmentation"])
    for number, objects in meant.items():
        if number not in pictures:
            raise InputError(f"picture {number} is referred to but not in {path}; restore both annotation files")
        for lost in objects - pictures[number].outlines.keys():
            raise InputError(f"object {lost} is referred to but not in {path}; restore both annotation files")
    return pictures


def _words(category: str) -> Iterator[str]:
    """A category as people say it, and what it surely is; SAIAPR TC-12 has names like `sky-blue`, `child-boy`."""
    words = category.lower().replace("-", " ").replace("_", " ").split()
    yield " ".join(words)
    if PERSONS & set(words):
        yield "person"
    if words[0] == "sky":
        yield "sky"


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, dictionaries, texts and numbers. A pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it would run {module}.{name}")


def _plain_pickle(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            # the official files were written by Python 2, whose plain strings are bytes
            return _PlainUnpickler(file, encoding="utf-8", errors="replace").load()
    except FileNotFoundError:
        raise InputError(f"file is missing: {path}; restore the data set") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"not a pickle of plain data: {path} ({reason}); restore the official file") from None


def _json(path: Path) -> Any:
    with format_of("the refer data", path):
        return json.loads(read_text(path))
