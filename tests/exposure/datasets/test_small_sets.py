"""The small sets of one layout: what each class is called, what is ignored, and who is held out."""

import json
from pathlib import Path

import numpy as np
import pytest
from label_trees import HEIGHT, columns_of, write_labels, write_picture
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets import DATASETS, load
from lavida.exposure.datasets.kit_sets import KitSet, in_part
from lavida.exposure.lexicon import read_builtin
from lavida.exposure.mixture import Mixture
from lavida.exposure.views import reframe
from lavida.exposure.vocabulary import Vocabulary

SMALL = [name for name, kind in DATASETS.items() if issubclass(kind, KitSet)]
OTHERS = ["coco_mini", "weapon_boxes"]
CLASSES = {
    "fire_smoke": "fire, smoke",
    "clothing_ccp": "bag, purse, skin, hair, boots, coat, sunglasses",
    "animals": "deer, rhesus monkey",
    "cdnet_highway": "moving car, shadow",
    "football": "advertisement, field, football, goalkeeper 1, referee, spectators, team 1",
    "streets_peru": "vehicle, pedestrian, road, motorcycle",
    "facade_night": "facade, window, shop, traffic infrastructure",
    "car_parts": "front bumper, back window, tailgate, wheel",
    "potholes": "pothole",
    "car_damage": "car damage",
    "ppe": "helmet, vest",
    "vehicles_small": "truck, autorickshaw, person, rider",
    "voc_animals": "aeroplane, diningtable, person",
}


def write_set(root: Path, name: str, pictures: dict[str, list[int]]) -> Path:
    """A set with the classes above; column i of a picture has the value given for it."""
    for stem, columns in pictures.items():
        write_picture(root / "images" / f"{stem}.jpg", width=len(columns))
        write_labels(root / "masks" / f"{stem}.png", columns)
    (root / "classes.json").write_text(json.dumps(["background", *CLASSES[name].split(", ")]))
    return root


@pytest.mark.parametrize(
    ("name", "columns", "masks", "ignored"),
    [
        (
            "clothing_ccp",
            [0, 1, 2, 3, 4, 5, 6, 7],
            {
                "bag": [1, 2], "handbag": [2], "hair": [4], "shoe": [5], "coat": [6], "clothes": [6], "sunglasses": [7],
                "eyeglasses": [7], "person": [3, 4, 5, 6, 7],
            },
            [0],
        ),
        ("animals", [0, 1, 2, 255], {"deer": [1], "monkey": [2]}, [3]),
        ("cdnet_highway", [0, 1, 2, 255], {"car": [1], "vehicle": [1], "moving vehicle": []}, [3]),
        (
            "football",
            [1, 2, 3, 4, 5, 6, 7],
            {
                "billboard": [0], "playing field": [1], "grass": [1], "ball": [2], "sports ball": [2],
                "goalkeeper": [3], "referee": [4], "group of people": [5], "person": [3, 4, 5, 6],
            },
            [],
        ),
        (  # the rider is in the mask of the motorcycle: no mask shows all persons
            "streets_peru",
            [1, 2, 3, 4],
            {
                "vehicle": [0, 3], "pedestrian": [1], "road": [2], "motorcycle": [3], "person": [], "rider": [],
                "motorcyclist": [], "car": [],
            },
            [],
        ),
        ("streets_peru", [0, 2, 2, 0], {"pedestrian": [1, 2], "person": [1, 2]}, []),
        (
            "facade_night",
            [1, 2, 3, 4, 0],
            {"building": [0, 1, 2], "window": [1], "shop": [2]},
            [3],
        ),
        (
            "car_parts",
            [1, 2, 3, 4, 255],
            {
                "bumper": [0], "window": [1], "car trunk": [2], "wheel": [3], "car": [0, 1, 2, 3],
                "vehicle": [0, 1, 2, 3],
            },
            [4],
        ),
        ("potholes", [0, 1], {"pothole": [1], "road": []}, []),
        ("car_damage", [0, 1], {"car damage": [1], "car": [], "vehicle": []}, []),
        ("ppe", [0, 1, 2], {"helmet": [1], "safety vest": [2], "person": []}, []),
        (
            "vehicles_small",
            [1, 2, 3, 4],
            {"truck": [0], "autorickshaw": [1], "vehicle": [0, 1], "rider": [3], "person": [2, 3]},
            [],
        ),
        ("voc_animals", [1, 2, 3, 255], {"airplane": [0], "dining table": [1], "person": [2]}, [3]),
    ],
)  # fmt: skip
def test_classes_become_words(tmp_path, name, columns, masks, ignored):
    write_set(tmp_path, name, {"001": columns, "002": [0] * len(columns)})
    sample = load(name, tmp_path, "train")[0]
    assert {word: columns_of(mask) for word, mask in sample.masks.items()} == masks
    assert columns_of(sample.ignore) == ignored and sample.key == "001" and sample.scene == ""
    for word in masks:
        for implied in read_builtin()["classes"][word].get("implies", ()):
            if masks.get(implied):  # what is surely there too has at least its pixels
                assert set(masks[word]) <= set(masks[implied]), (word, implied)


