"""A scan knows what it scored: what changed is scored again, what grows is left, and nothing old passes for new."""

import json
import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from scan_results import failures, finished, sources, states, tree
from video import make

from lavida.detector import Detector
from lavida.errors import InputError
from lavida.scan.state import state_of
from lavida.scan.store import Store

HOUR = 3600


def aged(path: Path, seconds: float = HOUR) -> Path:
    """The file or the folder of images, last changed so long ago."""
    for file in path.iterdir() if path.is_dir() else [path]:
        os.utime(file, (time.time() - seconds,) * 2)
    return path


@pytest.fixture
def videos(footage: Path) -> Path:
    """The footage and a folder of images, all of them an hour old."""
    make.folder(footage / "stills", {f"{i}.png": make.plain(250) for i in range(4)})
    for path in ("cam 1/a.mp4", "cam 1/b.mp4", "c.avi", "stills"):
        aged(footage / path)
    return footage


def grows_while_it_is_scored(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    detect = Detector.detect

    def growing(self, source, *arguments, **options):
        try:
            return detect(self, source, *arguments, **options)
        finally:
            if Path(source).name == name:
                with open(source, "ab") as file:
                    file.write(b"more")

    monkeypatch.setattr(Detector, "detect", growing)


# --- what changed is scored again


def test_a_video_that_changed_is_scored_again_and_replaced(videos, scan_to, looks, tmp_path):
    scan_to(videos, settle=10)
    before = tree(tmp_path / "out")
    make.video(videos / "c.avi", frames=9)
    aged(videos / "c.avi", 60)
    again = scan_to(videos, settle=10)
    assert looks.sources[4:] == ["c.avi"] and (again.finished, again.scored) == (4, 1)
    assert again.said[0] == "4 videos, 3 of them finished before, 1 changed since they were scored"
    assert sources(tmp_path / "out")["c.avi"] == 9 and sources(tmp_path / "out", "events")["c.avi"] == 0
    after = tree(tmp_path / "out")
    unchanged = {name: content for name, content in before.items() if "c.avi" not in name}
    assert unchanged.items() <= after.items() and len(after) == len(before)
    assert states(tmp_path / "out")["video=c.avi"] == [state_of(str(videos / "c.avi")).to_json()]
    assert scan_to(videos, settle=10).scored == 0


def test_a_new_time_of_change_is_a_change(videos, scan_to, looks):
    scan_to(videos)
    aged(videos / "c.avi", 60)
    assert scan_to(videos).scored == 1 and looks.sources[4:] == ["c.avi"]


def test_a_folder_of_images_changes_with_its_images_and_not_with_its_labels(videos, scan_to, looks, tmp_path):
    scan_to(videos, settle=10)
    (videos / "stills" / "labels.txt").write_text("1")
    assert scan_to(videos, settle=10).scored == 0
    (videos / "stills" / "9.png").write_bytes((videos / "stills" / "1.png").read_bytes())
    aged(videos / "stills", 60)
    assert scan_to(videos, settle=10).scored == 1 and looks.sources[4:] == ["stills"]
    assert sources(tmp_path / "out")["stills"] == 5


def test_each_result_says_what_it_was_made_from(videos, scan_to, tmp_path):
    scan_to(videos)
    kept = states(tmp_path / "out")
    assert kept.keys() == finished(tmp_path / "out") and all(len(each) == 1 for each in kept.values())
    assert kept["video=c.avi"][0]["bytes"] == (videos / "c.avi").stat().st_size
    assert kept["video=stills"][0]["pictures"] == 4


def test_what_is_gone_keeps_its_results(videos, scan_to, looks, tmp_path):
    (tmp_path / "list.txt").write_text("footage/c.avi\nfootage/cam 1/a.mp4\n")
    scan_to(tmp_path / "list.txt")
    before = tree(tmp_path / "out")
    (videos / "c.avi").unlink()
    again = scan_to(tmp_path / "list.txt")
    assert (again.finished, again.scored, again.failures) == (2, 0, {}) and tree(tmp_path / "out") == before
    assert any("cannot tell what has changed of 1 finished videos" in line and "c.avi" in line for line in again.said)


# --- what grows is left


def test_a_fresh_video_is_named_and_left_for_the_next_run(videos, scan_to, looks, tmp_path):
    aged(videos / "c.avi", 2)
    first = scan_to(videos, settle=10)
    assert (first.videos, first.finished, first.failures) == (4, 3, {}) and list(first.left) == ["c.avi"]
    assert any(line.startswith("left for the next run: c.avi: changed ") for line in first.said)
    assert "c.avi" not in looks.sources and "video=c.avi" not in finished(tmp_path / "out")
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["complete"], run["failed"], run["left_for_the_next_run"]) == (True, 0, 1)
    aged(videos / "c.avi", 11)
    second = scan_to(videos, settle=10)
    assert (second.finished, second.scored, second.left) == (4, 1, {})


