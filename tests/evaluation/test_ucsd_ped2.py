import shutil

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.evaluation.benchmarks import open_benchmark


def test_unknown_benchmark_is_named_with_the_choices(tmp_path):
    with pytest.raises(InputError, match="ped3.*ucsd-ped2"):
        open_benchmark("ped3", tmp_path)


@pytest.mark.parametrize("above", [0, 1, 2])
def test_any_of_the_three_folders_is_accepted(ped2, above):
    root = [ped2, *ped2.parents][above]
    assert [v.name for v in open_benchmark("ucsd-ped2", root).videos] == ["Test001", "Test002"]


def test_labels_come_from_the_masks(ped2):
    benchmark = open_benchmark("ucsd-ped2", ped2)
    video = benchmark.videos[0]
    masks = np.stack(list(benchmark.pixel_labels(video)))
    assert video.frames == 10 and masks.shape == (10, 48, 72) and masks.dtype == bool
    assert masks.sum(axis=(1, 2)).tolist() == [0] * 4 + [144] * 6
    assert benchmark.frame_labels(video).tolist() == [0] * 4 + [1] * 6


def test_a_subset_is_allowed_and_said(ped2):
    notes = open_benchmark("ucsd-ped2", ped2).notes
    assert "2 of 12 official videos" in notes
    assert "Test001: 10 of 180 official frames" in notes


def test_hidden_twins_from_an_archive_are_no_frames(ped2):
    (ped2 / "Test" / "Test001" / "._001.tif").write_bytes(b"not an image")
    (ped2 / "Test" / "Test001_gt" / ".DS_Store").write_bytes(b"")
    assert open_benchmark("ucsd-ped2", ped2).videos[0].frames == 10


def test_masks_without_padded_numbers_keep_their_frames(ped2):
    folder = ped2 / "Test" / "Test001_gt"
    for path in list(folder.iterdir()):
        path.rename(folder / f"{int(path.stem)}.bmp")
    benchmark = open_benchmark("ucsd-ped2", ped2)
    assert benchmark.frame_labels(benchmark.videos[0]).tolist() == [0] * 4 + [1] * 6


def test_missing_masks(ped2):
    shutil.rmtree(ped2 / "Test" / "Test002_gt")
    with pytest.raises(InputError, match="Test002_gt"):
        open_benchmark("ucsd-ped2", ped2)


def test_one_mask_too_few(ped2):
    (ped2 / "Test" / "Test002_gt" / "010.bmp").unlink()
    with pytest.raises(InputError, match="Test002: 10 frames but 9 labels"):
        open_benchmark("ucsd-ped2", ped2)


def test_unreadable_mask(ped2):
    (ped2 / "Test" / "Test001_gt" / "003.bmp").write_bytes(b"BM")
    benchmark = open_benchmark("ucsd-ped2", ped2)
    with pytest.raises(InputError, match="003.bmp"):
        benchmark.frame_labels(benchmark.videos[0])


def test_more_frames_than_ped2_ever_had_is_another_data_set(ped2):
    shutil.copytree(ped2 / "Test" / "Test001", ped2 / "Test" / "Test013")
    shutil.copytree(ped2 / "Test" / "Test001_gt", ped2 / "Test" / "Test013_gt")
    with pytest.raises(InputError, match="not UCSD Ped2"):
        open_benchmark("ucsd-ped2", ped2)


def test_a_folder_without_the_data_set(tmp_path):
    with pytest.raises(InputError, match="no UCSD Ped2 here"):
        open_benchmark("ucsd-ped2", tmp_path)
    (tmp_path / "Test").mkdir()
    with pytest.raises(InputError, match="Test001"):
        open_benchmark("ucsd-ped2", tmp_path)


def test_the_real_split(kit):
    benchmark = open_benchmark("ucsd-ped2", kit)
    assert [(v.name, v.frames) for v in benchmark.videos] == [
        ("Test001", 180),
        ("Test002", 180),
        ("Test003", 150),
    ]
    assert benchmark.notes == ["3 of 12 official videos"]
    first = benchmark.videos[0]
    assert next(benchmark.pixel_labels(first)).shape == (240, 360)
    assert benchmark.frame_labels(first).sum() == 120
    assert Image.open(next(first.source.glob("*.tif"))).size == (360, 240)
