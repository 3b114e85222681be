"""What holds for every benchmark."""

import os
import pickle

import numpy as np
import pytest

from evaluation.benchmark_trees import TREES, BrightSpot
from lavida.errors import InputError
from lavida.evaluation import benchmarks, evaluate, open_benchmark
from lavida.evaluation.benchmarks import BENCHMARKS, Interval, IntervalRule

NAMES = {
    "ucsd-ped1": ["Test005", "Test036"],
    "avenue": ["01", "08"],
    "shanghaitech": ["01_0014", "12_0175"],
    "ubnormal": ["abnormal_scene_1_scenario_1", "normal_scene_18_scenario_4"],
    "ucf-crime": ["Explosion039_x264", "RoadAccidents021_x264", "Normal_Videos_003_x264"],
    "xd-violence": [
        "v=bhZs3ALdL7Y__#1_label_G-0-0",
        "Quantum.Of.Solace.2008__#01-30-26_01-30-42_label_B2-B1-0",
        "v=38GQ9L2meyE__#00-00-00_00-01-00_label_A",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TREES)
def test_a_tiny_tree_is_evaluated_from_end_to_end(name, tmp_path):
    benchmark = open_benchmark(name, TREES[name](tmp_path / "data"))
    result = evaluate(benchmark, detector=BrightSpot(), out=tmp_path / "out")
    assert [video.name for video in benchmark.videos] == NAMES[name]
    assert result["frame_auc_micro"] == result["frame_ap"] == 1
    assert result["videos"] == len(NAMES[name])
    for video in benchmark.videos:
        with np.load(tmp_path / "out" / "scores" / f"{video.name}.npz") as scores:
            assert (scores["label"] == benchmark.frame_labels(video)).all()
            assert ((scores["score"] > 0.5) == scores["label"]).all()
    if benchmark.has_pixel_labels:
        assert result["pixel_auc"] > 0.99  # the edges of the square are blurred by compression
    else:
        assert result["pixel_auc"] is None


@pytest.mark.parametrize("name", TREES)
def test_a_folder_with_the_data_set_in_it_is_accepted_and_a_subset_said(name, tmp_path):
    TREES[name](tmp_path / "data")
    benchmark = open_benchmark(name, tmp_path / "data")
    assert f"{len(NAMES[name])} of {benchmark.expected.videos} official videos" in benchmark.notes
    assert all(set(video.categories) == set(benchmark.categories) for video in benchmark.videos)


@pytest.mark.parametrize("name", TREES)
def test_suffixes_may_be_written_in_capitals(name, tmp_path):
    TREES[name](tmp_path)
    for path in [path for path in tmp_path.rglob("*.*") if path.suffix in (".mp4", ".avi", ".jpg", ".tif", ".bmp")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    benchmark = open_benchmark(name, tmp_path)
    assert [video.name for video in benchmark.videos] == NAMES[name]


@pytest.mark.parametrize("name", TREES)
def test_a_benchmark_can_be_sent_to_another_process(name, tmp_path):
    benchmark = open_benchmark(name, TREES[name](tmp_path))
    copy = pickle.loads(pickle.dumps(benchmark))
    assert copy.videos == benchmark.videos
    assert (copy.frame_labels(copy.videos[0]) == benchmark.frame_labels(benchmark.videos[0])).all()


@pytest.mark.parametrize("name", TREES)
def test_a_video_is_in_another_state_once_one_of_its_files_or_of_its_labels_has_changed(name, tmp_path):
    def states():
        benchmark = open_benchmark(name, tmp_path)
        return [benchmark.state(video) for video in benchmark.videos]

    TREES[name](tmp_path)
    before = states()
    assert states() == before
    for path in {path.parent: path for path in tmp_path.rglob("*.*") if path.is_file()}.values():
        if path.suffix in (".txt", ".m") and not path.stem.endswith(
            "_tracks"
        ):  # lists of numbers count by what they say
            path.write_text(path.read_text().replace("60", "61").replace(" 30 55", " 31 55"))
        else:
            os.utime(path, ns=(0, 0))
        after = states()
        assert (after != before) == ("training" not in path.parts and "video_names" not in path.name), path
        before = after


@pytest.mark.parametrize("name", BENCHMARKS)
def test_an_empty_folder_and_a_missing_one_are_named(name, tmp_path):
    with pytest.raises(InputError, match=f"no {BENCHMARKS[name].title} here: {tmp_path}.*give the folder"):
        open_benchmark(name, tmp_path)
    with pytest.raises(InputError, match="no such folder: .*nowhere"):
        open_benchmark(name, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (IntervalRule(first_number=1, end_inclusive=True), [0, 1, 1, 0, 0]),
        (IntervalRule(first_number=0, end_inclusive=True), [0, 0, 1, 1, 0]),
        (IntervalRule(first_number=0, end_inclusive=False), [0, 0, 1, 0, 0]),
    ],
)
def test_a_rule_says_which_frames_the_numbers_of_an_interval_mean(rule, expected):
    assert rule.labels([Interval(2, 3)], 5).tolist() == expected


def test_intervals_may_overlap_and_are_cut_at_the_end_of_the_video():
    rule = IntervalRule(first_number=1, end_inclusive=True)
    intervals = [Interval(1, 3), Interval(2, 4), Interval(6, 99)]
    assert rule.labels(intervals, 7).tolist() == [1, 1, 1, 1, 0, 1, 1]
    assert len(rule.labels(intervals)) == 99 and len(rule.labels([])) == 0


def test_the_earlier_name_of_the_base_class_works_and_is_told():
    with pytest.warns(DeprecationWarning, match="OfficialBenchmark is now called Benchmark"):
        assert benchmarks.OfficialBenchmark is benchmarks.Benchmark
