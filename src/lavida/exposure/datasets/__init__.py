"""Segmentation data sets that the exposure learns from, each read from its published layout.

Each is a class of `(root, split)`, of videos also of `clip_length`, the frames of a clip.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from lavida.errors import InputError
from lavida.exposure.datasets.ade20k import Ade20k
from lavida.exposure.datasets.coco128 import Coco128
from lavida.exposure.datasets.coco_stuff import CocoStuff
from lavida.exposure.datasets.davis import Davis
from lavida.exposure.datasets.davis2017 import Davis2017, RefDavis
from lavida.exposure.datasets.humans import Humans
from lavida.exposure.datasets.kit_sets import CocoMini, FireSmoke, WeaponBoxes
from lavida.exposure.datasets.mapillary import Mapillary
from lavida.exposure.datasets.mevis import MeViS
from lavida.exposure.datasets.packed import PackedDataset, pack_of, packed_vocabulary
from lavida.exposure.datasets.pascal_voc import PascalVoc
from lavida.exposure.datasets.refer import GRefCoco, RefClef, RefCoco, RefCocoG, RefCocoPlus
from lavida.exposure.datasets.small_sets import (
    Animals,
    CarDamage,
    CarParts,
    CdnetHighway,
    Clothing,
    FacadeNight,
    Football,
    Pallets,
    Potholes,
    ProtectiveGear,
    StreetsPeru,
    VehiclesSmall,
    VocAnimals,
)
from lavida.exposure.datasets.street_scenes import CamVid, Cityscapes, IddLite
from lavida.exposure.datasets.yolo_polygons import YoloPolygons
from lavida.exposure.datasets.youtube_vos import RefYouTubeVos, YouTubeVos
from lavida.exposure.sample import SegmentationDataset

KINDS = (
    *(Davis, CamVid, IddLite, Coco128, Humans),
    *(FireSmoke, CocoMini, VocAnimals, Clothing, Animals, CdnetHighway, Football, StreetsPeru, FacadeNight, CarParts),
    *(Potholes, CarDamage, Pallets, ProtectiveGear, VehiclesSmall, WeaponBoxes),
    *(Cityscapes, Mapillary, Ade20k, CocoStuff, PascalVoc, YoloPolygons),
    *(RefClef, RefCoco, RefCocoPlus, RefCocoG, GRefCoco),
    *(YouTubeVos, RefYouTubeVos, MeViS, RefDavis, Davis2017),
)
DATASETS: dict[str, type] = {kind.name: kind for kind in KINDS}


def load(name: str, root: str | Path, split: str, **options: Any) -> SegmentationDataset:
    """The data set `name` under its own folder `root`; `split` is `train` or `heldout`.

    A name with a colon is a class of your own, `module:Class`. Below the file of a pack, folders are those of the pack.

    Raises:
        InputError: the name, the split or the folder does not exist.
    """
    if name not in DATASETS and ":" not in name:
        known = ", ".join(sorted(DATASETS))
        raise InputError(f"unknown data set {name!r}; use one of: {known}, or module:Class for your own")
    if (pack := pack_of(Path(root))) is not None:
        return PackedDataset(pack, name, Path(root).relative_to(pack).as_posix(), split, **options)
    kind = DATASETS[name] if name in DATASETS else own_class(name)
    try:
        return kind(root, split, **options)
    except TypeError as error:
        raise InputError(f"data set {name!r} does not take these options: {error}") from None


def vocabulary_of(name: str, root: str | Path, split: str) -> tuple[str, ...]:
    """The names of a data set in one split; a pack knows them even where it has no picture of that split.

    Raises:
        InputError: as in `load`.
    """
    if (pack := pack_of(Path(root))) is not None:
        return packed_vocabulary(pack, name, Path(root).relative_to(pack).as_posix(), split)
    return load(name, root, split).vocabulary


def own_class(name: str) -> type:
    """The class called `module:Class`; the module is installed or lies in the working folder.

    Raises:
        InputError: there is no such module, or no such class in it.
    """
    module_name, _, class_name = name.partition(":")
    if os.getcwd() not in sys.path:  # stays there: worker processes import the module again
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except InputError:
        raise
    except (ModuleNotFoundError, TypeError, ValueError) as error:  # the latter two for "" and ".relative"
        if isinstance(error, ModuleNotFoundError) and not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, but one that it needs is not
        where = f"install it, or work in the folder of {module_name}.py"
        raise InputError(f"no module {module_name!r} for the data set {name!r}; {where}") from None
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        raise InputError(f"no class {class_name!r} in {module.__file__}; name the data set as module:Class")
    return kind
