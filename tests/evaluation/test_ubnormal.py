import shutil

import numpy as np
import pytest

from evaluation.benchmark_trees import text, ubnormal
from lavida.errors import InputError
from lavida.evaluation import open_benchmark
from lavida.evaluation.benchmarks import read_benchmark
from lavida.evaluation.benchmarks.ubnormal import read_tracks

ABNORMAL = "abnormal_scene_1_scenario_1"


@pytest.fixture
def root(tmp_path):
    return ubnormal(tmp_path) / "UBnormal"


def test_frames_from_a_tracks_start_to_its_end_are_abnormal(root):
    benchmark = open_benchmark("ubnormal", root)
    abnormal, normal = benchmark.videos
    assert np.flatnonzero(benchmark.frame_labels(abnormal)).tolist() == [3, 4, 5, 6, 9]
    assert benchmark.intervals(abnormal) == ((3, 6), (9, 9)) and abnormal.frames == 12
    assert benchmark.frame_labels(normal).tolist() == [0] * 5
    assert benchmark.frame_labels(abnormal, 5).tolist() == [0, 0, 0, 1, 1]  # as many as were decoded


def test_only_the_object_of_a_track_is_abnormal_and_only_in_its_frames(root):
    benchmark = open_benchmark("ubnormal", root)
    tracks = np.stack(list(benchmark.tracks(benchmark.videos[0])))
    assert tracks.shape == (12, 24, 32)
    assert tracks.max(axis=(1, 2)).tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 2, 0, 0]
    assert (tracks > 0).sum(axis=(1, 2)).tolist() == [0, 0, 0, 64, 64, 64, 64, 0, 0, 64, 0, 0]
    masks = list(benchmark.pixel_labels(benchmark.videos[0]))
    assert (np.stack(masks) == (tracks > 0)).all()
    assert not np.any(list(benchmark.pixel_labels(benchmark.videos[1])))


def test_without_masks_there_are_frame_labels_only(root):
    for path in (root / "Scene1" / f"{ABNORMAL}_annotations").glob("*.png"):
        path.unlink()
    benchmark = open_benchmark("ubnormal", root)
    assert not benchmark.has_pixel_labels and benchmark.frame_labels(benchmark.videos[0]).sum() == 5


def test_a_missing_mask_is_named_when_it_is_read(root):
    (root / "Scene1" / f"{ABNORMAL}_annotations" / f"{ABNORMAL}_0005_gt.png").unlink()
    benchmark = open_benchmark("ubnormal", root)
    with pytest.raises(InputError, match=f"{ABNORMAL}_0005_gt.png"):
        list(benchmark.tracks(benchmark.videos[0]))


def test_missing_tracks_are_named(root):
    shutil.rmtree(root / "Scene1" / f"{ABNORMAL}_annotations")
    with pytest.raises(InputError, match=f"no annotation for {ABNORMAL}: .*_tracks.txt"):
        open_benchmark("ubnormal", root)


def test_missing_lists_are_named_and_those_of_the_repository_are_found(root):
    (root / "scripts").mkdir()
    for path in root.glob("*.txt"):
        path.rename(root / "scripts" / path.name)
    assert len(open_benchmark("ubnormal", root).videos) == 2
    (root / "scripts" / "normal_test_video_names.txt").unlink()
    with pytest.raises(InputError, match="has no normal_test_video_names.txt"):
        open_benchmark("ubnormal", root)


@pytest.mark.parametrize("line", ["1,2", "1,5,2", "a,b,c", "1.5,2,3", "0,2,3", "1,2,inf", "1,2,3,4"])
def test_a_broken_track_is_named_with_its_line(tmp_path, line):
    path = text(tmp_path / "x_tracks.txt", f"1.0,185.0,288.0\n{line}\n")
    with pytest.raises(InputError, match="line 2 of .*x_tracks.txt"):
        read_tracks(path)


def test_a_foreign_and_a_repeated_name_in_a_list_are_refused(root):
    text(root / "normal_test_video_names.txt", "Normal_Videos_003")
    with pytest.raises(InputError, match="not a video of UBnormal: 'Normal_Videos_003'"):
        open_benchmark("ubnormal", root)
    text(root / "normal_test_video_names.txt", ABNORMAL)
    with pytest.raises(InputError, match=f"{ABNORMAL} is listed twice.*normal_test_video_names.txt"):
        open_benchmark("ubnormal", root)


def test_the_real_lists(kit):
    benchmark = read_benchmark("ubnormal", kit / "annotations" / "UBnormal")
    assert len(benchmark.listed) == 211 and sum(one.abnormal for one in benchmark.listed) == 158
