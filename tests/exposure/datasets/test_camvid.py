import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import CamVid


@pytest.fixture
def root(tmp_path):
    for part, columns in {"train": [0, 9, 10, 11], "val": [3, 3, 3, 3], "test": [8, 8, 1, 1]}.items():
        write_picture(tmp_path / part / "0001TP_006690.jpg", width=4)
        write_labels(tmp_path / f"{part}annot" / "0001TP_006690.png", columns)
    return tmp_path


def test_a_rider_and_the_bicycle_share_a_mask(root):
    dataset = CamVid(root, "train")
    assert {name: columns_of(mask) for name, mask in dataset[0].masks.items()} == {
        "sky": [0],
        "pedestrian": [1],
        "bicyclist": [2],
        "person": [1, 2],
        "bicycle": [2],
    }
    assert columns_of(dataset[0].ignore) == [3]
    assert [sample.key for sample in dataset] == ["train/0001TP_006690", "val/0001TP_006690"]


def test_files_and_counts(root):
    dataset = CamVid(root, "heldout")
    assert dataset.counts() == {"images": 1}
    assert list(dataset.files()) == [root / "test" / "0001TP_006690.jpg", root / "testannot" / "0001TP_006690.png"]


def test_pictures_may_be_png_as_in_the_public_copy(root):
    for path in root.glob("*/*.jpg"):
        write_picture(path.with_suffix(".png"), width=4)
        path.unlink()
    dataset = CamVid(root, "heldout")
    assert dataset[0].frames.shape == (1, 6, 4, 3)
    assert list(dataset.files()) == [root / "test" / "0001TP_006690.png", root / "testannot" / "0001TP_006690.png"]


def test_a_value_that_camvid_does_not_have_is_refused(root):
    write_labels(root / "testannot" / "0001TP_006690.png", [8, 12, 1, 1])
    with pytest.raises(InputError, match="12.*testannot"):
        CamVid(root, "heldout")[0]


def test_the_kit_has_the_official_counts(train_sets, heldout_sets):
    for split, sets in (("train", train_sets), ("heldout", heldout_sets)):
        for name in ("camvid", "idd_lite", "coco128", "humans"):
            assert sets[name].counts() == sets[name].expected[split], (name, split)
            assert all(path.is_file() for path in sets[name].files()), (name, split)
            assert sets[name].layout
