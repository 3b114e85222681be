"""COCO128: 128 photos with polygons of 80 object classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, of_split, read_rgb, read_text
from lavida.exposure.sample import Segmented

CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie",
    "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon",
    "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
    "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse",
    "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
SPLITS = {"train": ("train",), "heldout": ("heldout",)}
HELD_OUT_EVERY = 3


class Coco128:
    """Single photos; every third in the order of the file names is held out.

    A photo without a label file shows none of the classes.

    Args:
        root: folder with `images/train2017` and `labels/train2017`.
        split: `train` or `heldout`.
    """

    name = "coco128"

    def __init__(self, root: str | Path, split: str) -> None:
        of_split(SPLITS, split, dataset="COCO128")
        images = folder(Path(root) / "images" / "train2017", dataset="COCO128")
        labels = folder(Path(root) / "labels" / "train2017", dataset="COCO128")
        paths = [
            path
            for index, path in enumerate(sorted(images.glob("*.jpg")))
            if (index % HELD_OUT_EVERY == 0) == (split == "heldout")
        ]
        if not paths:
            raise InputError(f"COCO128 is empty: no .jpg in {images}; give the data set's own folder as root")
        self._samples = [(path, _polygons(labels / f"{path.stem}.txt")) for path in paths]
        used = {name for _, polygons in self._samples for name, _ in polygons}
        self.vocabulary = tuple(name for name in CLASSES if name in used)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Segmented:
        path, polygons = self._samples[index]
        image = read_rgb(path)
        height, width = image.shape[:2]
        canvases: dict[str, Image.Image] = {}
        for name, corners in polygons:
            canvas = canvases.setdefault(name, Image.new("1", (width, height)))
            ImageDraw.Draw(canvas).polygon([(x * width, y * height) for x, y in corners], fill=1)
        return Segmented(
            frames=image[None],
            masks={name: np.array(canvas)[None] for name, canvas in canvases.items()},
            ignore=None,
            dataset=self.name,
            key=path.stem,
        )


def _polygons(path: Path) -> list[tuple[str, np.ndarray]]:
    """Class name and corners [N, 2], in parts of the width and height, of every object of a photo."""
    if not path.exists():
        return []
    polygons = []
    for line in read_text(path).splitlines():
        try:
            number, *values = line.split()
            polygons.append((CLASSES[int(number)], np.array(values, dtype=float).reshape(-1, 2)))
        except (ValueError, IndexError):
            raise InputError(f"not a line `class x1 y1 x2 y2 ...`: {path}; restore the data set") from None
    return polygons
