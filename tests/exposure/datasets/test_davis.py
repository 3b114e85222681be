import pytest
from PIL import Image
from videos import write_json

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