def test_a_folder_of_images_is_as_fresh_as_its_newest(videos, scan_to):
    aged(videos / "stills" / "3.png", 1)
    assert list(scan_to(videos, settle=10).left) == ["stills"]


def test_a_video_that_changes_while_it_is_scored_is_left_whatever_its_age(
    videos, scan_to, looks, tmp_path, monkeypatch
):
    grows_while_it_is_scored(monkeypatch, "c.avi")
    report = scan_to(videos, settle=0)
    assert list(report.left) == ["c.avi"] and report.left["c.avi"].startswith("changed while it was scored")
    assert report.finished == 3 and "video=c.avi" not in finished(tmp_path / "out")
    assert not (tmp_path / "out" / "events" / "video=c.avi").exists()


def test_half_a_file_that_grows_is_not_a_broken_one(videos, scan_to, tmp_path, monkeypatch):
    (videos / "new.mp4").write_bytes(b"half")
    grows_while_it_is_scored(monkeypatch, "new.mp4")
    report = scan_to(videos)
    assert list(report.left) == ["new.mp4"] and report.failures == failures(tmp_path / "out") == {}


@pytest.mark.parametrize(("ahead_s", "left"), [(HOUR, []), (3, ["c.avi"])])
def test_a_clock_that_is_ahead_does_not_make_a_video_grow_for_ever(videos, scan_to, ahead_s, left):
    aged(videos / "c.avi", -ahead_s)
    assert list(scan_to(videos, settle=10).left) == left
    aged(videos / "c.avi", 20)
    assert scan_to(videos, settle=10).finished == 4


def test_the_time_to_settle_is_ten_seconds_if_nobody_says_otherwise(videos, looks):
    from lavida.scan import scan

    aged(videos / "c.avi", 5)
    aged(videos / "cam 1" / "a.mp4", 20)
    assert list(scan([str(videos)], ["light"], out=str(videos.parent / "out")).left) == ["c.avi"]


@pytest.mark.parametrize("settle", [-1, float("nan"), float("inf")])
def test_a_time_to_settle_that_cannot_be_is_refused(videos, scan_to, settle):
    with pytest.raises(InputError, match="--settle .* is out of range: choose 0 or more seconds"):
        scan_to(videos, settle=settle)


def test_no_one_waits_where_settling_is_switched_off(videos, scan_to):
    aged(videos / "c.avi", 0)
    assert scan_to(videos, settle=0).finished == 4


# --- nothing old passes for new


def test_old_results_of_a_video_that_is_broken_now_are_removed(videos, scan_to, tmp_path):
    scan_to(videos)
    (videos / "c.avi").write_bytes(b"junk" * 99)
    report = scan_to(videos)
    assert list(report.failures) == list(failures(tmp_path / "out")) == ["c.avi"] and report.finished == 3
    assert_no_trace(tmp_path / "out", "c.avi")


def test_old_results_of_a_video_that_grows_now_are_removed(videos, scan_to, tmp_path):
    scan_to(videos, settle=10)
    make.video(videos / "c.avi", frames=9)
    report = scan_to(videos, settle=10)
    assert list(report.left) == ["c.avi"] and report.finished == 3
    assert_no_trace(tmp_path / "out", "c.avi")


def test_old_results_of_a_video_that_kills_the_process_are_removed(videos, scan_to, tmp_path, monkeypatch):
    scan_to(videos)
    make.video(videos / "c.avi", frames=9)
    monkeypatch.setattr(
        "lavida.scan.resume.CrashLedger.sort", lambda self, todo: ([], {video.name: "died" for video in todo})
    )
    assert scan_to(videos).failures == {"c.avi": "died"}
    assert_no_trace(tmp_path / "out", "c.avi")


def assert_no_trace(out: Path, name: str) -> None:
    assert not any((out / kind / f"video={name}").exists() for kind in ("frames", "events", "states"))


