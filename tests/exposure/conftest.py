from pathlib import Path

import pytest

from lavida.exposure.datasets import load
from lavida.exposure.sample import SegmentationDataset

FOLDERS = {
    "davis": "davis2016",
    "camvid": "camvid",
    "idd_lite": "idd_lite",
    "coco128": "coco128-seg",
    "humans": "humans",
}


@pytest.fixture(scope="session")
def train_sets(kit: Path) -> dict[str, SegmentationDataset]:
    return {name: load(name, kit / folder, "train") for name, folder in FOLDERS.items()}


@pytest.fixture(scope="session")
def heldout_sets(kit: Path) -> dict[str, SegmentationDataset]:
    return {name: load(name, kit / folder, "heldout") for name, folder in FOLDERS.items()}
