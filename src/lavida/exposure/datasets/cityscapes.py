"""Cityscapes: streets of European cities with 30 classes (Cordts et al. 2016)."""

from __future__ import annotations

from lavida.exposure.datasets.label_images import IGNORE, LabelImageDataset

# the label ids from 7 on, in order; 18 are groups of poles
CLASSES = (
    "road", "sidewalk", "parking lot", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel",
    "pole", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "pedestrian", "rider", "car",
    "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
VOID = range(7)  # unlabelled, ego vehicle, rectification border, out of view; other static, dynamic and ground


class Cityscapes(LabelImageDataset):
    """Single frames with the fine labels; `heldout` is the official val.

    Args:
        root: folder with `leftImg8bit` and `gtFine`.
        split: `train` or `heldout`.
    """

    name = "cityscapes"
    images = "leftImg8bit/{part}/*/*_leftImg8bit.png"
    labels = "gtFine/{part}/*/*_gtFine_labelIds.png"
    expected = {"train": {"images": 2975}, "heldout": {"images": 500}}
    legend = dict.fromkeys(VOID, IGNORE) | dict(enumerate(CLASSES, start=7))
    # A rider is drawn without the bicycle or motorcycle, which have masks of their own; the class `person` has
    # only people who ride nothing. Vegetation is trees, bushes and hedges.
    unions = {
        "person": ("pedestrian", "rider"),
        "tree": ("vegetation",),
        "vehicle": ("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
    }