def test_old_results_stay_with_their_old_state_until_their_turn(videos, scan_to, tmp_path, monkeypatch):
    scan_to(videos)
    old = states(tmp_path / "out")
    for path in ("c.avi", "cam 1/b.mp4"):
        make.video(videos / path, frames=9)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Detector, "detect", interrupted_at("b.mp4", Detector.detect))
        scan_to(videos)
    kept = states(tmp_path / "out")
    assert (
        kept["video=cam%201%2Fb.mp4"] == old["video=cam%201%2Fb.mp4"] and sources(tmp_path / "out")["cam 1/b.mp4"] == 7
    )
    assert kept["video=c.avi"] != old["video=c.avi"] and sources(tmp_path / "out")["c.avi"] == 9
    assert scan_to(videos).scored == 1 and sources(tmp_path / "out")["cam 1/b.mp4"] == 9


def interrupted_at(name, detect):
    def stopped(self, source, *arguments, **options):
        if Path(source).name == name:
            raise KeyboardInterrupt
        return detect(self, source, *arguments, **options)

    return stopped


class Killed(BaseException):
    """In place of a kill: nothing of lavida catches it, and it leaves the disk as it is."""


@pytest.mark.parametrize("steps", range(7))
def test_a_kill_at_any_moment_of_a_replacement_leaves_results_with_their_own_state(
    videos, scan_to, tmp_path, monkeypatch, steps
):
    out, video = tmp_path / "out", videos / "c.avi"
    scan_to(videos)
    tokens = {state_of(str(video)).token: 20}
    make.video(video, frames=9)
    tokens[state_of(str(video)).token] = 9
    whole = scan_to(videos, out=str(tmp_path / "whole"))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dies_after(patch, steps, of="video=c.avi")
        scan_to(videos)
    if "video=c.avi" in finished(out):
        token = [file.stem for file in (out / "states" / "video=c.avi").iterdir()]
        assert [sources(out)["c.avi"]] == [tokens[each] for each in token]
    make.video(video, frames=11)  # and it may change again before anybody looks
    assert scan_to(videos).finished == whole.finished == 4 and sources(out)["c.avi"] == 11
    assert states(out)["video=c.avi"] == [state_of(str(video)).to_json()]


def dies_after(patch: pytest.MonkeyPatch, steps: int, *, of: str) -> None:
    """Let only so many changes of what belongs to one video through."""
    done = []

    def mortal(change):
        def changing(self, name: str, *content: bytes) -> None:
            if of in name:
                if len(done) == steps:
                    raise Killed
                done.append(name)
            change(self, name, *content)

        return changing

    for method in ("write", "remove"):
        patch.setattr(Store, method, mortal(getattr(Store, method)))
    if steps == 6:  # all of them: then the run itself is killed
        patch.setattr("lavida.scan.run._Scan._take", lambda *_: (_ for _ in ()).throw(Killed))


def test_results_with_two_states_are_not_believed(videos, scan_to, looks, tmp_path):
    scan_to(videos)
    (tmp_path / "out" / "states" / "video=c.avi" / "0123456789abcdef.json").write_text("{}")
    assert scan_to(videos).scored == 1 and looks.sources[4:] == ["c.avi"]
    assert len(states(tmp_path / "out")["video=c.avi"]) == 1


# --- at other addresses


def test_remote_videos_that_changed_are_scored_again(videos, scan_to, looks, monkeypatch):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(f"{videos}/", "/changing", recursive=True)
    out = "memory://changes"
    assert scan_to("memory://changing", out=out).scored == 4
    assert scan_to("memory://changing", out=out).scored == 0
    memory.pipe("/changing/c.avi", (videos / "cam 1" / "b.mp4").read_bytes())
    memory.pipe("/changing/stills/9.png", (videos / "stills" / "1.png").read_bytes())
    again = scan_to("memory://changing", out=out)
    assert (again.finished, again.scored) == (4, 2) and len(looks.sources) == 6
    table = pq.read_table("/changes/frames", filesystem=memory, partitioning=None)
    assert sorted(table["source"].to_pylist()).count("c.avi") == 7
    assert list(scan_to("memory://changing", out="memory://fresh", settle=60).left) == [
        "c.avi",
        "cam 1/a.mp4",
        "cam 1/b.mp4",
        "stills",
    ]
    memory.rm("/", recursive=True)


def test_a_listing_that_tells_less_than_a_look_does_not_mean_a_change(videos, scan_to, monkeypatch):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(f"{videos}/", "/terse", recursive=True)
    scan_to("memory://terse")
    ls = type(memory).ls

    def terse(self, path, detail=True, **options):
        found = ls(self, path, detail=detail, **options)
        kept = ("name", "type") if path.endswith("terse") else ("name", "type", "size", "created")
        return [{key: info[key] for key in kept if key in info} for info in found] if detail else found

    monkeypatch.setattr(type(memory), "ls", terse)
    assert scan_to("memory://terse").scored == 0
    memory.rm("/", recursive=True)
