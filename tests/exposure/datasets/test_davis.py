import pytest
from PIL import Image
from videos import write_json

from lavida.errors import InputError
from lavida.exposure.datasets import load


def test_the_kit_is_as_announced(kit):
    for split in ("train", "heldout"):
        data = load("davis", kit / "davis2016", split)
        assert data.counts() == data.expected[split]
        files = list(data.files())
        assert len(files) == 2 * len(data) and all(path.is_file() for path in files)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG"])
def test_a_lost_label_is_listed(tmp_path, suffix):
    write_json(tmp_path / "expressions.json", {"bear": ["bear", "a bear walking"]})
    for folder in ("JPEGImages/480p/bear", "Annotations/480p/bear", "ImageSets/480p"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets/480p/train.txt").write_text("/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/x.png\n")
    Image.new("RGB", (8, 8)).save(tmp_path / f"JPEGImages/480p/bear/00000{suffix}")
    data = load("davis", tmp_path, "train")
    assert [path for path in data.files() if not path.exists()] == [tmp_path / "Annotations/480p/bear/00000.png"]
    assert data.counts() == {"sequences": 1}


def test_without_the_categories_the_error_says_what_to_write(tmp_path):
    with pytest.raises(
        InputError, match=r"DAVIS-2016 .* missing: .*expressions.json; write {sequence: \[category, expr"
    ):
        load("davis", tmp_path, "train")


@pytest.mark.parametrize("content", ["{", "[]", '{"bear": "bear"}', '{"bear": ["bear"]}', '{"bear": ["bear", 3]}'])
def test_categories_in_another_form_are_an_input_error(tmp_path, content):
    (tmp_path / "expressions.json").write_text(content)
    with pytest.raises(InputError, match=r"not in the form {sequence: \[.*expressions.json"):
        load("davis", tmp_path, "train")
