import pytest
from label_trees import columns_of, write_labels, write_picture

from lavida.errors import InputError
from lavida.exposure.datasets import Humans


@pytest.fixture
def root(tmp_path):
    for number in range(6):
        write_picture(tmp_path / "Training_Images" / f"{number}.jpg", width=3)
        write_labels(tmp_path / "Ground_Truth" / f"{number}.png", [255, 127, 128])
    return tmp_path


def test_bright_is_a_person(root):
    sample = Humans(root, "train")[0]
    assert columns_of(sample.masks["person"]) == [0, 2] and sample.key == "1"


def test_every_fifth_is_held_out(root):
    assert [sample.key for sample in Humans(root, "heldout")] == ["0", "5"]
    assert Humans(root, "heldout").counts() == {"images": 2} and Humans(root, "train").counts() == {"images": 4}


def test_lost_masks_are_listed_and_named(root):
    lost = root / "Ground_Truth" / "5.png"
    lost.unlink()
    dataset = Humans(root, "heldout")
    assert [path for path in dataset.files() if not path.exists()] == [lost]
    with pytest.raises(InputError, match=str(lost)):
        dataset[1]
