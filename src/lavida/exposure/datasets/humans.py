"""Photos of people with a mask of the people."""

from collections.abc import Iterable
from pathlib import Path

from lavida.exposure.datasets.kit_sets import is_unused
from lavida.exposure.datasets.label_images import BACKGROUND, LabelImageDataset
from lavida.exposure.datasets.reading import matching, read_labels, read_rgb
from lavida.exposure.sample import SegmentationSample

HELD_OUT_EVERY = 5
FOREGROUND = 127  # what is brighter belongs to a person


class Humans(LabelImageDataset):
    """Single photos of one class, `person`; every fifth in the order of the file names is held out.

    One picture that is there twice is not trained on, as its copy is held out.

    Args:
        root: folder with `Training_Images` and `Ground_Truth`.
    """

    name = "humans"
    images = "Training_Images/*.jpg"
    labels = "Ground_Truth/*.png"
    parts = {"train": ("train",), "heldout": ("heldout",)}
    expected = {"train": {"images": 231}, "heldout": {"images": 58}}
    legend = {0: BACKGROUND, 255: "person"}

    def list_samples(self, part: str) -> Iterable[tuple[str, ...]]:
        """The photos of one half of the only folder."""
        photos = enumerate(super().list_samples(part))
        found = [stars for index, stars in photos if (index % HELD_OUT_EVERY == 0) == (part == "heldout")]
        return [stars for stars in found if not is_unused(self.name, stars[0])]

    def __getitem__(self, index: int) -> SegmentationSample:
        path, label_path = self._paths(*self._samples[index])
        image = read_rgb(path, levels=self.levels)
        mask = matching(image, read_labels(label_path), path=label_path, picture=path) > FOREGROUND
        return SegmentationSample(
            frames=image[None], masks={"person": mask[None]}, ignore=None, dataset=self.name, key=path.stem
        )

    def words(self, labels: Path) -> set[str]:
        """What a mask shows. Raises InputError where it cannot be read."""
        return set(self.vocabulary) if (read_labels(labels) > FOREGROUND).any() else set()
