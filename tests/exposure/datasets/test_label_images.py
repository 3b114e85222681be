import numpy as np
import pytest
from label_trees import columns_of, write_labels, write_picture
from picture_files import STORED, save_turned

from lavida.errors import InputError
from lavida.exposure.datasets.label_images import BACKGROUND, IGNORE, LabelImageDataset


class Potholes(LabelImageDataset):
    name = "potholes"
    images = "photos/{part}/*.jpg"
    labels = "damage/{part}/*_damage.png"
    parts = {"train": ("train", "extra"), "heldout": ("validation",)}
    expected = {"train": {"images": 2}, "heldout": {"images": 1}}
    legend = {0: BACKGROUND, 1: "pothole", 2: "long crack", 3: "cross crack", 4: "pothole", 255: IGNORE}
    unions = {"crack": ("long crack", "cross crack"), "damage": ("pothole", "crack"), "puddle": ("water",)}


@pytest.fixture
def root(tmp_path):
    for part, columns in {"train": [0, 1, 2, 255], "extra": [4, 3, 2, 1], "validation": [0, 0, 0, 0]}.items():
        write_picture(tmp_path / "photos" / part / "a.jpg", width=4)
        write_labels(tmp_path / "damage" / part / "a_damage.png", columns)
    return tmp_path


def test_values_become_the_masks_of_their_words(root):
    first, second = Potholes(root, "train")
    assert {name: columns_of(mask) for name, mask in first.masks.items()} == {
        "pothole": [1],
        "long crack": [2],
        "crack": [2],
        "damage": [1, 2],
    }
    assert columns_of(first.ignore) == [3]
    assert {name: columns_of(mask) for name, mask in second.masks.items()} == {
        "pothole": [0, 3],  # two values, one word
        "long crack": [2],
        "cross crack": [1],
        "crack": [1, 2],
        "damage": [0, 1, 2, 3],  # the union of a word and a union
    }
    assert first.frames.shape == (1, 6, 4, 3) and first.frames.dtype == np.uint8
    assert not second.ignore.any() and second.dataset == "potholes"


def test_background_alone_is_a_picture_without_classes(root):
    (sample,) = Potholes(root, "heldout")
    assert sample.masks == {} and not sample.ignore.any() and sample.key == "validation/a"


def test_a_split_joins_its_official_parts(root):
    assert [sample.key for sample in Potholes(root, "train")] == ["train/a", "extra/a"]
    assert Potholes(root, "train").counts() == Potholes.expected["train"]
    assert Potholes(root, "heldout").counts() == Potholes.expected["heldout"]


def test_the_vocabulary_has_every_word_that_can_have_a_mask_once(root):
    assert Potholes(root, "heldout").vocabulary == ("pothole", "long crack", "cross crack", "crack", "damage")


def test_the_layout_is_made_from_the_patterns():
    wanted = "photos/<train|extra|validation>/*.jpg, damage/<train|extra|validation>/*_damage.png"
    assert Potholes.layout == wanted


def test_one_missing_label_image_spoils_one_sample(root):
    lost = root / "damage" / "extra" / "a_damage.png"
    lost.unlink()
    dataset = Potholes(root, "train")
    assert dataset[0].masks
    with pytest.raises(InputError, match=str(lost)):
        dataset[1]
    assert [path.relative_to(root).as_posix() for path in dataset.files()] == [
        "photos/train/a.jpg",
        "damage/train/a_damage.png",
        "photos/extra/a.jpg",
        "damage/extra/a_damage.png",
    ]


def test_an_unknown_value_is_named_with_its_file(root):
    write_labels(root / "damage" / "validation" / "a_damage.png", [0, 77, 1, 255])
    with pytest.raises(InputError, match="77.*a_damage.png"):
        Potholes(root, "heldout")[0]


def test_labels_of_another_size_are_an_error(root):
    write_labels(root / "damage" / "validation" / "a_damage.png", [0, 1, 1, 0, 0])
    with pytest.raises(InputError, match="wrong size"):
        Potholes(root, "heldout")[0]


@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_turned_and_its_labels_stay_on_what_they_show(root, orientation):
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[8:16, 8:40] = 255
    save_turned(root / "photos" / "validation" / "a.jpg", upright, orientation, quality=95)
    labels = (upright[..., 0] > 0).astype(np.uint8)
    save_turned(root / "damage" / "validation" / "a_damage.png", labels, 1)
    (sample,) = Potholes(root, "heldout")
    assert sample.frames.shape == (1, 40, 64, 3)
    assert np.array_equal(sample.masks["pothole"], sample.frames[..., 0] > 127)


def test_what_a_label_image_shows_is_told_without_its_picture(root):
    dataset = Potholes(root, "train")
    (_, labels), _ = dataset.pairs()
    assert dataset.words(labels) == {"pothole", "long crack", "crack", "damage"}
    write_labels(labels, [0, 255, 0, 0])
    assert dataset.words(labels) == set()
    write_labels(labels, [0, 77, 1, 1])
    with pytest.raises(InputError, match="77.*a_damage.png"):
        dataset.words(labels)


def test_hidden_files_are_no_pictures(root):
    (root / "photos" / "validation" / "._a.jpg").write_bytes(b"left by another system")
    assert len(Potholes(root, "heldout")) == 1


@pytest.mark.parametrize("suffix", [".JPG", ".Jpg"])
def test_suffixes_may_be_written_in_capitals(root, suffix):
    picture, labels = root / "photos" / "validation" / "a.jpg", root / "damage" / "validation" / "a_damage.png"
    picture.rename(picture.with_suffix(suffix))
    labels.rename(labels.with_suffix(".PNG"))
    write_picture(root / "photos" / "validation" / "b.jpg", width=4)
    dataset = Potholes(root, "heldout")
    assert len(dataset) == 2 and dataset[0].key == "validation/a" and dataset[0].frames.shape == (1, 6, 4, 3)
    assert next(iter(dataset.pairs())) == (picture.with_suffix(suffix), labels.with_suffix(".PNG"))


def test_a_picture_that_is_there_in_capitals_too_is_one_sample(root):
    write_picture(root / "photos" / "validation" / "a.JPG", width=9)
    (sample,) = Potholes(root, "heldout")
    assert sample.frames.shape == (1, 6, 4, 3)


def test_label_images_without_a_picture_are_remarked(root):
    assert list(Potholes(root, "train").remarks()) == []
    lost = root / "damage" / "extra" / "b_damage.png"
    write_labels(lost, [0, 1, 1, 0])
    assert [each.text for each in Potholes(root, "train").remarks()] == [
        f"without a picture: 1 label files, first: {lost}"
    ]
    assert list(Potholes(root, "heldout").remarks()) == []


def test_the_layout_is_told_where_something_is_missing(root):
    (root / "photos" / "validation" / "a.jpg").unlink()
    for folder, split in ((root, "heldout"), (root / "nowhere", "train")):
        with pytest.raises(InputError, match=str(folder)) as error:
            Potholes(folder, split)
        assert Potholes.layout in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_split_is_an_error(root):
    with pytest.raises(InputError, match="train, heldout"):
        Potholes(root, "validation")
