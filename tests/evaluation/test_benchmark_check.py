import numpy as np
import pytest
from video.make import trimmed, truncated, video

from evaluation.benchmark_trees import TREES, avenue, clip, shanghaitech, ubnormal, ucf_crime, xd_violence
from lavida.evaluation.benchmarks import BENCHMARKS, Expected, read_benchmark
from lavida.evaluation.benchmarks.check import check_benchmark


def _check(name, root):
    return check_benchmark(read_benchmark(name, root))


def _counts(report):
    return {count.unit: (count.annotated, count.found, count.expected) for count in report.counts}


def test_a_complete_copy_has_no_problem(tmp_path):
    class Small(BENCHMARKS["shanghaitech"]):
        expected = Expected(videos=2, frames=16, abnormal_frames=2)

    report = check_benchmark(Small(shanghaitech(tmp_path)))
    assert report.problem is None and not report.missing and not report.faults
    assert _counts(report) == {
        "videos": (2, 2, 2),
        "abnormal videos": (1, 1, None),
        "frames": (16, 16, 16),
        "abnormal frames": (2, 2, 2),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", TREES)
def test_a_subset_is_incomplete_and_what_is_there_is_right(name, tmp_path):
    report = _check(name, TREES[name](tmp_path))
    assert not report.faults and not report.damaged and report.problem


def test_missing_videos_are_named_by_the_place_where_they_belong(tmp_path):
    report = _check("ucf-crime", ucf_crime(tmp_path))
    assert report.missing == (tmp_path / "Vandalism" / "Vandalism017_x264.mp4",)
    assert "1 missing, first: " in report.problem and "Vandalism017_x264.mp4" in report.problem
    assert _counts(report)["videos"] == (4, 3, 290) and _counts(report)["abnormal videos"] == (3, 2, 140)
    assert _counts(report)["frames"][1] == 160 + 85 + 20
    assert _counts(report)["abnormal frames"][:2] == (91 + 61 + 61 + 61, 91 + 56)
    assert report.remarks == ("annotations that end behind their video: 1, by up to 5 frames; they are cut there",)


def test_a_video_of_the_wrong_length_is_named(tmp_path):
    root = avenue(tmp_path)
    clip(root / "Avenue Dataset" / "testing_videos" / "08.avi", 7)
    report = _check("avenue", root)
    (fault,) = report.faults
    assert fault.startswith("08: 7 frames but 9 labels: ") and "08.avi" in fault
    assert "1 wrong, first: 08: 7 frames" in report.problem


def test_a_video_that_ends_long_before_its_annotation_is_wrong(tmp_path):
    root = ucf_crime(tmp_path)
    clip(root / "UCF_Crimes" / "Explosion" / "Explosion039_x264.mp4", 100)
    (fault,) = _check("ucf-crime", root).faults
    assert fault.startswith("Explosion039_x264: 100 frames, but abnormal up to frame 150: ")


@pytest.mark.slow
def test_a_missing_frame_of_an_official_length_is_wrong(tmp_path):
    root = TREES["ucsd-ped1"](tmp_path)
    (root / "Test" / "Test005" / "200.tif").unlink()
    (fault,) = _check("ucsd-ped1", root).faults
    assert fault.startswith("Test005: 199 of 200 frames: ")


def test_a_file_that_is_no_video_is_named_and_the_rest_is_counted(tmp_path):
    xd_violence(tmp_path)
    (broken,) = (tmp_path / "XD-Violence" / "videos").glob("*label_G-0-0.mp4")
    broken.write_bytes(b"not a video")
    report = _check("xd-violence", tmp_path)
    (fault,) = report.faults
    assert fault.startswith("not a video: ") and broken.name in fault
    assert _counts(report)["frames"][1] == 150 + 20


def test_half_a_download_is_wrong_even_where_nothing_is_annotated(tmp_path):
    normal = ubnormal(tmp_path) / "UBnormal" / "Scene18" / "normal_scene_18_scenario_4.mp4"
    normal.unlink()
    truncated(normal, frames=40)
    (fault,) = _check("ubnormal", tmp_path).faults
    assert fault.startswith("normal_scene_18_scenario_4: cut short, ") and "of 40 frames" in fault


def test_broken_annotation_is_one_fault_among_others(tmp_path):
    testing = shanghaitech(tmp_path) / "shanghaitech" / "testing"
    np.save(testing / "test_frame_mask" / "01_0014.npy", np.full(8, 3))
    (testing / "frames" / "12_0175" / "000.jpg").unlink()
    report = _check("shanghaitech", tmp_path)
    assert next(fault.partition(" in ")[0] for fault in report.faults) == "unknown label 3"
    assert report.faults[1].startswith("12_0175: 7 frames but 8 labels") and "2 wrong" in report.problem


def test_missing_annotation_is_named(tmp_path):
    root = ubnormal(tmp_path)
    tracks = root / "UBnormal/Scene1/abnormal_scene_1_scenario_1_annotations/abnormal_scene_1_scenario_1_tracks.txt"
    tracks.unlink()
    report = _check("ubnormal", root)
    assert report.missing == (root / "UBnormal/Scene1/abnormal_scene_1_scenario_2.mp4", tracks)
    assert _counts(report)["abnormal frames"][0] is None  # nobody knows


def test_masks_are_missed_though_their_video_is_missing_too(tmp_path):
    report = _check("avenue", avenue(tmp_path))
    assert tmp_path / "ground_truth_demo" / "testing_label_mask" / "2_label.mat" in report.missing
    assert _counts(report)["videos"] == (2, 2, 21)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "shanghaitech",
            {"videos": (107, 0, 107), "frames": (40791, 0, 40791), "abnormal frames": (17326, 0, 17326)},
        ),
        ("ubnormal", {"videos": (211, 0, 211), "abnormal videos": (158, 0, 158)}),
        ("ucf-crime", {"videos": (290, 0, 290), "abnormal videos": (140, 0, 140)}),
        ("xd-violence", {"videos": (500, 0, 800), "abnormal videos": (500, 0, 500)}),
    ],
)
def test_official_annotation_alone_is_counted(kit, name, expected):
    report = _check(name, kit / "annotations")
    counts = _counts(report)
    assert {unit: counts[unit] for unit in expected} == expected
    assert len(report.missing) == expected["videos"][0] and f"{len(report.missing)} missing" in report.problem
    if name == "xd-violence":
        assert (
            "500 abnormal" in report.remarks[0] and "300 normal ones are those of the video folder" in report.remarks[0]
        )


def test_frames_that_an_edit_list_hides_are_not_missing(tmp_path):
    """A video that was trimmed without coding it anew was called cut short."""
    normal = ubnormal(tmp_path) / "UBnormal" / "Scene18" / "normal_scene_18_scenario_4.mp4"
    whole = video(tmp_path / "whole.mp4", frames=60, codec="libx264")
    trimmed(normal, whole, frames=20)
    report = _check("ubnormal", tmp_path)
    assert not report.faults and not report.damaged
