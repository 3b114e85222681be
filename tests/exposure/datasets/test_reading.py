import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets.reading import read_indices, read_labels


def test_indices_of_a_palette_image_are_not_turned_into_grey(tmp_path):
    values = np.array([[0, 1, 2], [3, 200, 255]], np.uint8)
    image = Image.fromarray(values)
    image.putpalette([5, 250, 90] * 128 + [250, 5, 90] * 128)
    image.save(tmp_path / "labels.png")
    assert (read_indices(tmp_path / "labels.png") == values).all()
    assert set(np.unique(read_labels(tmp_path / "labels.png"))).isdisjoint({0, 1, 2, 3, 200, 255})


@pytest.mark.parametrize(
    ("values", "largest"), [(np.array([[0, 255]], np.uint8), 255), (np.array([[0, 33001]], np.uint16), 33001)]
)
def test_indices_keep_values_of_8_and_16_bits(tmp_path, values, largest):
    Image.fromarray(values).save(tmp_path / "labels.png")
    read = read_indices(tmp_path / "labels.png")
    assert read.tolist() == [[0, largest]] and read.dtype.kind in "ui"


def test_one_bit_labels_are_numbers(tmp_path):
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "labels.png")
    assert read_indices(tmp_path / "labels.png").tolist() == [[0, 1]]
    assert read_indices(tmp_path / "labels.png").dtype == np.uint8


def test_colours_and_broken_files_are_no_labels(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "colours.png")
    (tmp_path / "text.png").write_text("no image")
    for name in ("colours.png", "text.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            read_indices(tmp_path / name)
