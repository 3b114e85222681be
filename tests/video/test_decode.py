"""Every source lists every frame once, in order, and selects by stride; what cannot be read gets one line."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.video.decode import default_stride, open_source

from . import make
from .looking import levels, read, selected


def test_every_frame_is_listed_once_and_in_order_and_stride_one_shows_all(tmp_path: Path):
    source = open_source(make.video(tmp_path / "clip.mp4", frames=12))
    frames = read(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert np.allclose(levels(frames), [make.grey(i) for i in range(12)], atol=4)
    assert source.warnings == []


@pytest.mark.parametrize(
    ("frames", "stride", "expected"),
    [(12, 5, [0, 5, 10, 11]), (11, 5, [0, 5, 10]), (3, 100, [0, 2]), (1, 4, [0]), (2, 1, [0, 1])],
)
def test_a_stride_selects_its_multiples_and_the_last_frame(tmp_path: Path, frames, stride, expected):
    result = read(open_source(make.video(tmp_path / "clip.mp4", frames=frames)), stride)
    assert selected(result) == expected
    assert len(result) == frames
    assert np.allclose(levels(result), [make.grey(i) for i in expected], atol=4)


@pytest.mark.parametrize(("fps", "stride"), [(25, 5), (29.97, 5), (30, 6), (4.9, 1), (1, 1), (10, 2), (9.9, 1)])
def test_the_default_stride_is_the_largest_with_five_frames_a_second(fps, stride):
    assert default_stride(fps) == stride


def test_a_stride_below_one_is_refused_before_anything_is_read(tmp_path: Path):
    with pytest.raises(ValueError, match="stride"):
        open_source(make.video(tmp_path / "clip.mp4", frames=2)).read(stride=0)


# --- refusals: one line that names the file


def text_file(folder: Path) -> Path:
    (folder / "notes.txt").write_text("hello world\n" * 500)
    return folder / "notes.txt"


def noise(folder: Path) -> Path:
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    return folder / "noise.mp4"


def cut_before_its_index(folder: Path) -> Path:
    path = make.video(folder / "unfinished.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    return path


def header_only(folder: Path) -> Path:
    return make.truncated(folder / "header.avi", keep=0.0, frames=3)


def no_pictures(folder: Path) -> Path:
    path = make.video(folder / "blank.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=3)
    data = path.read_bytes()
    start = data.index(b"\xff\xd8\xff")
    path.write_bytes(data[:start] + bytes(len(data) - start))
    return path


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    (folder / "empty" / "readme.txt").write_text("nothing here")
    return folder / "empty"


def unreadable_images(folder: Path) -> Path:
    (folder / "broken").mkdir()
    (folder / "broken" / "1.png").write_bytes(b"no image")
    return folder / "broken"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (lambda folder: folder / "missing.mp4", "no such file"),
        (lambda folder: folder / ("x" * 300), "cannot be read|no such file"),
        (text_file, "not a video"),
        (noise, "not a video"),
        (cut_before_its_index, "not a video"),
        (header_only, "not a video"),
        (lambda folder: make.audio(folder / "sound.wav"), "no video stream"),
        (no_pictures, "no frame can be decoded"),
        (empty_folder, "no images"),
        (unreadable_images, "no image can be decoded"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, path: Callable[[Path], Path], message):
    where = path(tmp_path)
    with pytest.raises(InputError, match=message) as refusal:
        open_source(where)
    assert str(where) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_stream_of_a_shell_is_no_file():
    with pytest.raises(InputError, match="no such file"):
        open_source("pipe:0")


def test_a_pipe_or_a_device_cannot_be_read_twice(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", Path("/dev/null")):
        with pytest.raises(InputError, match=f"read twice: {path}; save it to a file"):
            open_source(path)


def test_missing_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    video, images = (
        make.video(tmp_path / "a.mp4", frames=1),
        make.folder(tmp_path / "b", {"1.png": make.plain(1)}),
    )
    if os.geteuid() == 0:  # root may read everything: let the system calls refuse

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("lavida.video.video_file.av.open", refuse)
        monkeypatch.setattr(Path, "iterdir", refuse)
    else:
        video.chmod(0)
        images.chmod(0)
    for path in (video, images):
        with pytest.raises(InputError, match="permission"):
            open_source(path)


@pytest.mark.parametrize("name", ["with space.mp4", "a:b.mp4", "50%d.mp4", "Überwachung.mp4"])
def test_file_names_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name):
    monkeypatch.chdir(tmp_path)
    make.video(Path("plain.mp4"), frames=2).rename(name)
    assert len(read(open_source(name))) == 2


def test_a_message_is_one_line_whatever_the_name(tmp_path: Path):
    """Line breaks are no letters for a terminal or a log, but file systems take them."""
    lost, cut = tmp_path / "two\nlines.mp4", tmp_path / "a\r\nb.y4m"
    with pytest.raises(InputError) as raised:
        open_source(lost)
    assert str(raised.value).count("\n") == 0 and "two lines.mp4" in str(raised.value)
    source = open_source(make.y4m(cut, frames=20, broken=10))
    frames = list(source.read(stride=1))
    assert len(frames) == 10 and [line.count("\n") + line.count("\r") for line in source.warnings] == [0]


@pytest.mark.parametrize("address", ["rtsp://me:secret@camera/1", "https://example.org/a.mp4?key=secret"])
def test_an_address_is_no_file_and_is_not_repeated(address):
    with pytest.raises(InputError, match="an address is no file: .*lavida watch looks at streams") as refused:
        open_source(address)
    assert "secret" not in str(refused.value)
