"""Sets in YOLO's format: where pictures and labels are (Ultralytics, CVAT, Roboflow, Label Studio), and label files.

A label file has a line an object, `class x1 y1 x2 y2 ...` in parts of the width and height.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from lavida.errors import InputError
from lavida.exposure.datasets.reading import read_text
from lavida.files import as_stored
from lavida.video.picture_file import IMAGE_SUFFIXES

CONFIG, DARKNET_CONFIG = "data.yaml", "obj.data"
CLASS_LISTS = ("classes.txt", "obj.names")
# what tools call the two splits; CVAT writes the subsets as their user wrote them, `Train` for one
PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "test")}
PICTURES = IMAGE_SUFFIXES | {".mpo"}
CORNERS = 3  # the least that a polygon has
BOX = 4  # numbers: centre, width and height
FAR = 1.0  # widths or heights beyond the photo: no polygon reaches so far, one in pixels does
LITTLE = 0.1  # what tools let people draw over the border

Listed = tuple[str, Path]  # name of a picture inside its folder, without suffix; the picture


@dataclass(frozen=True)
class YoloLayout:
    """What the files in the root of a set say of the others.

    Attributes:
        root: the data set's own folder.
        file: `data.yaml`, the only other .yaml, or `obj.data`; None where there is none.
        config: its content.
    """

    root: Path
    file: Path | None
    config: Mapping[str, Any]

    @classmethod
    def of(cls, root: Path) -> YoloLayout:
        """The layout of the set in `root`. Raises InputError where its configuration cannot be read."""
        file = _config_file(root)
        if file is None:
            return cls(root, None, {})
        return cls(root, file, _darknet_config(file) if file.name == DARKNET_CONFIG else _yaml_config(file))

    def names(self) -> Mapping[int, Any] | None:
        """Class number -> name as it is written; None where no file tells."""
        names = self.config.get("names")
        if isinstance(names, str):
            path = self.finder()(names)
            if path is None or not path.is_file():
                raise InputError(f"`names` is {names!r}, which is no file: {self.file}; list the names of the classes")
            return _listed_names(path)
        if names:
            if not isinstance(names, list | dict):
                raise InputError(f"`names` is {names!r}: {self.file}; list the names of the classes")
            return names if isinstance(names, dict) else dict(enumerate(names))
        lists = (self.root / name for name in CLASS_LISTS)
        return next((_listed_names(path) for path in lists if path.is_file()), None)

    def pictures(self, part: str) -> list[Listed] | None:
        """The pictures of `train` or `val` in order, whether they exist or not; None where nothing tells of that part.

        Raises:
            InputError: a folder or list that is named does not exist.
        """
        entries = self._named(part)
        if entries is None:
            usual = (self.root / each for name in PARTS[part] for each in (f"images/{name}", f"{name}/images"))
            found = next((each for each in usual if each.is_dir()), None)
            return None if found is None else pictures_in(found)
        find = self.finder()
        listed = [each for entry in entries for each in self._of_entry(entry, find(entry), part=part)]
        return list({path: (name, path) for name, path in listed}.values())

    def finder(self, beside: Path | None = None) -> PathFinder:
        """Finds what `train`, `val` and lists of pictures name; for the lines of a list, `beside` is its folder."""
        places = [self.root] if beside is None else [beside, self.root]
        if isinstance(given := self.config.get("path"), str):
            inner = self.root / given.replace("\\", "/")
            if inner.is_dir() and inner.resolve().is_relative_to(self.root.resolve()):
                places = [inner, *places] if inner.resolve() != self.root.resolve() else places
            else:  # the folder that the user gives is the set; what lies elsewhere may be another copy of it
                places += [inner, Path(given), *(folder / given for folder in _ultralytics_folders())]
        return PathFinder(tuple(dict.fromkeys(places)), self.root)

    def _named(self, part: str) -> list[str] | None:
        """What the configuration names for a part: folders of pictures, lists of them."""
        keys = {str(key).lower(): key for key in self.config}
        key = next((keys[name] for name in PARTS[part] if name in keys and self.config[keys[name]]), None)
        if key is None:
            return None
        given = self.config[key]
        entries = given if isinstance(given, list) else [given]
        if not all(isinstance(each, str) for each in entries):
            raise InputError(f"`{key}` is {given!r}: {self.file}; name a folder of pictures, or a list of them")
        return entries

    def _of_entry(self, entry: str, path: Path | None, *, part: str) -> list[Listed]:
        if path is None:
            where = f"{self.root / entry}, which is `{part}` of {self.file}"
            raise InputError(f"no folder and no list of pictures: {where}; mend it, or give the folder that holds it")
        if path.is_dir():
            return pictures_in(path)
        find = self.finder(path.parent)
        lines = (line.strip() for line in read_text(path).splitlines())
        paths = [find(line) or find.expected(line) for line in lines if PurePosixPath(line).suffix.lower() in PICTURES]
        top = os.path.commonpath([os.path.abspath(each.parent) for each in paths]) if paths else ""
        return [(_name(Path(os.path.abspath(each)), top), each) for each in paths]


@dataclass
class PathFinder:
    r"""Finds files by the paths that a tool wrote, on this machine or on another one.

    Args:
        places: folders that a relative path may start from, most likely first.
        root: below it the longest end of a path is looked for that exists there: `/home/ann/yard/images/a.jpg` is
            `images/a.jpg`, and so are `data/images/a.jpg`, `../images/a.jpg` and `C:\\yard\\images\\a.jpg`.
    """

    places: tuple[Path, ...]
    root: Path
    _dropped: int = field(default=0, init=False)  # steps that the last path had too many; the next has as many

    def __call__(self, text: str) -> Path | None:
        """The file or folder, or None where there is none."""
        parts = _parts(text)
        candidates = (place.joinpath(*parts) for place in self.places)
        if self._dropped and os.path.exists(path := self._ending(parts, self._dropped)):
            return path
        if found := next(filter(os.path.exists, candidates), None):
            return found
        for dropped in range(1, len(parts)):
            if os.path.exists(path := self._ending(parts, dropped)):
                self._dropped = dropped
                return path
        return None

    def expected(self, text: str) -> Path:
        """Where a missing file should be."""
        parts = _parts(text)
        return self._ending(parts, self._dropped) if self._dropped else self.places[0].joinpath(*parts)

    def _ending(self, parts: tuple[str, ...], dropped: int) -> Path:
        return self.root.joinpath(*parts[min(dropped, len(parts) - 1) :])


def label_of(picture: Path, root: Path) -> Path:
    """The label file of a picture: `labels` for the last `images` among its folders; without one beside the picture."""
    inside = picture.is_relative_to(root)
    steps = list((picture.relative_to(root) if inside else picture).parent.parts)
    if "images" in steps:
        steps[len(steps) - 1 - steps[::-1].index("images")] = "labels"
    return as_stored((root if inside else Path()).joinpath(*steps, f"{picture.stem}.txt"))


def _parts(text: str) -> tuple[str, ...]:
    return PurePosixPath(text.strip().replace("\\", "/")).parts


def pictures_in(folder: Path) -> list[Listed]:
    """All pictures of a folder and the folders in it, in the order of their paths."""
    paths = sorted(folder.rglob("*"))
    return [(_name(each, folder), each) for each in paths if each.suffix.lower() in PICTURES and each.name[0] != "."]


def _name(path: Path, top: str | Path) -> str:
    return path.relative_to(top).with_suffix("").as_posix()


def _config_file(root: Path) -> Path | None:
    if (root / CONFIG).is_file():
        return root / CONFIG
    others = [path for path in sorted(root.glob("*.y*ml")) if path.name[0] != "." and _describes_a_set(path)]
    if len(others) == 1:
        return others[0]
    return root / DARKNET_CONFIG if (root / DARKNET_CONFIG).is_file() else None


def _describes_a_set(path: Path) -> bool:
    try:
        return "names" in _yaml_config(path)
    except InputError:
        return False


def _yaml_config(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(read_text(path))
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict):
        raise InputError(f"cannot read {path}; give YAML with `train`, `val` and `names`")
    return config


def _darknet_config(path: Path) -> Mapping[str, Any]:
    """Lines `key = value`, which the older format of CVAT has."""
    pairs = (line.split("=", 1) for line in read_text(path).splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _listed_names(path: Path) -> Mapping[int, str]:
    return {number: name for number, name in enumerate(read_text(path).splitlines()) if name.strip()}


def _ultralytics_folders() -> Iterator[Path]:
    """Where Ultralytics looks for a relative `path`: the folder of data sets in its settings."""
    home = {"win32": "AppData/Roaming", "darwin": "Library/Application Support"}.get(sys.platform, ".config")
    given = os.environ.get("YOLO_CONFIG_DIR")
    for folder in (Path(given), Path(given, "Ultralytics")) if given else (Path.home() / home / "Ultralytics",):
        try:
            yield Path(json.loads((folder / "settings.json").read_text(encoding="utf-8"))["datasets_dir"])
        except (OSError, ValueError, KeyError, TypeError):  # not installed, or its settings are no affair of ours
            continue


def read_polygons(path: Path, classes: Mapping[int, str]) -> list[tuple[str, np.ndarray]]:
    """Class name and corners [N, 2], in parts of the width and height, of every object of a label file.

    Raises:
        InputError: the file cannot be read; a line is no polygon (a box, one with its confidence), is of no class, or
            is not in parts of the photo.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [_polygon(line.split(), classes, where=f"{path}, line {row}") for row, line in lines if line.strip()]


