"""The files of the `refer` data sets: `refs(*).p` says which objects a text means, `instances.json` where they are."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from pycocotools import mask as coco_rle

from lavida.errors import InputError
from lavida.exposure.datasets.reading import format_of, read_text

ObjectId = int | str  # 1733 in COCO, "8756_2" in SAIAPR TC-12
NO_OBJECT = -1  # how gRefCOCO says that a text is true of nothing
SMALLEST_POLYGON = 6  # numbers of a triangle
PERSONS = {"person", "persons", "man", "woman", "child", "boy", "girl"}


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
                union |= _decode(json.loads(self.outlines[each]), self.size)
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


def _decode(outline: Any, size: tuple[int, int]) -> np.ndarray:
    """Polygons, one run-length code or a list of them (SAIAPR TC-12) as bool [H, W]."""
    codes = outline if isinstance(outline, list) else [outline]
    codes = [code for code in codes if not isinstance(code, list) or len(code) >= SMALLEST_POLYGON]
    if not codes:
        return np.zeros(size, dtype=bool)
    if isinstance(codes[0], list) or isinstance(codes[0]["counts"], list):
        codes = coco_rle.frPyObjects(codes, *size)
    mask = coco_rle.decode(coco_rle.merge(codes)).astype(bool)
    if mask.shape != size:
        raise ValueError(f"its size is {mask.shape}, that of the picture {size}")
    return mask


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
