import shutil

import numpy as np
import pytest

from evaluation.benchmark_trees import PED1_ANNOTATION, ped1, text
from lavida.errors import InputError
from lavida.evaluation import open_benchmark
from lavida.evaluation.benchmarks.ucsd import read_annotation


def test_frame_labels_of_all_videos_come_from_the_matlab_file(tmp_path):
    benchmark = open_benchmark("ucsd-ped1", ped1(tmp_path))
    first, last = benchmark.videos
    assert benchmark.intervals(first) == ((5, 90), (140, 200))
    labels = benchmark.frame_labels(first)
    assert len(labels) == 200 and np.flatnonzero(np.diff(labels)).tolist() == [3, 89, 138]
    assert benchmark.frame_labels(last).sum() == 108 - 15 + 1
    assert len(benchmark.listed) == 36 and sum(benchmark.labels(one.name).sum() for one in benchmark.listed) == 4045


def test_only_videos_with_masks_have_pixel_labels_and_that_is_said(tmp_path):
    benchmark = open_benchmark("ucsd-ped1", ped1(tmp_path))
    without, masked = benchmark.videos
    assert benchmark.has_pixel_labels and list(benchmark.pixel_labels(without)) == []
    masks = np.stack(list(benchmark.pixel_labels(masked)))
    assert masks.any(axis=(1, 2)).tolist() == benchmark.frame_labels(masked).astype(bool).tolist()
    assert "pixel labels of 1 of 2 videos" in benchmark.notes


def test_without_any_masks_there_are_no_pixel_labels(tmp_path):
    root = ped1(tmp_path)
    shutil.rmtree(root / "Test" / "Test036_gt")
    benchmark = open_benchmark("ucsd-ped1", root)
    assert not benchmark.has_pixel_labels and not any("pixel" in note for note in benchmark.notes)


def test_a_mask_too_few_and_a_missing_annotation_are_named(tmp_path):
    root = ped1(tmp_path)
    (root / "Test" / "Test036_gt" / "200.bmp").unlink()
    with pytest.raises(InputError, match="Test036: 200 frames but 199 labels"):
        open_benchmark("ucsd-ped1", root)
    (root / "Test" / "UCSDped1.m").unlink()
    with pytest.raises(InputError, match="no annotation for Test005: .*UCSDped1.m is missing"):
        open_benchmark("ucsd-ped1", root)


def test_a_frame_range_may_be_one_frame_or_none_and_comments_are_no_entries(tmp_path):
    entries = ["", "17", *PED1_ANNOTATION[2:]]
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{entry}];" for entry in entries]
    path = text(tmp_path / "UCSDped1.m", "\n".join(["% TestVideoFile{end+1}.gt_frame = [1:2];", *lines]))
    annotation = read_annotation(path)
    assert (
        annotation["Test001"] == () and annotation["Test002"] == ((17, 17),) and annotation["Test036"] == ((15, 108),)
    )


@pytest.mark.parametrize(("entry", "words"), [("5:", "no range"), ("9:5", "no range"), ("a", "no range"), (None, "35")])
def test_a_broken_annotation_is_named(tmp_path, entry, words):
    entries = PED1_ANNOTATION[:35] + ([] if entry is None else [entry])
    path = text(tmp_path / "UCSDped1.m", "\n".join(f"T{{end+1}}.gt_frame = [{each}];" for each in entries))
    with pytest.raises(InputError, match=f"{words}.*UCSDped1.m"):
        read_annotation(path)


def test_the_folder_of_another_data_set_is_refused(tmp_path):
    root = ped1(tmp_path)
    shutil.copy(root / "Test" / "Test005" / "001.tif", root / "Test" / "Test005" / "201.tif")
    with pytest.raises(InputError, match="not UCSD Ped1.*201 frames"):
        open_benchmark("ucsd-ped1", root)
