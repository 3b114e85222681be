"""Nothing is passed over in silence: what a listing takes beyond the usual videos, and what it counts instead."""

import os
import socket
from pathlib import Path

import fsspec
import pytest
from listed import names, touch
from video import make

from lavida.errors import InputError
from lavida.files import COPIES
from lavida.live import tables
from lavida.live.clips import CLIPS, RINGS
from lavida.scan.videos import left_out_in_words, list_videos
from lavida.serve import store
from lavida.serve.places import JOBS, PARTIAL, UPLOADS


def left_out(*sources: object) -> dict[str, int]:
    return list_videos([str(source) for source in sources]).left_out


# --- what is taken


def test_recordings_of_recorders_and_moving_pictures_are_taken(tmp_path):
    touch(tmp_path, "1.dav", "2.gif", "3.264", "4.h265", "5.rmvb", "6.apng", "7.m2t", "8.DAV")
    assert names(tmp_path) == ["1.dav", "2.gif", "3.264", "4.h265", "5.rmvb", "6.apng", "7.m2t", "8.DAV"]
    assert left_out(tmp_path) == {}


def test_files_whose_name_says_nothing_are_taken_if_they_begin_like_a_video(tmp_path):
    video = make.video(tmp_path / "a.mpg", frames=3, codec="mpeg1video").read_bytes()
    for name in ("REC_0001", "MOV002.mod", "CH03.dat", "tape.ps", "0004.001"):
        (tmp_path / name).write_bytes(video)
    (tmp_path / "go.mod").write_text("module example.org/tool\n")
    (tmp_path / "figure.ps").write_text("%!PS-Adobe-3.0\n")
    touch(tmp_path, "README", "LICENSE", "Makefile", "empty")
    (tmp_path / "empty").write_bytes(b"")
    assert names(tmp_path) == ["0004.001", "a.mpg", "CH03.dat", "MOV002.mod", "REC_0001", "tape.ps"]
    assert left_out(tmp_path) == {"without a suffix": 4, ".mod": 1, ".ps": 1}


@pytest.mark.parametrize(
    "beside",
    [
        ["labels.csv"],
        ["info.json", "README"],
        ["1.txt", "2.txt", "3.txt"],
        ["1.xml", "1.json", "2.xml", "2.json", "3.xml", "3.json", "classes.txt"],  # named as the images are
    ],
)
def test_a_folder_of_frames_may_hold_labels_and_notes(tmp_path, beside):
    touch(tmp_path, *(f"cam/{name}" for name in ["1.png", "2.png", "3.jpg", *beside]))
    assert names(tmp_path) == ["cam"] and names(tmp_path / "cam") == ["cam"]
    assert sum(left_out(tmp_path).values()) == len(beside)


@pytest.mark.parametrize(
    "inside",
    [
        ["logo.png", "README.md"],  # documents with a picture
        ["1.png", "2.png", "clip.mp4"],
        ["1.png", "2.png", "sound.wav"],
        ["1.png", "2.png", "3.png", "setup.py"],
        ["1.png", "2.png", "3.png", "deeper/notes.txt"],
    ],
)
def test_pictures_among_other_things_are_counted_instead(tmp_path, inside):
    touch(tmp_path, "a.mp4", *(f"other/{name}" for name in inside))
    assert [name for name in names(tmp_path) if not name.endswith(".mp4")] == []
    assert left_out(tmp_path)[".png"] == sum(name.endswith(".png") for name in inside)


def test_who_names_a_folder_with_pictures_means_the_pictures(tmp_path):
    touch(tmp_path, "cam/1.png", "cam/notes.md", "cam/export.py", "cam/b/notes.txt")
    assert names(tmp_path / "cam") == ["cam"]  # as `detect` takes it
    touch(tmp_path, "cam/b/clip.mp4")
    assert names(tmp_path / "cam") == ["b/clip.mp4"]


# --- what is counted


def test_what_is_passed_over_is_counted_by_reason(tmp_path):
    touch(tmp_path, "a.mp4", "1.txt", "x/2.TXT", "x/3.pdf", "x/4.wav", ".secret.mp4", ".trash/b.mp4", "c.mp4.part")
    touch(tmp_path, "done/overlay.mp4", "done/run.json", "done/frames.parquet", "odd.0123", "odd.thisisnosuffix")
    touch(tmp_path, "Thumbs.db", "._a.mp4", ".DS_Store", "@eaDir/a.mp4/still.jpg", "#recycle/old.mp4")  # litter, a bin
    touch(tmp_path, "scores/frames/video=a.mp4/part-0.parquet", "scores/states/video=a.mp4/0.json")
    (tmp_path / "scores" / "run.json").write_text('{"command": "scan"}')
    assert names(tmp_path) == ["a.mp4"]
    assert left_out(tmp_path) == {
        ".txt": 2,
        ".pdf": 1,
        ".wav": 1,
        ".part": 1,
        "hidden": 3,
        "made by lavida": 2,
        "with other suffixes": 2,
    }


def test_copies_that_a_server_and_a_watch_keep_are_no_footage(tmp_path):
    touch(tmp_path, "cam.avi", "serve/lavida-serve.sqlite", "serve/uploads/0a.mp4", "serve/jobs/0a/copy.mp4")
    touch(tmp_path, "serve/jobs/0a/overlay-0.5.mp4", "serve/partial/0b.mp4", "live/clips/1.mp4", "live/ring/door/2.ts")
    touch(tmp_path, "live/lavida.sqlite", "live/snapshots/1.jpg", "live/mine.mp4", "clips/3.mp4", "uploads/4.mp4")
    assert names(tmp_path) == ["cam.avi", "clips/3.mp4", "live/mine.mp4", "uploads/4.mp4"]
    assert left_out(tmp_path) == {".sqlite": 2, "made by lavida": 6}
    assert names(tmp_path / "*", tmp_path / "live" / "*") == names(tmp_path)
    assert names(tmp_path / "serve" / "uploads") == ["0a.mp4"]  # whoever names it means it


