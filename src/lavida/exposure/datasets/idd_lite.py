"""IDD-Lite: Indian street scenes with 7 broad classes."""

from __future__ import annotations

from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset

CLASSES = (
    "road", "roadside ground", "person", "vehicle", "roadside object", "building or vegetation", "sky",
)  # fmt: skip


class IddLite(LabelImageDataset):
    """Single frames; `heldout` is the official val.

    Args:
        root: folder with `leftImg8bit` and `gtFine`.
        split: `train` or `heldout`.
    """

    name = "idd_lite"
    images = "leftImg8bit/{part}/*/*_image.jpg"
    labels = "gtFine/{part}/*/*_label.png"
    expected = {"train": {"images": 1403}, "heldout": {"images": 204}}
    legend = dict(enumerate(CLASSES)) | {255: IGNORE}
