"""Segmentation data sets that the exposure learns from, each read from its published layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lavida.errors import InputError
from lavida.exposure.datasets.camvid import CamVid
from lavida.exposure.datasets.coco128 import Coco128
from lavida.exposure.datasets.davis import Davis
from lavida.exposure.datasets.humans import Humans
from lavida.exposure.datasets.idd_lite import IddLite
from lavida.exposure.sample import SegmentationDataset

DATASETS: dict[str, type] = {kind.name: kind for kind in (Davis, CamVid, IddLite, Coco128, Humans)}

__all__ = ["DATASETS", "CamVid", "Coco128", "Davis", "Humans", "IddLite", "load"]


def load(name: str, root: str | Path, split: str, **options: Any) -> SegmentationDataset:
    """The data set `name` under its own folder `root`; `split` is `train` or `heldout`.

    Raises:
        InputError: the name, the split or the folder does not exist.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data set {name!r}; use one of: {', '.join(sorted(DATASETS))}")
    try:
        return DATASETS[name](root, split, **options)
    except TypeError as error:
        raise InputError(f"data set {name!r} does not take these options: {error}") from None
