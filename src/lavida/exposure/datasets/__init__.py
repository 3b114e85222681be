"""Segmentation data sets that the exposure learns from, each read from its published layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lavida.errors import InputError
from lavida.exposure.datasets.ade20k import Ade20k
from lavida.exposure.datasets.camvid import CamVid
from lavida.exposure.datasets.cityscapes import Cityscapes
from lavida.exposure.datasets.coco128 import Coco128
from lavida.exposure.datasets.coco_stuff import CocoStuff
from lavida.exposure.datasets.davis import Davis
from lavida.exposure.datasets.davis2017 import Davis2017
from lavida.exposure.datasets.humans import Humans
from lavida.exposure.datasets.idd_lite import IddLite
from lavida.exposure.datasets.mapillary import Mapillary
from lavida.exposure.datasets.mevis import MeViS
from lavida.exposure.datasets.own import own_class
from lavida.exposure.datasets.pascal_voc import PascalVoc
from lavida.exposure.datasets.ref_davis import RefDavis
from lavida.exposure.datasets.ref_youtube_vos import RefYouTubeVos
from lavida.exposure.datasets.refer import GRefCoco, RefClef, RefCoco, RefCocoG, RefCocoPlus
from lavida.exposure.datasets.yolo_polygons import YoloPolygons
from lavida.exposure.datasets.youtube_vos import YouTubeVos
from lavida.exposure.sample import SegmentationDataset

KINDS = (
    *(Davis, CamVid, IddLite, Coco128, Humans),
    *(Cityscapes, Mapillary, Ade20k, CocoStuff, PascalVoc, YoloPolygons),
    *(RefClef, RefCoco, RefCocoPlus, RefCocoG, GRefCoco),
    *(YouTubeVos, RefYouTubeVos, MeViS, RefDavis, Davis2017),
)
DATASETS: dict[str, type] = {kind.name: kind for kind in KINDS}

__all__ = [
    "DATASETS", "Ade20k", "CamVid", "Cityscapes", "Coco128", "CocoStuff", "Davis", "Davis2017", "GRefCoco",
    "Humans", "IddLite", "Mapillary", "MeViS", "PascalVoc", "RefClef", "RefCoco", "RefCocoG", "RefCocoPlus", "RefDavis",
    "RefYouTubeVos", "YoloPolygons", "YouTubeVos", "load",
]  # fmt: skip


def load(name: str, root: str | Path, split: str, **options: Any) -> SegmentationDataset:
    """The data set `name` under its own folder `root`; `split` is `train` or `heldout`.

    A name with a colon is a class of your own, `module:Class`.

    Raises:
        InputError: the name, the split or the folder does not exist.
    """
    if name not in DATASETS and ":" not in name:
        known = ", ".join(sorted(DATASETS))
        raise InputError(f"unknown data set {name!r}; use one of: {known}, or module:Class for your own")
    kind = DATASETS[name] if name in DATASETS else own_class(name)
    try:
        return kind(root, split, **options)
    except TypeError as error:
        raise InputError(f"data set {name!r} does not take these options: {error}") from None
