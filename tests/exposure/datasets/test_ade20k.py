import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import Ade20k
from lavida.exposure.datasets.ade20k import NAMES, WORDS

HEADER = "Idx\tRatio\tTrain\tVal\tName\n"


@pytest.fixture
def root(tmp_path):
    for part, stem, columns in (
        ("training", "ADE_train_00000001", [0, 13, 31, 20, 117, 73]),
        ("validation", "ADE_val_00000001", [1, 2, 49, 150, 90, 14]),
    ):
        write_picture(tmp_path / "images" / part / f"{stem}.jpg", width=6)
        write_labels(tmp_path / "annotations" / part / f"{stem}.png", columns)
    return tmp_path


def masks_of(sample):
    return {name: columns_of(mask) for name, mask in sample.masks.items()}


def test_label_0_is_ignored_and_the_names_are_plain(root):
    (sample,) = Ade20k(root, "train")
    assert masks_of(sample) == {
        "person": [1],
        "armchair": [2],
        "chair": [2, 3],
        "motorcycle": [4],
        "palm tree": [5],
        "tree": [5],
    }
    assert columns_of(sample.ignore) == [0] and sample.key == "training/ADE_train_00000001"


def test_heldout_is_the_official_validation(root):
    dataset = Ade20k(root, "heldout")
    assert masks_of(dataset[0]) == {
        "wall": [0],
        "building": [1, 2],
        "ground": [5],
        "skyscraper": [2],
        "tv": [4],
        "flag": [3],
    }
    assert dataset.counts() == {"images": 1} and Ade20k.expected["heldout"] == {"images": 2000}
    assert [path.parent.name for path in dataset.files()] == ["validation", "validation"]


def test_150_names_are_built_in():
    assert len(NAMES) == len(set(NAMES)) == 150 and set(WORDS) <= set(NAMES)
    assert (NAMES[12], NAMES[49], NAMES[99], NAMES[149]) == ("person", "fireplace", "buffet", "flag")


def test_the_list_in_the_root_replaces_the_names(root):
    rows = [f"{value}\t0.1\t10\t1\tthing {value}, object" for value in range(1, 150)]
    rows[12] = "13\t0.1\t10\t1\tsofa, couch, lounge"
    (root / "objectInfo150.txt").write_text(HEADER + "\n".join(rows) + "\n")
    (sample,) = Ade20k(root, "train")
    assert masks_of(sample)["couch"] == [1] and masks_of(sample)["thing 31"] == [2]
    with pytest.raises(InputError, match="150.*ADE_val_00000001.png"):  # the list ends at 149
        Ade20k(root, "heldout")[0]


def test_the_official_list_says_what_is_built_in(root):
    built_in = Ade20k(root, "train").vocabulary
    rows = [f"{value} \t0.1\t10\t1\t{name}, synonym " for value, name in enumerate(NAMES, start=1)]
    (root / "objectInfo150.txt").write_text(HEADER + "\n".join(rows) + "\n")
    assert Ade20k(root, "train").vocabulary == built_in


def test_a_broken_list_and_a_missing_label_image_are_named(root):
    (root / "annotations" / "training" / "ADE_train_00000001.png").unlink()
    with pytest.raises(InputError, match="ADE_train_00000001.png"):
        Ade20k(root, "train")[0]
    (root / "objectInfo150.txt").write_text(HEADER + "1 wall\n")
    with pytest.raises(InputError, match="objectInfo150.txt"):
        Ade20k(root, "train")
