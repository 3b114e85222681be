"""What `lavida scan` prints, and how it ends."""

import json
from pathlib import Path

import pytest
from bright import bright_detector
from video import make

from lavida.cli import run


@pytest.fixture
def scan(tmp_path: Path, monkeypatch):
    """`lavida scan` in a folder with two videos, one of them broken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lavida.scan.worker.load", lambda *_, **__: bright_detector())
    (tmp_path / "videos").mkdir()
    make.video(tmp_path / "videos" / "a.mp4", frames=12, mark=True)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"")

    def command(*options: str) -> int:
        return run(["scan", "videos", "-a", "light", "--out", "out", "--stride", "3", "--settle", "0", *options])

    return command


def test_people_are_told_what_was_done(scan, capsys, tmp_path):
    assert scan() == 0  # failures included
    out, err = capsys.readouterr()
    assert "1 of 2 videos finished, 1 failed" in out and "12 frames, 1 events" in out and str(tmp_path / "out") in out
    assert err.splitlines()[0] == "lavida: 2 videos, 0 of them finished before"
    assert err.splitlines()[-1].startswith("lavida: failed: broken.mp4: not a video")


def test_json_is_one_object_and_failures_are_named_on_stderr_every_time(scan, capsys, tmp_path):
    for scored in (1, 0):
        assert scan("--json") == 0
        out, err = capsys.readouterr()
        said = json.loads(out)
        assert {key: said[key] for key in ("videos", "finished", "scored")} == {
            "videos": 2,
            "finished": 1,
            "scored": scored,
        }
        assert [failure["video"] for failure in said["failures"]] == ["broken.mp4"]
        assert said["out"] == str(tmp_path / "out") and "failed: broken.mp4: not a video" in err


def test_what_grows_and_what_is_no_video_are_told_in_both_forms(scan, capsys, tmp_path):
    make.video(tmp_path / "videos" / "live.mp4", frames=5)
    (tmp_path / "videos" / "notes.txt").write_text("Notes.")
    assert scan("--settle", "600") == 0
    out, err = capsys.readouterr()
    assert "0 of 3 videos finished, 3 left for the next run" in out
    assert "lavida: left out: 1 .txt" in err.splitlines()
    assert "lavida: left for the next run: live.mp4: changed 0 s ago, it may still be growing (--settle 600)" in err
    assert scan("--settle", "600", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {each["video"] for each in said["left_for_the_next_run"]} == {"a.mp4", "broken.mp4", "live.mp4"}
    assert said["failures"] == [] and said["left_out"] == {".txt": 1}


def test_a_time_to_settle_that_cannot_be_is_one_line(scan, capsys):
    assert scan("--settle", "-1") == 2
    assert capsys.readouterr().err.splitlines() == ["lavida: --settle -1 is out of range: choose 0 or more seconds"]


def test_a_scan_with_other_words_is_refused_in_one_line_until_it_may_overwrite(scan, capsys):
    scan()
    capsys.readouterr()
    assert scan("-a", "fire") == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "other categories (light, now light, fire)" in err
    assert scan("-a", "fire", "--overwrite") == 0
