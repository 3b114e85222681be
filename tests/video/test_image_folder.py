"""Folders of images as benchmarks and cameras leave them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.video.decode import open_source

from . import make
from .looking import bright_corner, levels, read, selected


def test_a_folder_is_read_in_natural_order_and_strangers_are_passed_over(tmp_path: Path):
    images = {
        "10.png": make.plain(100),
        "2.png": make.plain(20),
        "1.PNG": make.plain(10),
        "003.bmp": make.plain(30),
        ".9.png": make.plain(9),
    }
    path = make.folder(tmp_path / "frames", images)
    (path / "notes.txt").write_text("not an image")
    (path / "5.png").mkdir()
    source = open_source(path)
    frames = read(source)
    assert levels(frames) == [10, 20, 30, 100]
    assert [frame.time_s for frame in frames] == [0, 0.04, 0.08, 0.12]
    assert (source.info.stem, source.info.width, source.info.height, source.info.fps) == ("frames", 8, 6, 25)
    assert selected(read(source, 2)) == [0, 2, 3]
    assert read(source, 1, (3, 4))[0].image.shape == (3, 4, 3)


def test_the_rate_of_a_folder_can_be_given(tmp_path: Path):
    path = make.folder(tmp_path / "frames", {"1.png": make.plain(1), "2.png": make.plain(2)})
    assert read(open_source(path, fps=10))[1].time_s == pytest.approx(0.1)
    with pytest.raises(InputError, match="positive"):
        open_source(path, fps=0)


def test_image_modes_all_become_eight_bit_rgb(tmp_path: Path):
    deep = np.full((6, 8), 100 * 257, dtype=np.uint16)
    images = {
        "1.tif": Image.fromarray(deep),
        "2.png": Image.fromarray(deep),
        "3.png": Image.new("RGBA", (8, 6), (100, 100, 100, 7)),
        "4.png": Image.new("RGB", (8, 6), (100, 100, 100)).quantize(4),
        "5.png": Image.new("LA", (8, 6), (100, 0)),
        "6.tif": make.plain(100),
        "7.jpg": Image.new("RGB", (8, 6), (100, 100, 100)),
    }
    frames = read(open_source(make.folder(tmp_path / "modes", images)))
    for frame in frames:
        assert frame.image.shape == (6, 8, 3) and frame.image.dtype == np.uint8
        assert np.all(np.abs(frame.image.astype(int) - 100) <= 1), frame.index


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_photographs_are_turned_upright(tmp_path: Path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned a quarter clockwise
    path = tmp_path / "photos"
    path.mkdir()
    Image.fromarray(make.picture(40, 32, 16, mark=True)).save(path / f"1.{suffix}", exif=exif)
    source = open_source(path)
    image = read(source)[0].image
    assert (source.info.width, source.info.height) == (16, 32)
    assert image.shape == (32, 16, 3)
    assert bright_corner(image) == ("top", "right")


def test_images_of_different_sizes_are_refused_by_name(tmp_path: Path):
    path = make.folder(
        tmp_path / "odd", {"1.png": make.plain(1), "2.png": make.plain(2), "3.png": make.plain(3, (9, 6))}
    )
    with pytest.raises(InputError, match=r"3\.png is 9x6"):
        open_source(path)


def test_a_damaged_image_keeps_its_place_and_is_reported(tmp_path: Path):
    path = make.folder(tmp_path / "holed", {f"{i}.png": make.plain(10 * i) for i in range(5)})
    (path / "2.png").write_bytes(b"")
    whole = (path / "3.png").read_bytes()
    (path / "3.png").write_bytes(whole[: len(whole) - 25])
    source = open_source(path)
    frames = read(source)
    assert [frame.index for frame in frames] == list(range(5))
    assert selected(frames) == [0, 1, 4]
    assert len(source.warnings) == 1 and "2.png" in source.warnings[0]


def test_a_real_benchmark_folder(kit: Path):
    source = open_source(kit / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped2" / "Test" / "Test001")
    frames = read(source, 5, (40, 60))
    assert (source.info.stem, source.info.width, source.info.height) == ("Test001", 360, 240)
    assert len(frames) == source.info.frames_hint == 180
    assert selected(frames) == [*range(0, 180, 5), 179]
    assert all(np.ptp(frame.image) > 50 for frame in frames if frame.image is not None)
