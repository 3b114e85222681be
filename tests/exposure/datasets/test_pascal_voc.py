import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import PascalVoc


@pytest.fixture
def root(tmp_path):
    voc = tmp_path / "VOCdevkit" / "VOC2012"
    for stem in ("2007_000032", "2007_000033", "2008_000001"):
        write_picture(voc / "JPEGImages" / f"{stem}.jpg", width=5)
    write_labels(voc / "SegmentationClass" / "2007_000032.png", [0, 255, 15, 2, 20], palette=True)
    write_labels(voc / "SegmentationClass" / "2007_000033.png", [0, 0, 0, 255, 1], palette=True)
    lists = voc / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n")
    (lists / "val.txt").write_text("2007_000033\n2007_000999\n")
    return tmp_path


def test_palette_indices_are_classes_and_the_border_is_ignored(root):
    (sample,) = PascalVoc(root, "train")
    assert {name: columns_of(mask) for name, mask in sample.masks.items()} == {
        "bicycle": [3],
        "person": [2],
        "tv": [4],
    }
    assert columns_of(sample.ignore) == [1] and sample.key == "train/2007_000032"


def test_the_official_lists_say_which_photos_count(root):
    dataset = PascalVoc(root, "heldout")
    assert dataset.counts() == {"images": 2} and set(PascalVoc.expected["heldout"]) == {"images"}
    assert list(dataset[0].masks) == ["airplane"]
    with pytest.raises(InputError, match="2007_000999.jpg"):
        dataset[1]
    assert [path.is_file() for path in dataset.files()] == [True, True, False, False]


def test_a_missing_list_and_an_unknown_class_are_named(root):
    voc = root / "VOCdevkit" / "VOC2012"
    write_labels(voc / "SegmentationClass" / "2007_000032.png", [0, 21, 0, 0, 0], palette=True)
    with pytest.raises(InputError, match="21.*2007_000032.png"):
        PascalVoc(root, "train")[0]
    (voc / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(InputError, match="val.txt.*SegmentationClass"):
        PascalVoc(root, "heldout")


def test_twenty_classes_have_words(root):
    assert len(PascalVoc(root, "train").vocabulary) == 20
