import numpy as np
import pytest

from evaluation.benchmark_trees import XD_ANNOTATION, clip, text, xd_violence
from lavida.errors import InputError
from lavida.evaluation import open_benchmark
from lavida.evaluation.benchmarks import read_benchmark


@pytest.fixture
def root(tmp_path):
    return xd_violence(tmp_path) / "XD-Violence"


def test_stretches_count_from_zero_and_exclude_their_end(root):
    benchmark = open_benchmark("xd-violence", root)
    explosion, shooting, _ = benchmark.videos
    assert np.flatnonzero(benchmark.frame_labels(explosion)).tolist() == list(range(70))
    assert benchmark.intervals(shooting) == ((30, 55), (114, 144))
    assert benchmark.frame_labels(shooting).sum() == 25 + 30
    assert benchmark.labels("The.Fast.and.the.Furious.2001__#01-24-18_01-25-05_label_B6-0-0").sum() == 200


def test_normal_videos_are_the_unlisted_ones_of_the_test_folder(root):
    benchmark = open_benchmark("xd-violence", root)
    normal = benchmark.videos[-1]
    assert normal.name == "v=38GQ9L2meyE__#00-00-00_00-01-00_label_A"
    assert not benchmark.frame_labels(normal).any() and len(benchmark.frame_labels(normal)) == 20
    assert "3 of 800 official videos" in benchmark.notes


def test_training_videos_among_the_test_videos_are_refused(root):
    for number in range(300):
        text(root / "videos" / f"v={number}__#1_label_A.mp4", "")
    with pytest.raises(InputError, match="301 normal videos in .*videos where the test set has 300"):
        open_benchmark("xd-violence", root)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("v=1__#1_label_B1-0-0.mp4", "an abnormal video that annotations.txt does not list"),
        ("x.mp4", "not a video of XD"),
    ],
)
def test_a_foreign_video_is_named(root, name, words):
    clip(root / "videos" / name, 2)
    with pytest.raises(InputError, match=f"{words}.*{name.partition('__')[0]}"):
        open_benchmark("xd-violence", root)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("v=1__#1_label_B3-0-0 0 9", "unknown label B3"),
        ("v=1__#1_label_A 0 9", "v=1__#1_label_A is a normal video"),
        ("v=1 0 9", "no label in the name v=1"),
        ("v=1__#1_label_G-0-0 0 9 12", "do not pair up"),
        ("v=1__#1_label_G-0-0", "do not pair up"),
        ("v=1__#1_label_G-0-0 0 x", "frame numbers that are none"),
        ("v=bhZs3ALdL7Y__#1_label_G-0-0.mp4 0 70", "label_G-0-0 for the second time"),
    ],
)
def test_a_broken_line_is_named(root, line, words):
    text(root / "annotations.txt", f"{XD_ANNOTATION}{line}\n")
    with pytest.raises(InputError, match=f"{words}.*line 4 of .*annotations.txt"):
        open_benchmark("xd-violence", root)


def test_the_real_annotation(kit):
    benchmark = read_benchmark("xd-violence", kit / "annotations" / "XD-Violence")
    assert len(benchmark.listed) == 500 and all(one.abnormal for one in benchmark.listed)
    assert all(benchmark.labels(one.name).any() for one in benchmark.listed)
