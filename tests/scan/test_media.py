"""Which files count as videos: by suffix, by first bytes, and never for being text."""

import struct
from pathlib import Path

import fsspec
import pytest
from PIL import Image
from video import make

from lavida.scan.media import is_video_by_name, look_into, looks_like_video


@pytest.mark.parametrize("name", ["a.mp4", "A.MOV", "rec.dav", "loop.gif", "cctv.264", "b.rmvb", "m.apng", "x.trp"])
def test_suffixes_of_videos_are_believed(name):
    assert is_video_by_name(name) is True


@pytest.mark.parametrize(
    "name",
    ["a.txt", "a.pdf", "a.json", "a.wav", "a.jpg", "a.zip", "a.py", "a.mp4.part", "a.mkv.crdownload", "a.m4a", "a.wma"],
)
def test_suffixes_of_other_things_are_believed(name):
    assert is_video_by_name(name) is False


@pytest.mark.parametrize(
    "name", ["README", "VIDEO_TS", "clip.", "MOV001.mod", "CH01.dat", "go.mod", "tape.ps", "a.001"]
)
def test_where_the_name_does_not_tell_it_is_looked_into(name):
    assert is_video_by_name(name) is None


CONTAINERS = {
    "mp4": "mpeg4",
    "mov": "mjpeg",
    "mkv": "mpeg4",
    "avi": "mpeg4",
    "flv": "flv",
    "asf": "msmpeg4v3",
    "ts": "mpeg2video",
    "m2ts": "mpeg2video",
    "vob": "mpeg2video",
    "mpg": "mpeg1video",
    "m1v": "mpeg1video",
    "m2v": "mpeg2video",
    "m4v": "mpeg4",
    "mxf": "mpeg2video",
    "gif": "gif",
    "apng": "apng",
    "nut": "mpeg4",
    "h264": "libx264",
    "hevc": "libx265",
    "ivf": "libvpx",
    "rm": "rv10",
}
PIXELS = {"gif": "rgb8", "apng": "rgb24", "mjpeg": "yuvj420p"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_video_of_any_usual_container_is_known_without_its_suffix(tmp_path, container):
    codec = CONTAINERS[container]
    try:
        video = make.video(
            tmp_path / f"a.{container}",
            frames=3,
            width=176,
            height=144,
            codec=codec,
            pix_fmt=PIXELS.get(codec, "yuv420p"),
        )
    except (ValueError, LookupError, OSError) as error:
        pytest.skip(f"this FFmpeg cannot write it: {error}")
    assert looks_like_video(video.read_bytes()[:4096])
    assert dict(look_into([str(video)])) == {str(video): True}


def test_raw_video_and_recorders_own_headers(tmp_path):
    assert looks_like_video(make.y4m(tmp_path / "a.y4m", frames=2).read_bytes())
    dav = b"DHAV\xfd\x00\x00\x00" + bytes(400)
    packet = b"\x47" + b"\x1f\xff\x10" + b"\xff" * 184
    for head in (dav, b"IMKH\x01\x01\x00\x00" + bytes(400), b"\xff" * 77 + packet * 8, (bytes(4) + packet) * 8):
        assert looks_like_video(head)


def picture(path: Path, **options) -> bytes:
    Image.new("RGB", (8, 8), "red").save(path, **options)
    return path.read_bytes()


def test_pictures_sound_and_data_are_no_videos(tmp_path):
    heads = {name: picture(tmp_path / name) for name in ("a.png", "a.jpg", "a.tif", "a.bmp", "a.ico", "a.webp")}
    heads["a.wav"] = make.audio(tmp_path / "a.wav").read_bytes()
    heads["a.m4a"] = struct.pack(">I", 28) + b"ftypM4A \0\0\2\0M4A isomiso2"
    heads["a.heic"] = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic"
    heads["a.ttf"] = b"\0\1\0\0\0\x0e\0\x80" + bytes(64)
    heads["a.elf"] = b"\x7fELF\2\1\1" + bytes(64)
    heads["empty"] = b""
    heads["zeros"] = bytes(4096)
    assert [name for name, head in heads.items() if looks_like_video(head)] == []


@pytest.mark.parametrize(
    "text",
    [
        "# A project\n\nWhat it is.\n" * 50,
        "all:\n\tmake -C src\n",
        "G" * 4096,  # what begins each packet of a transport stream
        "BIKES are abnormal here\n",
        "%!PS-Adobe-3.0\n",
        "module example.org/tool\n\ngo 1.22\n",
        "é" * 2048,
        "x" * 4095 + "é",  # a letter that the look cuts
    ],
)
def test_text_is_no_video(text):
    assert not looks_like_video(text.encode()[:4096])


def test_remote_files_are_looked_into_by_their_beginning_alone(tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    video = make.video(tmp_path / "a.mkv", frames=3).read_bytes()
    memory.pipe({"/looks/clip": video + bytes(10**6), "/looks/README": b"text"})
    read = []
    cat = type(memory).cat_file

    def counted(self, path, start=None, end=None, **options):
        content = cat(self, path, start=start, end=end, **options)
        read.append(len(content))
        return content

    monkeypatch.setattr(type(memory), "cat_file", counted)
    addresses = [f"memory://looks/{name}" for name in ("clip", "README", "gone")]
    assert dict(look_into(addresses)) == dict(zip(addresses, (True, False, None), strict=True))
    assert max(read) <= 4096
    memory.rm("/looks", recursive=True)


def test_a_file_that_cannot_be_read_is_neither(tmp_path):
    assert dict(look_into([str(tmp_path / "gone")])) == {str(tmp_path / "gone"): None}
