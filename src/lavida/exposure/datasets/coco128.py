"""COCO128: 128 photos with polygons of 80 object classes."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lavida.exposure.datasets.reading import files_in, folder
from lavida.exposure.datasets.yolo_polygons import Sample, YoloPolygons

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
HELD_OUT_EVERY = 3


class Coco128(YoloPolygons):
    """Single photos; every third in the order of the file names is held out.

    A photo without a label file shows none of the classes.

    Args:
        root: folder with `images/train2017` and `labels/train2017`.
    """

    name = "coco128"
    counted = True
    layout = "images/train2017/*.jpg, labels/train2017/*.txt"
    expected = {"train": {"images": 85}, "heldout": {"images": 43}}

    def __init__(self, root: str | Path, split: str) -> None:
        super().__init__(root, split)
        # few enough to look at all: names that no photo of the split shows are no use as its own names
        used = {name for *_, path in self._samples for name, _ in self._polygons(path)}
        self.vocabulary = tuple(name for name in CLASSES if name in used)

    def read_classes(self) -> Mapping[int, str]:
        """The 80 classes of COCO."""
        return dict(enumerate(CLASSES))

    def list_samples(self, part: str) -> Iterable[Sample]:
        """The photos of one half of the only folder."""
        images = folder(self.root / "images" / "train2017", dataset=self.name, layout=self.layout)
        labels = folder(self.root / "labels" / "train2017", dataset=self.name, layout=self.layout)
        for index, path in enumerate(files_in(images, ".jpg")):
            if (index % HELD_OUT_EVERY == 0) == (part == "val"):
                yield path.stem, path, labels / f"{path.stem}.txt"
