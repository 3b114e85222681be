import shutil

import numpy as np
import pytest

from evaluation.benchmark_trees import shanghaitech
from lavida.errors import InputError
from lavida.evaluation import open_benchmark
from lavida.evaluation.benchmarks import read_benchmark


def test_labels_and_masks_come_from_the_arrays(tmp_path):
    benchmark = open_benchmark("shanghaitech", shanghaitech(tmp_path))
    event, normal = benchmark.videos
    assert benchmark.frame_labels(event).tolist() == [0, 0, 0, 0, 0, 1, 1, 0] and event.frames == 8
    masks = np.stack(list(benchmark.pixel_labels(event)))
    assert masks.dtype == bool and masks.any(axis=(1, 2)).tolist() == [False] * 5 + [True] * 2 + [False]
    masks = list(benchmark.pixel_labels(normal))
    assert len(masks) == 8 and not np.any(masks) and masks[0].shape == (24, 32)


def test_without_pixel_masks_there_are_frame_labels_only(tmp_path):
    shanghaitech(tmp_path)
    shutil.rmtree(tmp_path / "shanghaitech" / "testing" / "test_pixel_mask")
    assert not open_benchmark("shanghaitech", tmp_path).has_pixel_labels


@pytest.mark.parametrize("root", ["shanghaitech", "shanghaitech/testing"])
def test_deeper_folders_are_accepted(tmp_path, root):
    shanghaitech(tmp_path)
    assert len(open_benchmark("shanghaitech", tmp_path / root).videos) == 2


def test_the_annotation_may_lie_in_a_folder_of_annotations(tmp_path):
    shanghaitech(tmp_path)
    (tmp_path / "annotations" / "ShanghaiTech").mkdir(parents=True)
    labels = tmp_path / "shanghaitech" / "testing" / "test_frame_mask"
    labels.rename(tmp_path / "annotations" / "ShanghaiTech" / "test_frame_mask")
    for root in (tmp_path, tmp_path / "shanghaitech"):
        benchmark = open_benchmark("shanghaitech", root)
        assert benchmark.frame_labels(benchmark.videos[0]).sum() == 2


def test_a_missing_frame_and_a_missing_annotation_are_named(tmp_path):
    testing = shanghaitech(tmp_path) / "shanghaitech" / "testing"
    (testing / "frames" / "01_0014" / "003.jpg").unlink()
    with pytest.raises(InputError, match="01_0014: 7 frames but 8 labels in .*frames/01_0014"):
        open_benchmark("shanghaitech", tmp_path)
    (testing / "test_frame_mask" / "01_0014.npy").unlink()
    with pytest.raises(InputError, match="no annotation for 01_0014: .*test_frame_mask/01_0014.npy"):
        open_benchmark("shanghaitech", tmp_path)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1, 2, 0, 0, 0, 0, 0]), "unknown label 2"),
        (np.zeros((8, 2)), "2 axes"),
        (np.array([None]), "not an array file"),
    ],
)
def test_broken_labels_are_named(tmp_path, labels, words):
    testing = shanghaitech(tmp_path) / "shanghaitech" / "testing"
    np.save(testing / "test_frame_mask" / "01_0014.npy", labels)
    with pytest.raises(InputError, match=f"{words}.*01_0014.npy"):
        benchmark = open_benchmark("shanghaitech", tmp_path)
        benchmark.frame_labels(benchmark.videos[0])


def test_pixel_masks_of_another_length_are_named(tmp_path):
    testing = shanghaitech(tmp_path) / "shanghaitech" / "testing"
    np.save(testing / "test_pixel_mask" / "01_0014.npy", np.zeros((9, 24, 32), dtype=np.uint8))
    benchmark = open_benchmark("shanghaitech", tmp_path)
    with pytest.raises(InputError, match="01_0014: 8 frames but 9 labels in .*test_pixel_mask/01_0014.npy"):
        next(benchmark.pixel_labels(benchmark.videos[0]))


def test_the_real_annotation(kit):
    benchmark = read_benchmark("shanghaitech", kit / "annotations")
    assert len(benchmark.listed) == 107 and sum(one.frames for one in benchmark.listed) == 40791
    assert sum(benchmark.labels(one.name).sum() for one in benchmark.listed) == 17326
    with pytest.raises(InputError, match="no videos of ShanghaiTech: none of 107 is there, for example .*01_0014"):
        open_benchmark("shanghaitech", kit / "annotations")
