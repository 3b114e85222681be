import codecs

import numpy as np
import pytest
from picture_files import STORED, exif, save_turned
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets.reading import matching, read_indices, read_labels, read_rgb, read_text

UPRIGHT = np.arange(4 * 7, dtype=np.uint8).reshape(4, 7)


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


@pytest.mark.parametrize(
    "content",
    [
        b"Katze\nHund\n",
        codecs.BOM_UTF8 + b"Katze\nHund\n",
        codecs.BOM_UTF8 + b"Katze\n" + codecs.BOM_UTF8 + b"Hund\n",  # two files, joined
        "Katze\nHund\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "Katze\nHund\n".encode("utf-16-be"),
    ],
)
def test_byte_order_marks_are_no_text(tmp_path, content):
    (tmp_path / "classes.txt").write_bytes(content)
    assert read_text(tmp_path / "classes.txt") == "Katze\nHund\n"


def test_other_encodings_are_named(tmp_path):
    (tmp_path / "classes.txt").write_bytes("Bäcker".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8.*classes.txt"):
        read_text(tmp_path / "classes.txt")


@pytest.mark.parametrize("orientation", STORED)
def test_labels_fit_the_picture_whether_drawn_on_it_upright_or_as_it_is_stored(tmp_path, orientation):
    picture, labels = tmp_path / "a.png", tmp_path / "labels.png"
    save_turned(picture, np.repeat(UPRIGHT[:, :, None], 3, axis=2), orientation)
    image = read_rgb(picture)
    Image.fromarray(UPRIGHT).save(labels)
    assert np.array_equal(matching(image, read_indices(labels), path=labels, picture=picture), image[..., 0])
    if orientation >= 5:  # else the size does not tell, and the upright picture is what people draw on
        Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT))).save(labels)
        assert np.array_equal(matching(image, read_indices(labels), path=labels, picture=picture), image[..., 0])


@pytest.mark.parametrize("orientation", STORED)
def test_labels_with_a_turn_of_their_own_are_upright(tmp_path, orientation):
    save_turned(tmp_path / "labels.png", UPRIGHT, orientation)
    assert np.array_equal(read_indices(tmp_path / "labels.png"), UPRIGHT)
    assert np.array_equal(read_labels(tmp_path / "labels.png"), UPRIGHT)


def test_exif_data_are_named_where_labels_fit_neither_way(tmp_path):
    picture, labels = tmp_path / "a.png", tmp_path / "labels.png"
    save_turned(picture, UPRIGHT, 6)
    image = read_rgb(picture)
    Image.new("L", (5, 5)).save(labels)
    with pytest.raises(InputError, match="wrong size.*labels.png.*EXIF.*orientation 6"):
        matching(image, read_indices(labels), path=labels, picture=picture)
    with pytest.raises(InputError, match="wrong size") as error:
        matching(image, read_indices(labels), path=labels)
    assert "EXIF" not in str(error.value)


def test_labels_that_were_turned_twice_are_not_guessed(tmp_path):
    picture, labels = tmp_path / "a.png", tmp_path / "labels.png"
    save_turned(picture, UPRIGHT, 6)
    Image.fromarray(UPRIGHT).save(labels, exif=exif(6))  # upright pixels, with the camera's EXIF data copied to them
    with pytest.raises(InputError, match="EXIF"):
        matching(read_rgb(picture), read_indices(labels), path=labels, picture=picture)