def test_what_is_far_from_all_that_is_labelled_is_unknown_unless_nobody_else_is_there(tmp_path):
    write_set(tmp_path, "clothing_ccp", {"0001": [3, 3, 0, 0], "0002": [3, 3, 0, 0]})
    for name in ("0001", "0002"):  # as high as wide
        for folder, end in (("images", "jpg"), ("masks", "png")):
            path = tmp_path / folder / f"{name}.{end}"
            Image.open(path).resize((48, 48), Image.Resampling.NEAREST).save(path)
    street, wall = load("clothing_ccp", tmp_path, "train")
    assert street.ignore[0, 0].tolist() == [False] * (24 + 4) + [True] * 20  # a twelfth of the height beside them
    assert not wall.ignore.any() and (street.key, wall.key) == ("0001", "alone/0002")
    may_be = [Vocabulary.builtin().picture(each.masks, each.dataset, scene=each.scene) for each in (street, wall)]
    assert [picture.may_show("hat") for picture in may_be] == [True, False]
    assert street.partial == {"person"} and not wall.partial
    views = [reframe(street, size=32, rng=np.random.default_rng(n), scale=(3, 4), drop_share=1) for n in range(20)]
    lost = [view for view in views if not view.masks["person"].any()]
    assert lost and not any("person" in view.out_of_view for view in views)  # there may be a bystander
    of_wall = [reframe(wall, size=32, rng=np.random.default_rng(n), scale=(3, 4), drop_share=1) for n in range(20)]
    assert any("person" in view.out_of_view for view in of_wall)
    assert not may_be[1].may_show("group of people") and may_be[1].may_show("umbrella")


def test_what_boxes_of_other_things_cover_is_ignored(tmp_path):
    write_set(tmp_path, "fire_smoke", {"t_x": [1, 1, 2, 0, 2, 0, 0, 0, 0, 0]})
    (tmp_path / "boxes.json").write_text(
        json.dumps(
            {
                "t_x": [
                    ["fire", 0, 0, 0.2, 1],
                    ["fire", 0.4, 0, 0.5, 1],
                    ["person", 0.15, 0, 0.3, 1],
                    ["bicycle", 0.9, 0, 1, 0.5],
                ]
            }
        )
    )
    sample = load("fire_smoke", tmp_path, "train")[0]
    assert {word: columns_of(mask) for word, mask in sample.masks.items()} == {
        "fire": [0, 1], "smoke": [2, 4], "person": [], "bicycle": [],
    }  # fmt: skip
    assert sample.ignore[0, 0].nonzero()[0].tolist() == [1, 2, 4, 9] and sample.ignore[0, -1].sum() == 3
    assert load("fire_smoke", tmp_path, "train").vocabulary == ("fire", "smoke")


@pytest.mark.parametrize("suffix", [".jpg", ".JPG"])
def test_a_weapon_is_somewhere_in_its_box_and_nowhere_else(tmp_path, suffix):
    write_picture(tmp_path / "images" / f"train_a{suffix}", width=4)
    (tmp_path / "boxes.json").write_text(json.dumps({"train_a": [["pistol", 0, 0, 0.5, 1], ["knife", 0.5, 0, 0.7, 1]]}))
    sample = load("weapon_boxes", tmp_path, "train")[0]
    assert {word: columns_of(mask) for word, mask in sample.masks.items()} == {
        "pistol": [0, 1], "gun": [0, 1], "knife": [2],
    }  # fmt: skip
    assert columns_of(sample.ignore) == [0, 1, 2]
    (tmp_path / "boxes.json").write_text(json.dumps({"train_a": [["pistol", 0, 0, 50, 1]]}))
    with pytest.raises(InputError, match=r"boxes\.json"):
        load("weapon_boxes", tmp_path, "train")