def check_reach(polygons: list[tuple[str, np.ndarray]], *, path: Path) -> None:
    """Raise InputError where a polygon leaves the photo by more than a little: it was drawn on another picture."""
    for name, corners in polygons:
        if (beyond := _beyond(corners)) > LITTLE:
            raise InputError(f"a polygon of {name!r} leaves the photo by {beyond:.0%} of its size: {path}; mend it")


def _polygon(parts: list[str], classes: Mapping[int, str], *, where: str) -> tuple[str, np.ndarray]:
    try:
        number, *values = map(float, parts)  # some tools write the class as 0.0
        name = classes[int(number)] if number.is_integer() else None
    except (ValueError, KeyError):
        name = None
    if name is None:
        raise InputError(f"not `class x1 y1 x2 y2 ...` of a known class: {where}; mend it") from None
    if len(values) == BOX:
        mend = "boxes have no mask, export polygons instead (of CVAT: Ultralytics YOLO Segmentation)"
        raise InputError(f"a box, not a polygon: {where}; {mend}")
    if len(values) % 2:
        raise InputError(f"a number too many or too few for x and y: {where}; take a confidence at the end away")
    corners = np.array(values).reshape(-1, 2)
    if len(corners) < CORNERS or not np.isfinite(corners).all():
        raise InputError(f"not a polygon: {where}; give three corners or more, x and y of each")
    if _beyond(corners) > FAR:
        raise InputError(f"not in parts of the photo: {where}; divide x by its width and y by its height")
    return name, corners


def _beyond(corners: np.ndarray) -> float:
    """How far corners lie outside the photo, in its widths or heights."""
    return max(-corners.min(), corners.max() - 1, 0)
