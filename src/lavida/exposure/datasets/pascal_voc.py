"""PASCAL VOC 2012: photos with 20 object classes (Everingham et al. 2010)."""

from collections.abc import Iterable

from lavida.exposure.datasets.label_images import BACKGROUND, IGNORE, LabelImageDataset
from lavida.exposure.datasets.reading import read_text

CLASSES = (
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog",
    "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
SET = "VOCdevkit/VOC2012"
LISTS = f"{SET}/ImageSets/Segmentation"


class PascalVoc(LabelImageDataset):
    """Single photos with the official segmentation labels; `heldout` is the official val.

    The band around every object, which is also drawn over difficult ones, has no label.

    Args:
        root: folder with `VOCdevkit`.
    """

    name = "pascal_voc"
    images = f"{SET}/JPEGImages/*.jpg"
    labels = f"{SET}/SegmentationClass/*.png"
    layout = f"{LISTS}/<train|val>.txt, {images}, {labels}"
    expected = {"train": {"images": 1464}, "heldout": {"images": 1449}}
    legend = {0: BACKGROUND} | dict(enumerate(CLASSES, start=1)) | {255: IGNORE}

    def list_samples(self, part: str) -> Iterable[tuple[str, ...]]:
        """The official list: most of the photos have no segmentation labels."""
        return [(stem,) for stem in read_text(self.root / LISTS / f"{part}.txt", layout=self.layout).split()]
