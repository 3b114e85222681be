"""The refer data sets, written in their official layout: pickles, polygons, run lengths, several and no targets."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_rle

from lavida.errors import InputError
from lavida.exposure.datasets import load

HEIGHT, WIDTH = 20, 30
PICTURE = "COCO_train2014_000000000007.jpg"
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]


def box(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def object_(number: int | str, category: int, segmentation: Any, *, picture: int = 7) -> dict[str, Any]:
    return {"id": number, "image_id": picture, "category_id": category, "segmentation": segmentation, "iscrowd": 0}


def reference(objects: Any, *texts: str, split: str = "train", picture: int = 7) -> dict[str, Any]:
    # the file name of a reference is not that of the picture, in the official files too
    name = f"COCO_train2014_{picture:012d}_{objects}.jpg"
    sentences = [{"sent": text, "raw": text.upper(), "tokens": text.split(), "sent_id": 0} for text in texts]
    return {"ann_id": objects, "image_id": picture, "split": split, "sentences": sentences, "file_name": name}


LEFT_MAN, RIGHT_MAN, DOG, CAR = 1, 2, 3, 4
OBJECTS = [
    object_(LEFT_MAN, 1, box(0, 0, 5, 20)),
    object_(RIGHT_MAN, 1, [*box(20, 0, 25, 5), *box(20, 10, 25, 15)]),
    object_(DOG, 18, box(10, 10, 15, 20)),
    object_(CAR, 3, box(26, 0, 30, 20)),
]


def write(
    root: Path,
    references: list[dict[str, Any]],
    *,
    objects: list[dict[str, Any]] = OBJECTS,
    folder: str = "refcoco",
    refs: str = "refs(unc).p",
    pictures: str = "images/mscoco/images/train2014",
    names: dict[int, str] | None = None,
) -> Path:
    names = {7: PICTURE} if names is None else names
    (root / folder).mkdir(parents=True, exist_ok=True)
    written = pickle.dumps(references, protocol=2) if refs.endswith(".p") else json.dumps(references).encode()
    (root / folder / refs).write_bytes(written)
    images = [{"id": n, "file_name": name, "height": HEIGHT, "width": WIDTH} for n, name in names.items()]
    content = {"images": images, "annotations": objects, "categories": CATEGORIES}
    (root / folder / "instances.json").write_text(json.dumps(content))
    for name in names.values():
        (root / pictures / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), "gray").save(root / pictures / name)
    return root


def filled(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((1, HEIGHT, WIDTH), bool)
    mask[:, top:bottom, left:right] = True
    return mask


def test_all_that_is_said_of_a_picture_is_one_sample(tmp_path):
    said = [
        reference(LEFT_MAN, "left  man ", "guy on the left"),
        reference(RIGHT_MAN, "right man"),
        reference(DOG, "the dog", split="val"),
    ]
    dataset = load("refcoco", write(tmp_path, said), "train")
    assert len(dataset) == 1
    sample = dataset[0]
    assert sample.frames.shape == (1, HEIGHT, WIDTH, 3) and sample.key == f"train/{Path(PICTURE).stem}"
    assert (sample.masks["left man"] == filled(0, 0, 5, 20)).all()
    assert (sample.masks["right man"] == filled(20, 0, 25, 5) | filled(20, 10, 25, 15)).all()
    assert sample.expressions == {"left man": ("guy on the left",)}
    assert dataset.vocabulary == ("left man", "guy on the left", "right man")


def test_categories_of_all_objects_are_present_with_an_empty_mask(tmp_path):
    sample = load("refcoco", write(tmp_path, [reference(LEFT_MAN, "left man")]), "train")[0]
    assert set(sample.masks) == {"left man", "person", "dog", "car"}
    assert not any(sample.masks[name].any() for name in ("person", "dog", "car"))


def test_an_expression_that_is_a_category_keeps_its_mask(tmp_path):
    sample = load("refcoco", write(tmp_path, [reference(DOG, "dog")]), "train")[0]
    assert (sample.masks["dog"] == filled(10, 10, 15, 20)).all()


def test_one_text_for_two_objects_means_both(tmp_path):
    said = [reference(LEFT_MAN, "man", "left man"), reference(RIGHT_MAN, "man", "right man")]
    sample = load("refcoco", write(tmp_path, said), "train")[0]
    assert (sample.masks["man"] == sample.masks["left man"] | sample.masks["right man"]).all()
    assert sample.masks["left man"].sum() < sample.masks["man"].sum() and sample.expressions == {}


def test_heldout_is_the_official_val(tmp_path):
    said = [reference(LEFT_MAN, "left man"), reference(DOG, "the dog", split="val"), reference(CAR, "x", split="testA")]
    dataset = load("refcoco", write(tmp_path, said), "heldout")
    assert dataset.vocabulary == ("the dog",) and dataset[0].key.startswith("val/")
    assert dataset.counts() == {"images": 1, "references": 1, "expressions": 1}
    assert dataset.expected["heldout"] == {"images": 1500, "references": 3811, "expressions": 10834}


def test_grefcoco_joins_targets_and_leaves_what_is_not_there(tmp_path):
    said = [
        reference([LEFT_MAN, RIGHT_MAN], "both men"),
        reference([-1], "the red bus", "a cat"),
        reference([DOG], "a dog"),
        reference([CAR], ""),  # the official file has references without a text
        reference([-1], "a dog", "person"),  # contradicts what is labelled
    ]
    root = write(tmp_path, said, folder="grefcoco", refs="grefs(unc).json")
    dataset = load("grefcoco", root, "train")
    sample = dataset[0]
    assert (sample.masks["both men"] == filled(0, 0, 5, 20) | filled(20, 0, 25, 5) | filled(20, 10, 25, 15)).all()
    assert sample.out_of_view == {"the red bus", "a cat"}
    assert dataset.vocabulary == ("both men", "a dog")


@pytest.mark.parametrize("nested", [False, True])
def test_refclef_has_run_lengths_and_categories_with_hyphens(tmp_path, nested):
    code = coco_rle.encode(np.asfortranarray(filled(3, 4, 9, 12)[0], dtype=np.uint8))
    code = {"size": list(code["size"]), "counts": code["counts"].decode()}
    objects = [object_("1007_1", 1, [code], picture=1007), object_("1007_2", 2, [code], picture=1007)]
    said = [reference("1007_1", "the boy", picture=1007)]
    name = "01/images/1007.jpg" if nested else "1007.jpg"
    place = {"folder": "refclef", "pictures": "images/saiapr_tc-12", "names": {1007: name}}
    root = write(tmp_path, said, objects=objects, **place)
    if nested:  # the authors' own folders; the annotations still say 1007.jpg
        (root / "images" / "saiapr_tc-12" / "00").mkdir()
    instances = json.loads((root / "refclef" / "instances.json").read_text())
    instances["images"][0]["file_name"] = "1007.jpg"
    instances["categories"] = [{"id": 1, "name": "child-boy"}, {"id": 2, "name": "sky-blue"}]
    (root / "refclef" / "instances.json").write_text(json.dumps(instances))
    sample = load("refclef", root, "train")[0]
    assert (sample.masks["the boy"] == filled(3, 4, 9, 12)).all()
    assert set(sample.masks) == {"the boy", "child boy", "person", "sky blue", "sky"}


def test_uncompressed_run_lengths_and_empty_outlines(tmp_path):
    crowd = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT, HEIGHT * (WIDTH - 1)]}
    objects = [object_(1, 1, crowd), object_(2, 18, []), object_(3, 18, [[1, 1, 2, 2]])]
    said = [reference(1, "crowd"), reference(2, "hidden dog"), reference(3, "a line")]
    sample = load("refcoco", write(tmp_path, said, objects=objects), "train")[0]
    assert (sample.masks["crowd"] == filled(0, 0, 1, HEIGHT)).all()
    assert not sample.masks["hidden dog"].any() and not sample.masks["a line"].any()


def test_every_division_has_its_own_file_and_counts(tmp_path):
    root = write(tmp_path, [reference(DOG, "dog")], folder="refcocog", refs="refs(umd).p")
    write(root, [reference(CAR, "car")], folder="refcocog", refs="refs(google).p")
    assert load("refcocog", root, "train").vocabulary == ("dog",)
    google = load("refcocog", root, "train", split_by="google")
    assert google.vocabulary == ("car",) and google.expected["train"]["images"] == 24698
    with pytest.raises(InputError, match="umd, google"):
        load("refcocog", root, "train", split_by="unc")


@pytest.mark.parametrize("name", ["refclef", "refcoco", "refcoco_plus", "refcocog", "grefcoco"])
def test_a_missing_folder_names_the_layout(name, tmp_path):
    with pytest.raises(InputError, match="instances.json, images/"):
        load(name, tmp_path, "train")


def test_a_missing_picture_is_listed_and_fails_only_when_read(tmp_path):
    said = [reference(DOG, "dog"), reference(9, "tree", picture=8)]
    objects = [*OBJECTS, object_(9, 3, box(0, 0, 2, 2), picture=8)]
    root = write(tmp_path, said, objects=objects, names={7: PICTURE, 8: "lost.jpg"})
    pictures = root / "images" / "mscoco" / "images" / "train2014"
    (pictures / "lost.jpg").unlink()
    dataset = load("refcoco", root, "train")
    assert list(dataset.files()) == [pictures / PICTURE, pictures / "lost.jpg"] and dataset[0].masks["dog"].any()
    with pytest.raises(InputError, match=r"lost\.jpg"):
        dataset[1]


def test_a_picture_of_another_size_is_refused(tmp_path):
    root = write(tmp_path, [reference(DOG, "dog")])
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(root / "images" / "mscoco" / "images" / "train2014" / PICTURE)
    with pytest.raises(InputError, match="wrong size"):
        load("refcoco", root, "train")[0]


class Attack:
    def __reduce__(self):
        return os.mkdir, ("owned",)


class State:
    """Needs its class when it is read."""


@pytest.mark.parametrize("content", [Attack(), State(), np.float64(1)])
def test_a_pickle_that_is_more_than_plain_data_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path, [reference(DOG, "dog")])
    (root / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps([content]))
    with pytest.raises(InputError, match=r"refs\(unc\)\.p"):
        load("refcoco", root, "train")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(3), pickle.dumps([{"split": "train"}])])
def test_a_damaged_pickle_is_named(tmp_path, content):
    root = write(tmp_path, [reference(DOG, "dog")])
    (root / "refcoco" / "refs(unc).p").write_bytes(content)
    with pytest.raises(InputError, match=r"refs\(unc\)\.p"):
        load("refcoco", root, "train")


def test_texts_of_python_2_are_read(tmp_path):
    root = write(tmp_path, [reference(DOG, "dog")])
    written = pickle.dumps([reference(DOG, "caf1")], protocol=0).replace(b"Vcaf1", b"S'caf\\xc3\\xa9'")
    (root / "refcoco" / "refs(unc).p").write_bytes(written)
    assert load("refcoco", root, "train").vocabulary == ("café",)


@pytest.mark.parametrize("change", [{"annotations": []}, {"images": []}, {"categories": []}, {"annotations": None}])
def test_instances_that_do_not_fit_are_named(tmp_path, change):
    root = write(tmp_path, [reference(DOG, "dog")])
    path = root / "refcoco" / "instances.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=r"instances\.json"):
        load("refcoco", root, "train")


@pytest.mark.parametrize("outline", [{"size": [3, 3], "counts": [9]}, [["x"] * 6], 3, [{"size": [20, 30]}]])
def test_an_outline_that_cannot_be_drawn_is_named(tmp_path, outline):
    dataset = load("refcoco", write(tmp_path, [reference(5, "it")], objects=[object_(5, 1, outline)]), "train")
    with pytest.raises(InputError, match=r"object 5 .*instances\.json"):
        dataset[0]
