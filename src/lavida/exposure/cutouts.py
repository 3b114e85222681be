"""Cut-outs: whole objects of the labelled pictures, to be put into motion elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lavida.errors import InputError
from lavida.exposure.mixture import Mixture, each_once
from lavida.exposure.sample import SegmentationSample

LEAST_PIXELS = 250
LEAST_HEIGHT, MOST_HEIGHT = 24, 160  # pixels; larger cut-outs are stored at the second size
LEAST_OF_LARGEST = 0.2  # object of the picture: less is a fragment of something half hidden
LEAST_FILL = 0.25  # of its bounding box: thinner things are fragments
MOST_EACH = 200
DRAWS = 1500


@dataclass(frozen=True, slots=True)
class Mover:
    """A class of things that move by themselves.

    Attributes:
        dataset, name: the labelled class.
        names: what a cut-out of it is called; the first ones are taught with its mask.
        also: what is there with it and has no mask of its own here (the rider of a bicycle, say).
        height: in metres, of the whole cut-out.
        speed: in metres a second, lowest and highest.
    """

    dataset: str
    name: str
    names: tuple[str, ...]
    also: tuple[str, ...]
    height: float
    speed: tuple[float, float]


WALK, RUN, CYCLE, DRIVE = (0.5, 1.8), (3.0, 7.0), (2.5, 8.0), (4.0, 15.0)  # metres a second
_RIDER = ("person", "pedestrian", "bicyclist")
MOVERS = (
    Mover("camvid", "pedestrian", ("person", "pedestrian"), (), 1.7, WALK),
    Mover("camvid", "bicyclist", ("bicyclist", "bicycle", "person"), (), 1.75, CYCLE),
    Mover("camvid", "car", ("car", "vehicle"), (), 1.5, DRIVE),
    Mover("idd_lite", "vehicle", ("vehicle",), ("car", "bus", "truck", "motorcycle", "scooter", *_RIDER), 1.9, DRIVE),
    Mover("coco128", "person", ("person",), ("pedestrian",), 1.7, WALK),
    Mover("coco128", "car", ("car", "vehicle"), (), 1.5, DRIVE),
    Mover("coco128", "bus", ("bus", "vehicle"), (), 3.0, DRIVE),
    Mover("coco128", "truck", ("truck", "vehicle"), (), 2.6, DRIVE),
    Mover("coco128", "dog", ("dog",), (), 0.6, (0.7, 6.0)),
    Mover("humans", "person", ("person",), ("pedestrian",), 1.7, WALK),
    Mover("davis", "person", ("person",), ("pedestrian",), 1.7, WALK),
    Mover("davis", "dancing", ("person",), ("pedestrian", "dancing"), 1.7, WALK),
    Mover("davis", "bicycle", ("bicycle",), ("vehicle", *_RIDER), 1.7, CYCLE),
    Mover("davis", "motorcycle", ("motorcycle",), ("vehicle", "scooter", *_RIDER), 1.6, DRIVE),
    Mover("davis", "scooter", ("scooter",), ("vehicle", "motorcycle", *_RIDER), 1.6, DRIVE),
    Mover("davis", "skating", ("skating", "person"), ("skateboard", "pedestrian"), 1.7, RUN),
    Mover("davis", "stroller", ("stroller",), ("person", "pedestrian"), 1.7, WALK),
    Mover("davis", "car", ("car", "vehicle"), (), 1.5, DRIVE),
    Mover("davis", "bus", ("bus", "vehicle"), (), 3.0, DRIVE),
    Mover("davis", "horse", ("horse",), ("person", "pedestrian"), 2.3, (1.5, 9.0)),
    Mover("davis", "dog", ("dog",), (), 0.6, (0.7, 6.0)),
)


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object cut out of its picture: uint8 `[h, w, 4]`, RGB and how much of a pixel it covers."""

    pixels: np.ndarray
    mover: Mover


class CutoutBank:
    """Cut-outs of every mover that a mixture shows, at most `MOST_EACH` of each.

    Args:
        mixture: labelled pictures.
        removed: names that training must not use; movers that are called so are left out.
        seed: fixes which pictures are searched.
    """

    def __init__(self, mixture: Mixture, *, removed: Sequence[str] = (), seed: int = 0) -> None:
        self._cutouts: dict[Mover, list[Cutout]] = {}
        movers = [mover for mover in MOVERS if not set(mover.names) & set(removed)]
        rng = np.random.default_rng(seed)
        for sample in each_once(lambda: mixture.draw(rng), DRAWS):
            for mover in movers:
                if mover.dataset == sample.dataset and mover.name in sample.masks:
                    found = self._cutouts.setdefault(mover, [])
                    found.extend(cut_out(sample, mover)[: MOST_EACH - len(found)])
        self._cutouts = {mover: found for mover, found in self._cutouts.items() if found}
        if not self._cutouts:
            raise InputError(
                "data.moving: no data set of the mixture shows anything that moves by itself whole; set it to 0, "
                f"or add one of {', '.join(sorted({mover.dataset for mover in MOVERS}))}"
            )

    @property
    def movers(self) -> tuple[Mover, ...]:
        """Those with a cut-out."""
        return tuple(self._cutouts)

    @property
    def names(self) -> tuple[str, ...]:
        """What the cut-outs are called, each name once."""
        return tuple(dict.fromkeys(name for mover in self._cutouts for name in mover.names))

    def draw(self, mover: Mover, rng: np.random.Generator) -> Cutout:
        """Any of the cut-outs of a mover."""
        found = self._cutouts[mover]
        return found[int(rng.integers(len(found)))]


def cut_out(sample: SegmentationSample, mover: Mover) -> list[Cutout]:
    """The whole, large enough objects of one class in the first frame of a sample."""
    frame, mask = sample.frames[0], sample.masks[mover.name][0]
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    height, width = mask.shape
    largest = boxes[1:, cv2.CC_STAT_AREA].max(initial=0)
    cutouts = []
    for label in range(1, count):
        x, y, w, h, pixels = boxes[label]
        if pixels < LEAST_OF_LARGEST * largest:
            continue
        whole = x > 1 and y > 1 and x + w < width - 1 and y + h < height - 1
        if not whole or pixels < LEAST_PIXELS or h < LEAST_HEIGHT or pixels < LEAST_FILL * w * h:
            continue
        part = np.s_[y - 1 : y + h + 1, x - 1 : x + w + 1]  # a margin, so that its edge can be soft
        cover = (labels[part] == label).astype(np.uint8) * 255
        image = np.dstack((frame[part], cover))
        cutouts.append(Cutout(stored(image, w, h), mover))
    return cutouts


def stored(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A cut-out of a thing of this size, with a margin about it, at `MOST_HEIGHT` if it is higher."""
    if height <= MOST_HEIGHT:
        return image
    size = (max(2, round(width * MOST_HEIGHT / height)), MOST_HEIGHT)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
