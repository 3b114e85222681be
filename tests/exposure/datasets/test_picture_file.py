"""Pictures as cameras, scanners and thermal cameras store them."""

import numpy as np
import pytest
from picture_files import STORED, exif, exif_behind_the_pixels, save_png_16, save_tiff_16, save_turned
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets.reading import read_header, read_picture, read_values
from lavida.video.pixels import EXIF_TURNS

GRAY = np.arange(6 * 10, dtype=np.uint8).reshape(6, 10) * 4
COLOURS = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=-1)
DEEP = np.arange(6 * 10, dtype=np.uint16).reshape(6, 10) * 1000


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", {}), (".webp", {"lossless": True}), (".tif", {}), (".tif", {"compression": "tiff_lzw"})],
)
@pytest.mark.parametrize("upright", [GRAY, COLOURS])
def test_a_picture_is_upright_however_the_camera_was_held(tmp_path, upright, suffix, options, orientation):
    path = tmp_path / f"a{suffix}"
    save_turned(path, upright, orientation, **options)
    header = read_header(path)
    assert (header.size, header.orientation, header.deep) == ((6, 10), orientation, False)
    wanted = upright if upright.ndim == 3 else np.repeat(upright[:, :, None], 3, axis=2)
    assert np.array_equal(read_picture(path), wanted)


@pytest.mark.parametrize("orientation", STORED)
def test_a_jpeg_is_turned(tmp_path, orientation):
    smooth = np.zeros((48, 80, 3), np.uint8)
    smooth[:24, :40] = 200
    save_turned(tmp_path / "a.jpg", smooth, orientation, quality=95)
    read = read_picture(tmp_path / "a.jpg")
    assert read.shape == smooth.shape and np.abs(read.astype(int) - smooth).mean() < 2


def test_values_are_turned_without_being_changed(tmp_path):
    save_turned(tmp_path / "labels.png", GRAY, 6)
    assert np.array_equal(read_values(tmp_path / "labels.png", None), GRAY)
    for orientation, store in STORED.items():
        assert np.array_equal(EXIF_TURNS[orientation].applied(np.ascontiguousarray(store(GRAY))), GRAY)


def test_a_png_may_tell_its_turn_behind_its_pixels(tmp_path):
    path = tmp_path / "a.png"
    save_turned(path, COLOURS, 8)
    exif_behind_the_pixels(path)
    assert read_header(path).orientation == 8
    assert np.array_equal(read_picture(path), COLOURS)


def test_broken_exif_data_turn_nothing(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=b"Exif\0\0no TIFF header")
    assert np.array_equal(read_picture(tmp_path / "a.png"), COLOURS)


@pytest.mark.parametrize("orientation", [0, 9, 274])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, orientation):
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif(orientation))
    assert read_header(tmp_path / "a.png").orientation == 1
    assert np.array_equal(read_picture(tmp_path / "a.png"), COLOURS)


def test_gray_of_16_bits_keeps_its_values(tmp_path):
    for name in ("a.png", "a.tif"):
        Image.fromarray(DEEP).save(tmp_path / name)
    save_turned(tmp_path / "turned.png", DEEP, 6)
    save_turned(tmp_path / "turned.tif", DEEP, 6)
    for path in tmp_path.iterdir():
        assert read_header(path).deep and np.array_equal(read_picture(path), DEEP), path


def test_colours_of_16_bits_keep_their_values(tmp_path):
    colours = np.stack([DEEP, DEEP + 7, 65535 - DEEP], axis=-1)
    save_png_16(tmp_path / "a.png", colours)
    for orientation in STORED:
        save_tiff_16(tmp_path / f"{orientation}.tif", colours, orientation)
    for path in tmp_path.iterdir():
        read = read_picture(path)
        assert read_header(path).deep and read.dtype == np.uint16 and np.array_equal(read, colours), path


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (GRAY.astype(np.float32), "floating-point"),
        (DEEP.astype(np.int32) * 2, "do not fit 16 bits"),
        (DEEP.astype(np.int32) - 5, "from -5"),
    ],
)
def test_values_without_a_fixed_range_are_refused(tmp_path, values, words):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=words) as error:
        read_picture(tmp_path / "a.tif")
    assert "a.tif" in str(error.value) and "save" in str(error.value)


def test_numbers_of_32_bits_that_fit_16_are_read(tmp_path):
    Image.fromarray(DEEP.astype(np.int32)).save(tmp_path / "a.tif")
    assert np.array_equal(read_picture(tmp_path / "a.tif"), DEEP)


def test_what_is_no_picture_or_too_large_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("404\nnot found")
    Image.fromarray(GRAY).save(tmp_path / "large.png")
    Image.fromarray(COLOURS).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for name in ("text.png", "large.png", "cut.png", "missing.png"):
        with pytest.raises(InputError, match=name) as error:
            read_picture(tmp_path / name)
        assert "\n" not in str(error.value)