@pytest.mark.parametrize(("name", "folder"), [("coco_mini", "."), ("coco128", "train2017")])
def test_photos_in_capitals_are_found(tmp_path, name, folder):
    for stem in ("a", "b"):
        write_picture(tmp_path / "images" / folder / f"{stem}.JPG", width=4)
    (tmp_path / "labels" / folder).mkdir(parents=True)
    (tmp_path / "labels" / folder / "b.txt").write_text("0 0 0 0.5 0 0.5 1 0 1\n")
    assert "person" in {word for sample in load(name, tmp_path, "train") for word in sample.masks}


def test_a_highway_clip_has_moving_vehicles_and_no_gap(tmp_path):
    write_set(tmp_path, "cdnet_highway", {f"{n:06d}": [0, 1, 2] for n in (3, 6, 9, 15, 18)})
    clips = load("cdnet_highway", tmp_path, "train", clip_length=2)
    assert [clip.key for clip in clips] == ["000003", "000006", "000015"]
    clip = clips[0]
    assert clip.frames.shape == (2, HEIGHT, 3, 3) and clip.masks["moving vehicle"].sum() == 2 * HEIGHT
    assert clips.counts() == {"images": 5}
    with pytest.raises(InputError, match="clip of 4"):
        load("cdnet_highway", tmp_path, "train", clip_length=4)


def test_the_list_says_who_is_held_out_and_who_is_in_neither_split(tmp_path):
    columns = [0, 1]
    write_set(tmp_path, "football", {"001": columns, "079": columns, "100": columns})
    assert [sample.key for sample in load("football", tmp_path, "heldout")] == ["079", "100"]
    assert [sample.key for sample in load("football", tmp_path, "train")] == ["001"]
    assert not in_part("humans", "102", "train") and not in_part("humans", "102", "heldout")


@pytest.mark.parametrize("name", [*SMALL, *OTHERS])
def test_the_kit_has_what_is_expected(kit, name):
    vocabulary, asked = Vocabulary.builtin(), set()
    for split in ("train", "heldout"):
        dataset = load(name, kit / name, split)
        assert dataset.counts() == dataset.expected[split], split
        assert set(dataset.vocabulary) <= set(vocabulary.classes)
        for index in np.linspace(0, len(dataset) - 1, 5).astype(int):
            sample = dataset[index]
            asked |= set(sample.masks)
            absent = set(vocabulary.names) - vocabulary.picture(sample.masks, name).names
            assert len(absent) >= 20, "too few names are surely absent to ask for"
            assert all(mask.shape == sample.frames.shape[:3] for mask in sample.masks.values())
    assert asked <= set(vocabulary.classes)
    held_out = dataset.expected["heldout"]["images"] / sum(counts["images"] for counts in dataset.expected.values())
    assert 0.16 < held_out < 0.25


def test_held_out_stretches_are_contiguous(kit):
    for name in ("cdnet_highway", "football"):
        stems = sorted(path.stem for path in (kit / name / "images").iterdir())
        first = [in_part(name, stem, "heldout") for stem in stems].index(True)
        assert all(in_part(name, stem, "heldout") for stem in stems[first:])


def test_a_broken_list_of_classes_is_named(tmp_path):
    write_set(tmp_path, "potholes", {"001": [0, 1]})
    (tmp_path / "classes.json").write_text("[]")
    with pytest.raises(InputError, match=r"classes\.json"):
        load("potholes", tmp_path, "train")


def test_removed_categories_stay_removed_in_every_new_set(kit):
    """No name, phrase or mask says one, and its pixels are ignored; it is listed, so that it is not denied either."""
    removed = ("bus", "train", "traffic light", "bench", "zebra", "cow", "pizza", "banana", "orange", "fork", "frisbee")
    names = ("coco_mini", "voc_animals", "vehicles_small")
    sets = [load(name, kit / name, "train") for name in names]
    mixture = Mixture(sets, [1.0] * len(sets), cache=False, removed=removed)
    assert not set(removed) & set(mixture.names)
    seen = set()
    for dataset in sets:
        for index in range(0, len(dataset), 3):
            whole = dataset[index]
            sample = mixture.removal.apply(whole)
            for name in set(removed) & set(whole.masks):
                seen.add((dataset.name, name))
                assert not sample.masks[name].any() and (sample.ignore | ~whole.masks[name]).all()
    assert {name for name, _ in seen} == set(names) and len(seen) > 8
