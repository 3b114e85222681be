"""CamVid: driving frames with 11 classes."""

from __future__ import annotations

from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset

CLASSES = (
    "sky", "building", "pole", "road", "sidewalk", "tree", "traffic sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip


class CamVid(LabelImageDataset):
    """Single frames; `train` joins the official train and val, `heldout` is the official test.

    Args:
        root: folder with `train`, `trainannot`, `val`, ...
        split: `train` or `heldout`.
    """

    name = "camvid"
    images = "{part}/*.jpg"
    labels = "{part}annot/*.png"
    parts = {"train": ("train", "val"), "heldout": ("test",)}
    expected = {"train": {"images": 367 + 101}, "heldout": {"images": 233}}
    legend = dict(enumerate(CLASSES)) | {11: IGNORE}
    # A rider is drawn together with the bicycle, so the one mask answers to both words.
    unions = {"person": ("pedestrian", "bicyclist"), "bicycle": ("bicyclist",)}
