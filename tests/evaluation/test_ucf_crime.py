import os
from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmark_trees import UCF_ANNOTATION, clip, text, ucf_crime
from lavida.errors import InputError
from lavida.evaluation import open_benchmark
from lavida.evaluation.benchmarks import read_benchmark


@pytest.fixture
def root(tmp_path):
    return ucf_crime(tmp_path) / "UCF_Crimes"


def test_stretches_count_from_one_and_include_their_end(root):
    benchmark = open_benchmark("ucf-crime", root)
    explosion, _accident, normal = benchmark.videos
    assert benchmark.intervals(explosion) == ((60, 150),)
    labels = benchmark.frame_labels(explosion)
    assert np.flatnonzero(labels).tolist() == list(range(59, 150)) and len(labels) == 160
    assert benchmark.intervals(normal) == () and not benchmark.frame_labels(normal).any()
    assert benchmark.labels("Vandalism017_x264").sum() == 61 + 61  # two stretches
    assert not benchmark.has_pixel_labels and list(benchmark.pixel_labels(explosion)) == []


def test_labels_have_the_length_that_was_decoded(root):
    benchmark = open_benchmark("ucf-crime", root)
    accident = benchmark.videos[1]  # annotated up to frame 90, five more than it has
    assert len(benchmark.frame_labels(accident)) == 85 and benchmark.frame_labels(accident).sum() == 85 - 29
    assert len(benchmark.frame_labels(accident, 84)) == 84


def test_all_videos_may_lie_in_one_folder(tmp_path):
    text(tmp_path / "Temporal_Anomaly_Annotation.txt", UCF_ANNOTATION)
    clip(tmp_path / "Explosion039_x264.mp4", 3)
    assert [video.name for video in open_benchmark("ucf-crime", tmp_path).videos] == ["Explosion039_x264"]


def test_folders_that_are_shut_and_links_to_themselves_are_passed_over(root, monkeypatch):
    (root / "lost+found").mkdir()
    for link in ("loop", "ucf-crime"):
        (root / link).symlink_to(link)
    scandir = os.scandir

    def guarded(folder):  # root may read every folder
        if Path(folder).name == "lost+found":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr("os.scandir", guarded)
    assert len(open_benchmark("ucf-crime", root).videos) == 3
    with pytest.raises(InputError, match=r"cannot read .*lost\+found: Permission denied; check your access to it"):
        open_benchmark("ucf-crime", root / "lost+found")


def test_the_annotation_may_lie_in_a_folder_of_annotations(root):
    folder = root.parent / "annotations" / "UCF-Crime"
    folder.mkdir(parents=True)
    (root / "Temporal_Anomaly_Annotation.txt").rename(folder / "Temporal_Anomaly_Annotation.txt")
    assert len(open_benchmark("ucf-crime", root).videos) == 3
    assert len(open_benchmark("ucf-crime", root.parent).videos) == 3


def test_both_official_files_must_name_the_same_videos(root):
    listed = ["Explosion/Explosion039_x264.mp4", "RoadAccidents/RoadAccidents021_x264.mp4"]
    more = ["Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4", "Vandalism/Vandalism017_x264.mp4"]
    text(root / "Anomaly_Test.txt", "\n".join(listed + more))
    assert len(open_benchmark("ucf-crime", root).videos) == 3
    text(root / "Anomaly_Test.txt", "\n".join(listed))
    with pytest.raises(InputError, match="Normal_Videos_003_x264.mp4 is in .*Annotation.txt but not in .*Anomaly_Test"):
        open_benchmark("ucf-crime", root)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Riot001_x264.mp4  Riot  1  2  -1  -1", "unknown class 'Riot'"),
        ("Arson001_x264.mp4  Arson  -1  -1  -1  -1", "class Arson with 0"),
        ("Normal_Videos_9_x264.mp4  Normal  1  2  -1  -1", "class Normal with 1"),
        ("Arson001_x264.mp4  Arson  1  two  -1  -1", "frame numbers that are none"),
        ("Arson001_x264.mp4  Arson  1  2  -1", "do not pair up"),
        ("Arson001_x264.mp4", "do not pair up"),
        ("Arson001_x264.mp4  Arson  9  2  -1  -1", "ends before it starts"),
        ("Explosion039_x264.mp4  Explosion  60  150  -1  -1", "Explosion039_x264.mp4 for the second time"),
    ],
)
def test_a_broken_line_is_named(root, line, words):
    text(root / "Temporal_Anomaly_Annotation.txt", f"{UCF_ANNOTATION}\n{line}\n")
    with pytest.raises(InputError, match=f"{words}.*line 6 of .*Annotation.txt"):
        open_benchmark("ucf-crime", root)


def test_a_file_that_is_no_video_is_named(root):
    (root / "Explosion" / "Explosion039_x264.mp4").write_bytes(b"not a video")
    with pytest.raises(InputError, match="not a video: .*Explosion039_x264.mp4"):
        open_benchmark("ucf-crime", root).videos  # noqa: B018


def test_the_real_annotation(kit):
    benchmark = read_benchmark("ucf-crime", kit / "annotations" / "UCF-Crime")
    assert len(benchmark.listed) == 290 and sum(one.abnormal for one in benchmark.listed) == 140
    sources = [str(one.source.relative_to(kit / "annotations" / "UCF-Crime")) for one in benchmark.listed]
    official = (kit / "annotations" / "UCF-Crime" / "Anomaly_Test.txt").read_text().split()
    assert sorted(sources) == sorted(official)  # where a missing video is said to belong
