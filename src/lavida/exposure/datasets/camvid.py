"""CamVid: driving frames with 11 classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, matching, of_split, read_labels, read_rgb
from lavida.exposure.sample import Segmented

CLASSES = (
    "sky", "building", "pole", "road", "sidewalk", "tree", "traffic sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
UNLABELLED = 11
# A rider is drawn together with the bicycle, so the one mask answers to both words.
UNIONS = {"person": ("pedestrian", "bicyclist"), "bicycle": ("bicyclist",)}
SPLITS = {"train": ("train", "val"), "heldout": ("test",)}


class CamVid:
    """Single frames; `train` joins the official train and val, `heldout` is the official test.

    Args:
        root: folder with `train`, `trainannot`, `val`, ...
        split: `train` or `heldout`.
    """

    name = "camvid"
    vocabulary = CLASSES + tuple(UNIONS)

    def __init__(self, root: str | Path, split: str) -> None:
        root = Path(root)
        parts = of_split(SPLITS, split, dataset="CamVid")
        self._files = [
            (part, image, root / f"{part}annot" / f"{image.stem}.png")
            for part in parts
            for image in sorted(folder(root / part, dataset="CamVid").glob("*.jpg"))
        ]
        if not self._files:
            raise InputError(f"CamVid is empty: no .jpg in {root}/{parts[0]}; give its own folder as root")

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Segmented:
        part, image_path, label_path = self._files[index]
        image = read_rgb(image_path)
        labels = matching(image, read_labels(label_path), path=label_path)
        masks = {name: labels == value for value, name in enumerate(CLASSES)}
        for name, members in UNIONS.items():
            masks[name] = np.logical_or.reduce([masks[member] for member in members])
        return Segmented(
            frames=image[None],
            masks={name: mask[None] for name, mask in masks.items() if mask.any()},
            ignore=(labels == UNLABELLED)[None],
            dataset=self.name,
            key=f"{part}/{image_path.stem}",
        )
