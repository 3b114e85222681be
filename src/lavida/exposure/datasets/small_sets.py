"""The table of the small sets: what their classes are called here, and what is there without a mask of its own."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.kit_sets import KitSet
from lavida.exposure.datasets.label_images import BACKGROUND, IGNORE
from lavida.exposure.sample import SegmentationSample

_SHOES = dict.fromkeys(
    ("boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "wedges"), "shoe"
)
_JEWELRY = dict.fromkeys(("bracelet", "earrings", "necklace", "ring", "watch"), "jewelry")
_GARMENTS = {
    **dict.fromkeys(("coat", "cape"), "coat"),
    **dict.fromkeys(("jacket", "blazer", "suit"), "jacket"),
    **dict.fromkeys(("pants", "jeans"), "pants"),
    **dict.fromkeys(("shirt", "blouse", "t-shirt", "top"), "shirt"),
    **dict.fromkeys(("sweater", "sweatshirt", "jumper", "hoodie", "cardigan"), "sweater"),
    **dict.fromkeys(("tights", "stockings", "leggings"), "tights"),
    "dress": "dress", "skirt": "skirt", "shorts": "shorts", "scarf": "scarf", "belt": "belt", "socks": "sock",
    "gloves": "glove", "tie": "tie",
    # too few or too vague for a word of their own
    **dict.fromkeys(("bodysuit", "bra", "intimate", "panties", "romper", "swimwear", "vest"), "clothes"),
}  # fmt: skip


class VocAnimals(KitSet):
    """Photos of PASCAL VOC, mostly of animals and people, with its 20 classes."""

    name = "voc_animals"
    pictures = 1000
    says = {
        "aeroplane": "airplane", "diningtable": "dining table", "motorbike": "motorcycle",
        "pottedplant": "potted plant", "sofa": "couch", "tvmonitor": "tv",
    }  # fmt: skip


class Clothing(KitSet):
    """Full-length photos of one dressed person (CCP, Yang et al. 2014); in most, bystanders are not labelled.

    Skin is of the person and has no word of its own. What is carried is not part of the person.
    """

    name = "clothing_ccp"
    pictures = 450
    reach = 1 / 12
    says = {
        **_SHOES, **_JEWELRY, **_GARMENTS,
        "skin": "person", "accessories": "person", "glasses": "eyeglasses", "purse": "handbag", "wallet": "handbag",
    }  # fmt: skip
    unions = {
        "eyeglasses": ("sunglasses",),
        "bag": ("handbag",),
        "clothes": tuple(dict.fromkeys(word for word in _GARMENTS.values() if word != "clothes")),
        "person": ("clothes", "shoe", "jewelry", "hair", "hat", "eyeglasses"),
    }


class Animals(KitSet):
    """Photos with one kind of wild animal each, the main one of which is drawn."""

    name = "animals"
    pictures = 280
    partial = True
    says = {"rhesus monkey": "monkey"}


class CdnetHighway(KitSet):
    """A fixed camera over a road (CDnet 2014); all that moves is labelled, and it is cars.

    Every third frame of one clip: where `clip_length` is more than 1, samples are runs of consecutive kept frames, of
    which the cars are moving vehicles. The shadows that they cast are background.

    Args:
        root: folder with `images`, `masks` and `classes.json`.
        clip_length: frames a sample, T.
    """

    name = "cdnet_highway"
    pictures = 410
    says = {"moving car": "car", "shadow": BACKGROUND}
    unions = {"vehicle": ("car",)}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        if clip_length < 1:
            raise InputError(f"clip_length is {clip_length}; give at least 1")
        self._length = clip_length
        super().__init__(root, split)
        numbers = [int(stars[0]) for _, stars in self._samples]
        step = min((after - before for before, after in pairwise(numbers)), default=0)
        self._starts = [
            start
            for start in range(len(numbers) - clip_length + 1)
            if numbers[start + clip_length - 1] - numbers[start] == step * (clip_length - 1)
        ]
        if not self._starts:
            raise InputError(f"{self.name} has no clip of {clip_length} frames: {root}; give shorter clips")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> SegmentationSample:
        start = self._starts[index]
        frames = [super(CdnetHighway, self).__getitem__(start + offset) for offset in range(self._length)]
        nothing = np.zeros((1, *frames[0].frames.shape[1:3]), dtype=bool)
        masks = {
            word: np.concatenate([frame.masks.get(word, nothing) for frame in frames])
            for word in self.vocabulary
            if any(word in frame.masks for frame in frames)
        }
        if "vehicle" in masks:
            # of one frame alone nobody can tell
            masks["moving vehicle"] = masks["vehicle"] if self._length > 1 else np.zeros_like(masks["vehicle"])
        return SegmentationSample(
            frames=np.concatenate([frame.frames for frame in frames]),
            masks=masks,
            ignore=np.concatenate([nothing if frame.ignore is None else frame.ignore for frame in frames]),
            dataset=self.name,
            key=frames[0].key,
        )

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self._samples)}


class Football(KitSet):
    """One match, mostly from a high camera: small people and a crowd; nearly every pixel has a label."""

    name = "football"
    pictures = 100
    says = {
        "background": IGNORE,
        "advertisement": "billboard", "field": "playing field", "football": "ball", "goal bar": "goal",
        "goalkeeper 1": "goalkeeper", "goalkeeper 2": "goalkeeper", "spectators": "group of people",
        "team 1": "person", "team 2": "person",
    }  # fmt: skip
    unions = {
        "person": ("goalkeeper", "referee", "group of people"),
        "grass": ("playing field",),
        "sports ball": ("ball",),
    }


class StreetsPeru(KitSet):
    """Streets seen from a car; what is far or half hidden is not drawn.

    A motorcycle is drawn with its rider, so that no mask shows all persons where there is one.
    """

    name = "streets_peru"
    pictures = 167
    partial = True
    says = {"road obstacle": IGNORE}  # cracks, patches and bumps: nobody would find them by that name
    unions: Mapping[str, tuple[str, ...]] = {"vehicle": ("motorcycle",), "person": ("pedestrian",)}
    also = {"motorcycle": ("person", "rider", "motorcyclist"), "vehicle": ("car",)}


class FacadeNight(KitSet):
    """House fronts at night, many with lit windows and lamps.

    Which infrastructure it is, a lamp, a sign or a traffic light, is not known.
    """

    name = "facade_night"
    pictures = 80
    says = {
        "facade": "building", "street": "road",
        "non-building infrastructure": IGNORE, "traffic infrastructure": IGNORE,
    }  # fmt: skip
    unions = {"building": ("window", "balcony", "shop"), "vehicle": ("car",)}


class CarParts(KitSet):
    """Photos of one car each with its parts; the rest of its body has no label, nor have the cars behind it."""

    name = "car_parts"
    pictures = 90
    reach = 1 / 12
    says = {
        "back bumper": "bumper", "front bumper": "bumper", "back window": "window", "back door": "car door",
        "front door": "car door", "hood": "car hood", "tailgate": "car trunk", "trunk": "car trunk",
    }  # fmt: skip
    unions = {
        "car": (
            "bumper", "window", "car door", "tail light", "windshield", "headlight", "car hood", "side mirror",
            "car trunk", "wheel",
        ),
        "vehicle": ("car",),
    }  # fmt: skip


class Potholes(KitSet):
    """Roads with holes; nothing else is labelled."""

    name = "potholes"
    pictures = 100
    partial = True
    also = {"pothole": ("road",)}


class CarDamage(KitSet):
    """Photos of damaged cars; only the damage is labelled."""

    name = "car_damage"
    pictures = 127
    also = {"car damage": ("car", "vehicle")}


class Pallets(KitSet):
    """Loaded pallets in stores; far ones are not labelled."""

    name = "pallets"
    pictures = 60
    reach = 1 / 12
    says = {"loaded pallet": "pallet"}


class ProtectiveGear(KitSet):
    """Workers, of whom only what protects them is labelled."""

    name = "ppe"
    pictures = 69
    partial = True
    says = {"vest": "safety vest", "goggles": "safety goggles", "earmuff": "earmuffs"}
    also = dict.fromkeys(("helmet", "safety vest", "safety goggles", "earmuffs"), ("person",))


class VehiclesSmall(KitSet):
    """Far and tiny vehicles and people, not all of them labelled."""

    name = "vehicles_small"
    pictures = 41
    reach = 1 / 8
    unions = {"vehicle": ("car", "bus", "truck", "motorcycle", "autorickshaw"), "person": ("rider",)}
