"""`lavida data check BENCHMARK`: what is printed where, and how it ends."""

import pytest
from evaluation.benchmark_trees import shanghaitech, ucf_crime

from lavida.cli import run
from lavida.evaluation.benchmarks import BENCHMARKS, Expected


def test_benchmarks_are_listed_with_their_counts(capsys):
    assert run(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("avenue") + 1] == "  test     21 videos, 15,324 frames, 3,712 abnormal frames"
    assert set(BENCHMARKS) <= set(lines)


def test_a_complete_copy_ends_with_0(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(BENCHMARKS["shanghaitech"], "expected", Expected(videos=2, frames=16, abnormal_frames=2))
    assert run(["data", "check", "shanghaitech", "--root", str(shanghaitech(tmp_path))]) == 0
    out, err = capsys.readouterr()
    assert ["frames", "16", "16", "16"] in [line.split() for line in out.splitlines()] and err == ""


def test_an_incomplete_copy_ends_with_2_and_one_line(tmp_path, capsys):
    assert run(["data", "check", "ucf-crime", "--root", str(ucf_crime(tmp_path))]) == 2
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert ["videos", "4", "3", "290", "differs"] in rows
    assert "missing (1):" in out and "Vandalism/Vandalism017_x264.mp4" in out
    (line,) = err.splitlines()
    assert line.startswith("lavida: data check ucf-crime: 1 missing, first: ") and "; it should hold " in line


def test_a_missing_label_file_is_one_of_what_is_missing(tmp_path, capsys):
    lost = shanghaitech(tmp_path) / "shanghaitech" / "testing" / "test_frame_mask" / "12_0175.npy"
    lost.unlink()
    assert run(["data", "check", "shanghaitech", "--root", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "missing (1):" in out and str(lost) in out and err.startswith("lavida: data check shanghaitech: 1 missing")


def test_the_annotation_of_the_kit_is_counted(kit, capsys):
    assert run(["data", "check", "xd-violence", "--root", str(kit / "annotations")]) == 2
    out, err = capsys.readouterr()
    assert ["videos", "500", "0", "800", "differs"] in [line.split() for line in out.splitlines()]
    assert "the 300 normal ones are those of the video folder" in out and "and 480 more" in out
    assert "500 missing" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "train"], "--split train"),
        (["--out", "x.png"], "--out x.png"),
        (["--samples", "12"], "--samples 12"),
        ([], "no ShanghaiTech here"),
    ],
)
def test_bad_options_are_one_line(tmp_path, capsys, options, words):
    assert run(["data", "check", "shanghaitech", "--root", str(tmp_path), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
