"""IDD-Lite: Indian street scenes with 7 broad classes."""

from __future__ import annotations

from pathlib import Path

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, matching, of_split, read_labels, read_rgb
from lavida.exposure.sample import Segmented

CLASSES = (
    "road", "roadside ground", "person", "vehicle", "roadside object", "building or vegetation", "sky",
)  # fmt: skip
UNLABELLED = 255
SPLITS = {"train": ("train",), "heldout": ("val",)}


class IddLite:
    """Single frames; `heldout` is the official val.

    Args:
        root: folder with `leftImg8bit` and `gtFine`.
        split: `train` or `heldout`.
    """

    name = "idd_lite"
    vocabulary = CLASSES

    def __init__(self, root: str | Path, split: str) -> None:
        (part,) = of_split(SPLITS, split, dataset="IDD-Lite")
        images = folder(Path(root) / "leftImg8bit" / part, dataset="IDD-Lite")
        self._labels = folder(Path(root) / "gtFine" / part, dataset="IDD-Lite")
        self._images = sorted(images.glob("*/*_image.jpg"))
        if not self._images:
            raise InputError(f"IDD-Lite is empty: no *_image.jpg in {images}; give its own folder as root")

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Segmented:
        path = self._images[index]
        stem = path.name.removesuffix("_image.jpg")
        image = read_rgb(path)
        label_path = self._labels / path.parent.name / f"{stem}_label.png"
        labels = matching(image, read_labels(label_path), path=label_path)
        masks = {name: (labels == value)[None] for value, name in enumerate(CLASSES)}
        return Segmented(
            frames=image[None],
            masks={name: mask for name, mask in masks.items() if mask.any()},
            ignore=(labels == UNLABELLED)[None],
            dataset=self.name,
            key=f"{path.parent.name}/{stem}",
        )
