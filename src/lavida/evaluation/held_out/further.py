"""Further rows of the held-out test: COCO as a whole, the small sets, and fire and smoke among lamps and sunsets.

They are there where the folders are, and leave the first rows and the categories removed from training as they are.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from lavida.evaluation.held_out.answers import QueryAnswer, area, mean_of_known
from lavida.evaluation.held_out.questions import HeldOut
from lavida.exposure.datasets import load
from lavida.exposure.datasets.label_images import LabelImageDataset
from lavida.exposure.datasets.yolo_polygons import YoloPolygons
from lavida.exposure.heldout import CATEGORIES, MIN_AREA, HeldoutQuestions, Query, Question, evenly_spread
from lavida.exposure.sample import SegmentationSample
from lavida.exposure.vocabulary import Vocabulary

COCO = "coco"  # the row of all held-out photos of COCO
COCO_DRAWS = range(5)  # draws of names for each of its pictures
COCO_PARTS = (HeldOut("coco128", "coco128", "coco128-seg"), HeldOut("coco_mini", "coco_mini", "coco_mini"))
MOST = 120  # pictures of a further set
MOST_OF_ONE_CAMERA = 20
# what the small sets teach beside the names of the first five: absent names are drawn from these, too, or a name
# that only ever is there would give the answer away
NAMES = (
    "fire", "smoke", "hat", "hair", "bag", "shoe", "clothes", "coat", "jacket", "dress", "skirt", "pants", "shirt",
    "sweater", "scarf", "eyeglasses", "helmet", "safety vest", "earmuffs", "pistol", "rifle", "gun", "grenade",
    "pothole", "car damage", "pallet", "wheel", "windshield", "headlight", "bumper", "window", "balcony", "shop",
    "vegetation", "playing field", "grass", "billboard", "group of people", "referee", "goal", "deer", "otter",
    "monkey", "tiger", "turtle", "autorickshaw", "rider",
)  # fmt: skip
SMALL = tuple(
    HeldOut(name, name, name, most=MOST_OF_ONE_CAMERA if name == "cdnet_highway" else MOST, names=NAMES, valid=True)
    for name in (
        "voc_animals", "clothing_ccp", "animals", "fire_smoke", "football", "streets_peru", "facade_night", "car_parts",
        "ppe", "potholes", "car_damage", "pallets", "vehicles_small", "weapon_boxes", "cdnet_highway",
    )
)  # fmt: skip
HAZARDS = ("fire", "smoke")
# held-out photos with lamps, sunsets, lit windows and warm colours, each looked at: no fire and no smoke
LOOKALIKES = {
    "coco_mini": (
        "000000025986", "000000084284", "000000119828", "000000139270", "000000160012", "000000221708", "000000262227",
        "000000324614", "000000364557", "000000368212", "000000435205", "000000483328", "000000502136", "000000539216",
        "000000557172", "000000565004",
    ),
    "coco128": ("000000000009", "000000000194", "000000000384", "000000000486"),
    "voc_animals": (
        "2008_000222", "2008_001660", "2008_001895", "2008_004297", "2008_004774", "2008_006892", "2008_007567",
        "2009_001286", "2009_002333", "2009_002750", "2009_002972", "2010_000140", "2010_002811", "2010_004161",
        "2010_005532", "2011_002911",
    ),
}  # fmt: skip
# and sets in which the vocabulary's rules exclude both: how many pictures of each
WITHOUT_FIRE = {"facade_night": 17, "camvid": 30, "idd_lite": 30, "clothing_ccp": 30, "car_parts": 18, "car_damage": 22}
FOLDERS = {"coco128": "coco128-seg"}


def further_sets(root: Path) -> list[HeldOut]:
    """The small sets that are below `root`."""
    return [each for each in SMALL if (root / each.folder).is_dir()]


def further_questions(root: Path) -> dict[str, "CocoQuestions | HazardQuestions"]:
    """Rows that are no set of their own, where their folders are below `root`."""
    rows: dict[str, CocoQuestions | HazardQuestions] = {}
    if all((root / each.folder).is_dir() for each in COCO_PARTS):
        rows[COCO] = CocoQuestions(root)
    needed = ("fire_smoke", *LOOKALIKES, *WITHOUT_FIRE)
    if all((root / FOLDERS.get(name, name)).is_dir() for name in needed):
        rows |= {word: HazardQuestions(root, word) for word in HAZARDS}
    return rows


class CocoQuestions:
    """The third of COCO128 and the held-out fifth of `coco_mini`, several draws of names a picture.

    Args:
        root: the data kit.
        split: `heldout`, or `train` for a baseline that learns by the rule of the test.
    """

    def __init__(self, root: Path, *, split: str = "heldout") -> None:
        self._parts: list[HeldoutQuestions] = [
            each.questions(root, split=split, seeds=COCO_DRAWS)[0] for each in COCO_PARTS
        ]

    def __len__(self) -> int:
        """How many pictures are read."""
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[Question]:
        for number, question in enumerate(chain.from_iterable(self._parts)):
            prompts = tuple(replace(prompt, index=number) for prompt in question.prompts)
            yield replace(question, index=number, prompts=prompts)


@dataclass(frozen=True)
class _Source:
    """Pictures that are asked for a hazard: those of a set, by number."""

    dataset: str
    indices: tuple[int, ...]


class HazardQuestions:
    """Is there fire, or smoke? Each picture is asked for the word among absent names.

    Asked of the held-out pictures of `fire_smoke`, of which some show only the other one, and of pictures without
    either: lamps, sunsets, lit windows, red cars, streets.

    Args:
        root: the data kit.
        word: one of `HAZARDS`.
    """

    def __init__(self, root: Path, word: str) -> None:
        self._word = word
        names = ("fire_smoke", *LOOKALIKES, *WITHOUT_FIRE)
        self._sets = {name: load(name, root / FOLDERS.get(name, name), "heldout") for name in names}
        self._sources = [
            _Source("fire_smoke", tuple(evenly_spread(len(self._sets["fire_smoke"]), MOST))),
            *(_Source(name, self._named(name, keys)) for name, keys in LOOKALIKES.items()),
            *(_Source(name, tuple(evenly_spread(len(self._sets[name]), most))) for name, most in WITHOUT_FIRE.items()),
        ]

    def __len__(self) -> int:
        """How many pictures are read."""
        return sum(len(source.indices) for source in self._sources)

    def __iter__(self) -> Iterator[Question]:
        number = 0
        for source in self._sources:
            for index in source.indices:
                sample = self._sets[source.dataset][index]
                yield Question(sample, number, self._prompts(sample, number), (), valid=True)
                number += 1

    def _named(self, name: str, keys: Sequence[str]) -> tuple[int, ...]:
        """Numbers of the pictures with these names."""
        dataset = self._sets[name]
        if isinstance(dataset, LabelImageDataset | YoloPolygons):
            found = [pair[0].stem for pair in dataset.pairs()]
        else:  # a pack
            found = [dataset[index].key for index in range(len(dataset))]
        places = {key: index for index, key in enumerate(found)}
        return tuple(places[key] for key in keys if key in places)

    def _prompts(self, sample: SegmentationSample, number: int) -> tuple[Query, ...]:
        mask = sample.masks.get(self._word)
        if mask is not None and mask.mean() < MIN_AREA:
            return ()  # there, but too small to be asked for
        vocabulary = Vocabulary.builtin()
        there = vocabulary.picture(sample.masks, sample.dataset, scene=sample.scene).names
        absent = [name for name in vocabulary.names if name not in there]
        rng = np.random.default_rng((number, len(self._word)))
        names = [self._word, *rng.choice(absent, CATEGORIES - 1, replace=False).tolist()]
        return (Query(number, tuple(rng.permutation(names).tolist()), None if mask is None else self._word),)


def intervals(answers: Sequence[QueryAnswer], *, draws: int = 1000, seed: int = 0) -> dict[str, list[float]]:
    """95 % intervals of the AUC, the right category and the mask IoU, by bootstrap over pictures (Efron, 1979).

    Args:
        answers: of a row; those with the same `index` are of one picture.
        draws: of as many pictures as there are, with replacement.
        seed: fixes them.
    """
    pictures: dict[int, list[QueryAnswer]] = defaultdict(list)
    for answer in answers:
        pictures[answer.index].append(answer)
    groups = list(pictures.values())
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"auc": [], "mask_iou": [], "category_accuracy": []}
    for _ in range(draws):
        drawn = [answer for place in rng.integers(len(groups), size=len(groups)) for answer in groups[place]]
        values = {
            "auc": area([a.positive for a in drawn], [a.logit for a in drawn]),
            "mask_iou": mean_of_known(a.iou for a in drawn),
            "category_accuracy": mean_of_known(a.named for a in drawn),
        }
        for name, value in values.items():
            if value is not None:
                found[name].append(value)
    return {name: np.quantile(values, (0.025, 0.975)).tolist() for name, values in found.items() if values}
