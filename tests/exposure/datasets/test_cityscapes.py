import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import Cityscapes


@pytest.fixture
def root(tmp_path):
    for part, city, columns in (
        ("train", "aachen", [7, 24, 25, 33, 0, 6]),
        ("val", "munster", [17, 18, 21, 26, 32, 23]),
    ):
        stem = f"{city}_000000_000019"
        write_picture(tmp_path / "leftImg8bit" / part / city / f"{stem}_leftImg8bit.png", width=6)
        write_labels(tmp_path / "gtFine" / part / city / f"{stem}_gtFine_labelIds.png", columns)
        write_labels(tmp_path / "gtFine" / part / city / f"{stem}_gtFine_instanceIds.png", columns)
    return tmp_path


def test_label_ids_are_read_and_the_void_ones_ignored(root):
    (sample,) = Cityscapes(root, "train")
    assert sample.key == "aachen/aachen_000000_000019" and sample.scene == "aachen"
    assert {name: columns_of(mask) for name, mask in sample.masks.items()} == {
        "road": [0],
        "pedestrian": [1],
        "rider": [2],
        "bicycle": [3],
        "person": [1, 2],  # a rider is a person too
        "vehicle": [3],
    }
    assert columns_of(sample.ignore) == [4, 5]


def test_heldout_is_the_official_val(root):
    dataset = Cityscapes(root, "heldout")
    masks = {name: columns_of(mask) for name, mask in dataset[0].masks.items()}
    assert masks == {
        "pole": [0, 1],  # single ones and groups
        "vegetation": [2],
        "sky": [5],
        "car": [3],
        "motorcycle": [4],
        "tree": [2],
        "vehicle": [3, 4],
    }
    assert dataset.counts().keys() == Cityscapes.expected["heldout"].keys()
    assert [path.name for path in dataset.files()] == [
        "munster_000000_000019_leftImg8bit.png",
        "munster_000000_000019_gtFine_labelIds.png",
    ]


def test_train_ids_are_refused(root):
    path = root / "gtFine" / "val" / "munster" / "munster_000000_000019_gtFine_labelIds.png"
    write_labels(path, [0, 1, 2, 3, 18, 255])
    with pytest.raises(InputError, match="255.*labelIds.png"):
        Cityscapes(root, "heldout")[0]


def test_every_evaluated_class_has_a_word(root):
    assert len(set(Cityscapes.legend.values()) - {None}) == 26  # 27 labels, poles and groups of poles being one
    assert sorted(Cityscapes.legend) == list(range(34))
    assert {"person", "bicycle", "rider", "traffic light"} <= set(Cityscapes(root, "train").vocabulary)
