"""Photos of people with a mask of the people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, matching, of_split, read_labels, read_rgb
from lavida.exposure.sample import Segmented

SPLITS = {"train": ("train",), "heldout": ("heldout",)}
HELD_OUT_EVERY = 5
FOREGROUND = 127  # what is brighter belongs to a person


class Humans:
    """Single photos of one class, `person`; every fifth in the order of the file names is held out.

    Args:
        root: folder with `Training_Images` and `Ground_Truth`.
        split: `train` or `heldout`.
    """

    name = "humans"
    layout = "Training_Images/*.jpg, Ground_Truth/*.png"
    expected = {"train": {"images": 232}, "heldout": {"images": 58}}
    vocabulary = ("person",)

    def __init__(self, root: str | Path, split: str) -> None:
        of_split(SPLITS, split, dataset=self.name)
        images = folder(Path(root) / "Training_Images", dataset=self.name, layout=self.layout)
        self._labels = folder(Path(root) / "Ground_Truth", dataset=self.name, layout=self.layout)
        self._images = [
            path
            for index, path in enumerate(sorted(images.glob("*.jpg")))
            if (index % HELD_OUT_EVERY == 0) == (split == "heldout")
        ]
        if not self._images:
            raise InputError(f"humans is empty: no .jpg in {images}; give the data set's own folder as root")

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Segmented:
        path = self._images[index]
        image = read_rgb(path)
        label_path = self._label_path(path)
        mask = matching(image, read_labels(label_path), path=label_path, picture=path) > FOREGROUND
        return Segmented(
            frames=image[None], masks={"person": mask[None]}, ignore=None, dataset=self.name, key=path.stem
        )

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self)}

    def files(self) -> Iterator[Path]:
        """The picture and the mask of every sample, whether they exist or not."""
        return (path for pair in self.pairs() for path in pair)

    def pairs(self) -> Iterator[tuple[Path, Path]]:
        """Picture and mask of every sample, whether they exist or not."""
        return ((path, self._label_path(path)) for path in self._images)

    def words(self, labels: Path) -> set[str]:
        """What a mask shows. Raises InputError where it cannot be read."""
        return set(self.vocabulary) if (read_labels(labels) > FOREGROUND).any() else set()

    def _label_path(self, image: Path) -> Path:
        return self._labels / f"{image.stem}.png"