def test_the_names_of_what_they_keep_are_their_own():
    assert COPIES == {store.DATABASE: (UPLOADS, JOBS, PARTIAL), tables.DATABASE: (CLIPS, RINGS, tables.SNAPSHOTS)}


def test_a_file_is_counted_once_however_often_it_is_met(tmp_path):
    touch(tmp_path, "cam/1.mp4", "cam/1.txt", "cam/deep/2.txt", "frames/1.png", "frames/2.png", "note.pdf")
    assert names(tmp_path, tmp_path / "cam", tmp_path / "**", tmp_path / "note.pdf") == [
        "cam/1.mp4",
        "frames",
        "note.pdf",
    ]
    assert left_out(tmp_path, tmp_path / "cam", tmp_path / "**", tmp_path / "note.pdf") == {".txt": 2}


def test_pipes_sockets_and_devices_are_not_opened_but_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    touch(tmp_path, "a.mp4")
    os.mkfifo("live.mp4")
    os.mkfifo("live")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("control")
        assert names(tmp_path) == names(tmp_path / "*") == ["a.mp4"]
        assert left_out(tmp_path) == {"pipe": 2, "socket": 1}
    line = left_out_in_words(left_out(tmp_path))
    assert line == "left out: 2 pipes, 1 socket; what can be read only once has to be saved to a file first"


def test_pipes_sockets_and_hidden_files_among_the_frames_of_a_folder_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "cam/1.png", "cam/2.png", "cam/.draft.png")
    os.mkfifo("cam/3.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("cam/4.png")
        assert names(tmp_path) == names(tmp_path / "cam") == ["cam"]
        assert left_out(tmp_path) == left_out(tmp_path / "*") == {"hidden": 1, "pipe": 1, "socket": 1}


def test_a_pipe_given_as_a_source_is_one_line_that_helps(tmp_path):
    os.mkfifo(tmp_path / "live.mp4")
    with pytest.raises(InputError, match="a pipe cannot be read twice: .*live.mp4; save what comes from it to a file"):
        list_videos([str(tmp_path / "live.mp4")])
    with pytest.raises(InputError, match="a device cannot be read twice: /dev/null"):
        list_videos(["/dev/null"])


def test_a_pipe_in_a_manifest_is_a_failure_that_says_so(tmp_path, scan_to):
    os.mkfifo(tmp_path / "live.mp4")
    make.video(tmp_path / "a.mp4", frames=3)
    (tmp_path / "list.txt").write_text("live.mp4\na.mp4\n")
    report = scan_to(tmp_path / "list.txt")
    assert report.finished == 1 and report.failures["live.mp4"].startswith("a pipe cannot be read twice: ")


def test_a_folder_without_videos_says_what_it_has(tmp_path):
    touch(tmp_path, "1.pdf", "2.pdf", "README")
    with pytest.raises(InputError, match="no videos in .*; left out: 2 .pdf, 1 without a suffix; give a folder with"):
        list_videos([str(tmp_path)])


def test_the_line_stays_short_where_much_is_passed_over():
    line = left_out_in_words({f".s{i}": i + 1 for i in range(30)})
    assert line.startswith("left out: 30 .s29, 29 .s28, ") and line.endswith(f", {sum(range(1, 23))} more")
    assert left_out_in_words({}) == ""


def test_remote_folders_are_judged_alike(tmp_path):
    touch(tmp_path, "a.mp4", "1.txt", ".secret.mp4", "README", "empty", "frames/1.png", "frames/2.png", "frames/l.csv")
    (tmp_path / "empty").write_bytes(b"")
    make.video(tmp_path / "b.mkv", frames=3).rename(tmp_path / "REC_0001")
    memory = fsspec.filesystem("memory")
    memory.put(f"{tmp_path}/", "/judged", recursive=True)
    for source, pattern in ((tmp_path, tmp_path / "*"), ("memory://judged", "memory://judged/*")):
        assert names(source) == ["a.mp4", "REC_0001", "frames"]
        assert left_out(source) == {".csv": 1, ".txt": 1, "hidden": 1, "without a suffix": 2}
        assert sorted(names(pattern)) == sorted(names(source))
    memory.rm("/judged", recursive=True)


def test_a_listing_tells_the_state_of_remote_files():
    memory = fsspec.filesystem("memory")
    memory.pipe({"/told/a.mp4": b"123", "/told/f/1.png": b"1", "/told/f/2.png": b"22"})
    videos = list_videos(["memory://told"]).videos
    assert [(video.state.bytes, video.state.pictures) for video in videos] == [(3, None), (3, 2)]
    memory.rm("/told", recursive=True)


def test_a_file_that_cannot_be_read_is_counted_apart(tmp_path, monkeypatch):
    touch(tmp_path, "a.mp4", "locked")
    monkeypatch.setattr("builtins.open", refusing(tmp_path / "locked"))
    assert left_out(tmp_path) == {"unreadable": 1}


def refusing(path: Path):
    given = open

    def guarded(file, *arguments, **options):
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", file)
        return given(file, *arguments, **options)

    return guarded
