"""One stretch of gray levels for the pictures of 16 bits of a data set."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from label_trees import write_labels
from picture_files import save_png_16
from PIL import Image

from lavida.exposure.datasets.label_images import BACKGROUND, LabelImageDataset
from lavida.exposure.datasets.reading import GrayLevels, read_picture, read_rgb, spread


class Thermals(LabelImageDataset):
    name = "thermals"
    images = "photos/{part}/*.png"
    labels = "labels/{part}/*.png"
    legend = {0: BACKGROUND, 1: "person"}


def ramp(low: int, high: int) -> np.ndarray:
    """uint16 [6, 100] from `low` to `high`."""
    return np.tile(np.linspace(low, high, 100).round().astype(np.uint16), (6, 1))


@pytest.fixture
def root(tmp_path) -> Path:
    for part, number, values in (
        ("train", 0, ramp(7000, 8000)),
        ("train", 1, ramp(7500, 7600)),
        ("val", 0, ramp(7800, 9000)),
    ):
        path = tmp_path / "photos" / part / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
        write_labels(tmp_path / "labels" / part / f"{number}.png", [0] * 50 + [1] * 50)
    return tmp_path


def test_all_pictures_of_a_data_set_are_stretched_alike(root):
    first, second = (sample.frames[0, 0, :, 0].astype(int) for sample in Thermals(root, "train"))
    (held_out,) = (sample.frames[0, 0, :, 0].astype(int) for sample in Thermals(root, "heldout"))
    assert first[0] == 0 and first[-1] == pytest.approx(255 / 2, abs=2)  # 8000, halfway from 7000 to 9000
    assert second.tolist() == pytest.approx((np.linspace(7500, 7600, 100) - 7000) / 2000 * 255, abs=2)
    assert held_out[-1] == 255 and held_out[0] == pytest.approx(0.4 * 255, abs=2)  # as in training, not its own


def test_both_splits_have_one_stretch_and_a_lone_one_its_own(root):
    train, heldout = (Thermals(root, split).levels.contrast for split in ("train", "heldout"))
    assert train == heldout and (train.low, train.high) == (7000, 9000)
    for folder in ("photos", "labels"):
        (root / folder / "val").rename(root / folder / "elsewhere")
    assert Thermals(root, "train").levels.contrast.high == 8000


def test_colours_of_16_bits_are_stretched_alike_in_all_channels(tmp_path):
    colours = np.stack([ramp(0, 1000), ramp(500, 1000), ramp(0, 0)], axis=-1)
    save_png_16(tmp_path / "a.png", colours)
    levels = GrayLevels(lambda: [tmp_path / "a.png"])
    read = read_rgb(tmp_path / "a.png", levels=levels)
    assert read.dtype == np.uint8 and read.shape == (6, 100, 3)
    assert np.abs(read - colours / 1000 * 255).max() < 2


def test_most_of_the_range_is_shown_as_it_is(tmp_path):
    Image.fromarray(ramp(0, 60000)).save(tmp_path / "a.png")
    for levels in (GrayLevels(lambda: [tmp_path / "a.png"]), None):
        read = read_rgb(tmp_path / "a.png", levels=levels)
        assert read[0, :, 0].tolist() == pytest.approx(ramp(0, 60000)[0] / 257, abs=1)


def test_pictures_of_8_bits_are_not_measured(root):
    for path in (root / "photos").rglob("*.png"):
        Image.new("L", (100, 6), 77).save(path)

    class Unmeasured(Thermals):
        def _all_pictures(self) -> Iterator[Path]:
            raise AssertionError("not asked for")

    assert all((sample.frames == 77).all() for sample in Unmeasured(root, "train"))


def test_32_of_many_are_decoded_whatever_lies_between_them(tmp_path, monkeypatch):
    paths = [tmp_path / f"{number:03}.png" for number in range(100)]
    for number, path in enumerate(paths):
        Image.fromarray(ramp(100, 200) if number % 2 else np.full((6, 100), 9, np.uint8)).save(path)
    paths[50].write_text("no picture")
    decoded = []
    monkeypatch.setattr(
        "lavida.exposure.datasets.reading.read_picture",
        lambda path: decoded.append(path) or read_picture(path),
    )
    contrast = GrayLevels(lambda: [*paths, tmp_path / "missing.png"]).contrast
    assert (contrast.low, contrast.high) == (100, 200)
    assert len(decoded) == 32 and (decoded[0], decoded[-1]) == (paths[1], paths[99])


def test_paths_are_spread_from_the_first_to_the_last():
    paths = [Path(str(number)) for number in range(10)]
    assert [path.name for path in spread(paths, 4)] == ["0", "3", "6", "9"]
    assert spread(paths, 10) == paths and spread([], 3) == []


def test_a_copy_in_another_process_finds_the_same(root):
    dataset = Thermals(root, "train")
    assert pickle.loads(pickle.dumps(dataset)).levels.contrast == dataset.levels.contrast
