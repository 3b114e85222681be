import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import CocoStuff


@pytest.fixture
def root(tmp_path):
    for part, columns in {"train2017": [0, 1, 89, 91, 181, 255], "val2017": [60, 105, 95, 127, 171, 156]}.items():
        write_picture(tmp_path / part / "000000000139.jpg", width=6)
        write_labels(tmp_path / "stuffthingmaps_trainval2017" / part / "000000000139.png", columns)
    return tmp_path


def masks_of(sample):
    return {name: columns_of(mask) for name, mask in sample.masks.items()}


def test_values_are_the_ids_of_things_and_stuff_less_one(root):
    (sample,) = CocoStuff(root, "train")
    assert masks_of(sample) == {
        "person": [0],
        "bicycle": [1],
        "toothbrush": [2],
        "banner": [3],
        "wood": [4],
    }
    assert columns_of(sample.ignore) == [5] and sample.key == "train2017/000000000139"


def test_general_words_cover_what_the_special_ones_took(root):
    dataset = CocoStuff(root, "heldout")
    assert masks_of(dataset[0]) == {
        "cake": [0],
        "food": [0],
        "clouds": [1],
        "sky": [1, 5],
        "building": [2, 3],
        "house": [3],
        "concrete wall": [4],
        "wall": [4],
    }
    assert dataset.counts() == {"images": 1} and CocoStuff.expected["heldout"] == {"images": 5000}


def test_the_words_of_the_official_values():
    # ids of labels.txt less one, at the ends and around the gaps that COCO left
    official = {10: "fire hydrant", 12: "stop sign", 64: "bed", 66: "dining table", 69: "toilet", 71: "tv",
                91: "banner", 123: "grass", 139: "sidewalk", 148: "road", 168: "tree", 180: "window"}  # fmt: skip
    assert {value: CocoStuff.legend[value] for value in official} == official


def test_171_classes_have_a_word_each(root):
    assert len(CocoStuff(root, "train").vocabulary) == 171
    assert len(CocoStuff.legend) == 80 + 91 + 1


def test_reserved_values_that_were_never_drawn_are_refused(root):
    path = root / "stuffthingmaps_trainval2017" / "train2017" / "000000000139.png"
    write_labels(path, [0, 11, 12, 13, 14, 15])
    with pytest.raises(InputError, match="label 11: .*000000000139.png"):
        CocoStuff(root, "train")[0]


def test_files_are_listed_without_being_read(root):
    path = root / "stuffthingmaps_trainval2017" / "val2017" / "000000000139.png"
    path.unlink()
    dataset = CocoStuff(root, "heldout")
    assert list(dataset.files()) == [root / "val2017" / "000000000139.jpg", path]
    with pytest.raises(InputError, match=str(path)):
        dataset[0]
