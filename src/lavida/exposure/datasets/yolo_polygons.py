"""Sets of photos with polygons in YOLO's text format, as annotation tools export them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, ClassVar

import numpy as np
import yaml
from PIL import Image, ImageDraw

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, of_split, read_rgb, read_text
from lavida.exposure.sample import Segmented

CONFIG, CLASS_LIST = "data.yaml", "classes.txt"
PARTS = {"train": ("train",), "heldout": ("val",)}
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
Sample = tuple[str, Path, Path]  # key, picture, label file


class YoloPolygons:
    """Single photos; a photo without a label file shows none of the classes.

    The folders of the splits are those that `data.yaml` names as `train` and `val`, else `images/train` and
    `images/val`. The label file of a photo is found by putting `labels` for the last `images` in its path.

    Args:
        root: folder with `data.yaml`, or with `classes.txt` (one name a line).
        split: `train` or `heldout`.

    Raises:
        InputError: there are no class names, a folder is missing or there is no photo. A broken line is an error when
            its sample is read.
    """

    name: ClassVar[str] = "yolo_polygons"
    layout: ClassVar[str] = "data.yaml (or classes.txt), images/<train|val>/*, labels/<train|val>/*.txt"
    expected: ClassVar[Mapping[str, Mapping[str, int]]] = {}  # as many as there are
    vocabulary: tuple[str, ...]

    def __init__(self, root: str | Path, split: str) -> None:
        self.root = Path(root)
        (part,) = of_split(PARTS, split, dataset=self.name)
        self._classes = self.read_classes()
        self._samples = list(self.list_samples(part))
        if not self._samples:
            raise InputError(f"{self.name} is empty: no {split} photo in {root}; its own folder holds {self.layout}")
        self.vocabulary = tuple(dict.fromkeys(self._classes.values()))

    def read_classes(self) -> Mapping[int, str]:
        """Class number -> its name, in plain words."""
        names = self._config().get("names", {})
        if not names and (self.root / CLASS_LIST).is_file():
            names = read_text(self.root / CLASS_LIST).splitlines()
        if not names:
            raise InputError(f"no class names: {self.root}; {self.name} needs {self.layout}, with `names` in data.yaml")
        try:
            numbered = names.items() if isinstance(names, Mapping) else enumerate(names)
            return {int(number): " ".join(name.replace("_", " ").lower().split()) for number, name in numbered}
        except (ValueError, TypeError, AttributeError):
            raise InputError(f"`names` is no list of class names: {self.root / CONFIG}; mend it") from None

    def list_samples(self, part: str) -> Iterable[Sample]:
        """Key, picture and label file of each sample, in the order of the paths."""
        for entry in self._folders(part):
            # exporters write `../train/images` for a folder that lies beside data.yaml
            below = PurePath(entry) if (self.root / entry).is_dir() else PurePath(entry.lstrip("./"))
            images = folder(self.root / below, dataset=self.name, layout=self.layout)
            labels = folder(self.root / _labels_of(below), dataset=self.name, layout=self.layout)
            for path in sorted(images.rglob("*")):
                if path.suffix.lower() in PICTURES and not path.name.startswith("."):
                    stem = path.relative_to(images).with_suffix("")
                    yield f"{part}/{stem.as_posix()}", path, labels / f"{stem}.txt"

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Segmented:
        key, image_path, label_path = self._samples[index]
        image = read_rgb(image_path)
        height, width = image.shape[:2]
        canvases: dict[str, Image.Image] = {}
        for name, corners in self._polygons(label_path):
            canvas = canvases.setdefault(name, Image.new("1", (width, height)))
            ImageDraw.Draw(canvas).polygon([(x * width, y * height) for x, y in corners], fill=1)
        return Segmented(
            frames=image[None],
            masks={name: np.array(canvas)[None] for name, canvas in canvases.items()},
            ignore=None,
            dataset=self.name,
            key=key,
        )

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self)}

    def files(self) -> Iterator[Path]:
        """Every picture, and its label file where it has one: to have none is to show none of the classes."""
        for _, image_path, label_path in self._samples:
            yield image_path
            if label_path.exists():
                yield label_path

    def _polygons(self, path: Path) -> list[tuple[str, np.ndarray]]:
        """Class name and corners [N, 2], in parts of the width and height, of every object of a photo."""
        if not path.exists():
            return []
        polygons = []
        for row, line in enumerate(read_text(path).splitlines(), start=1):
            if not line.strip():
                continue
            try:
                number, *values = line.split()
                name, corners = self._classes[int(number)], np.array(values, dtype=float).reshape(-1, 2)
            except (ValueError, KeyError):
                raise InputError(f"not `class x1 y1 x2 y2 ...` of a known class: {path}, line {row}; mend it") from None
            if len(corners) < 3 or not np.isfinite(corners).all():
                raise InputError(f"not a polygon: {path}, line {row}; give three corners or more (boxes have no mask)")
            polygons.append((name, corners))
        return polygons

    def _folders(self, part: str) -> list[str]:
        """The folders of pictures of a split, relative to the root."""
        given = self._config().get(part) or f"images/{part}"
        folders = given if isinstance(given, list) else [given]
        if not all(isinstance(each, str) for each in folders):
            raise InputError(f"`{part}` is {given!r}: {self.root / CONFIG}; name a folder of pictures")
        return folders

    def _config(self) -> Mapping[str, Any]:
        """What `data.yaml` says; nothing where there is none."""
        path = self.root / CONFIG
        if not path.is_file():
            return {}
        try:
            config = yaml.safe_load(read_text(path))
        except yaml.YAMLError:
            config = None
        if not isinstance(config, dict):
            raise InputError(f"cannot read {path}; give YAML with `train`, `val` and `names`")
        return config


def _labels_of(images: PurePath) -> PurePath:
    """The folder of the labels: the last step `images` becomes `labels`; without one they lie beside the pictures."""
    steps = list(images.parts)
    if "images" in steps:
        steps[len(steps) - 1 - steps[::-1].index("images")] = "labels"
    return PurePath(*steps)
