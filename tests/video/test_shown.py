"""Recordings as devices write them: the stream, the part of it and the colours that players show.

What they do was seen with FFmpeg 8.1 (`ffplay`, `ffmpeg`); mpv's rule for colours.
"""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from lavida.video.decode import open_source
from lavida.video.pixels import Contrast

from . import make
from .looking import bright_corner, levels, read

# --- which stream


@pytest.mark.parametrize("name", ["two.mkv", "two.mp4"])
def test_the_stream_that_players_show_is_read_and_the_others_are_named(tmp_path: Path, name):
    preview = {"frames": 10, "width": 32, "height": 24, "fps": 5, "level": 40}
    main = {"frames": 50, "width": 64, "height": 48, "fps": 25, "level": 180, "default": True}
    source = open_source(make.several_streams(tmp_path / name, preview, main))
    frames = read(source)
    assert (source.info.width, len(frames)) == (64, 50) and levels(frames)[0] == pytest.approx(180, abs=4)
    assert source.warnings == [] and "2 video streams" in source.notes[0] and "64x48" in source.notes[0]


def test_a_cover_picture_in_front_is_not_the_video(tmp_path: Path):
    cover = {"frames": 1, "width": 32, "height": 32, "fps": 25, "level": 40}
    main = {"frames": 50, "width": 64, "height": 48, "fps": 25, "level": 180, "default": True}
    assert len(read(open_source(make.several_streams(tmp_path / "cover.mp4", cover, main)))) == 50


# --- upright, and the part that is shown

EXIF = {1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left")}
EXIF |= {5: ("top", "left"), 6: ("top", "right"), 7: ("bottom", "right"), 8: ("bottom", "left")}


@pytest.mark.parametrize(("orientation", "corner"), EXIF.items())
def test_exif_in_pictures_and_in_motion_jpeg_turns_them(tmp_path: Path, orientation, corner):
    """FFmpeg 8.1 attaches side data that PyAV 18.1 has no name for, and its `rotation` cannot tell mirrored ones."""
    data = make.jpeg(40, orientation=orientation)
    (tmp_path / "photo.jpg").write_bytes(data)
    video = make.motion_jpeg(tmp_path / "trail.avi", [data] * 6)
    upright = (48, 64) if orientation < 5 else (64, 48)
    for path, count in ((tmp_path / "photo.jpg", 1), (video, 6)):
        source = open_source(path)
        frames = read(source)
        assert len(frames) == count and (source.info.height, source.info.width) == upright
        assert all(frame.image.shape == (*upright, 3) and bright_corner(frame.image) == corner for frame in frames)


def test_a_clean_aperture_and_the_crop_of_matroska_are_what_is_shown(tmp_path: Path):
    mp4 = make.cropped_mp4(tmp_path / "clap.mp4", left=8, top=4, width=32, height=32, mark=True)
    mkv = make.cropped_mkv(tmp_path / "crop.mkv", left=8, top=4, right=24, bottom=12, mark=True)
    for path in (mp4, mkv):
        source = open_source(path)
        bright = read(source)[0].image.mean(axis=2) > 150  # the mark was 32 x 24 at the top left
        assert bright.shape == (32, 32) and bright[:20, :24].all()
        assert not bright[21:].any() and not bright[:, 25:].any()
        small = read(source, 1, (16, 16))[0].image.mean(axis=2) > 150
        assert small[:10, :12].all() and not small[11:].any()


@pytest.mark.parametrize("second", [(32, 24), (128, 96), (48, 64)])
def test_a_crop_is_that_of_the_size_for_which_it_was_declared(tmp_path: Path, second):
    """A camera that goes on in another size: the rest is fitted in, as every change of size is."""
    shown = [make.jpeg(40) for _ in range(3)] + [make.jpeg(40, size=second) for _ in range(3)]
    path = make.with_crop(make.motion_jpeg(tmp_path / "a.mkv", shown), left=8, top=4, right=24, bottom=12)
    source = open_source(path)
    frames = list(source.read(stride=1, pair_size=(16, 16)))
    assert [frame.image.shape for frame in frames] == [(32, 32, 3)] * 6 and frames[4].pair.now.shape == (16, 16)
    assert frames[0].image[:18, :22].min() > 200 and frames[5].image[:14, :14].min() > 200
    assert max(frames[0].image[22:].max(), frames[5].image[18:].max()) < 80


def test_a_crop_that_makes_no_sense_is_not_followed(tmp_path: Path):
    path = make.cropped_mp4(tmp_path / "clap.mp4", left=40, top=4, width=32, height=32)
    assert read(open_source(path))[0].image.shape == (48, 64, 3)


# --- colours and ranges


def coloured(path: Path, colour: tuple[int, int, int], *, size: tuple[int, int], matrix: str) -> Path:
    """A video of one colour whose matrix is `matrix`, which its tags do not tell."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        image = np.full((size[1], size[0], 3), colour, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = frame.reformat(format="yuv444p", dst_colorspace=matrix)
        frame.colorspace = 2  # unknown
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("size", [(1280, 720), (768, 608), (720, 576), (640, 480)])
def test_colours_without_a_tag_are_those_of_their_size(tmp_path: Path, size):
    """As players guess: BT.709 from 1280 pixels across or above 576 lines."""
    matrix = "ITU709" if size[0] >= 1280 or size[1] > 576 else "ITU601"
    path = coloured(tmp_path / "c.mkv", (200, 40, 90), size=size, matrix=matrix)
    assert np.abs(read(open_source(path))[0].image.mean((0, 1)) - (200, 40, 90)).max() < 3


def test_big_endian_pixels_are_not_swapped(tmp_path: Path):
    """FFmpeg 8.1 swaps the bytes of packed 15- and 16-bit colours on the short way to 24 bits."""
    with av.open(str(tmp_path / "qt.mov"), "w") as container:
        stream = container.add_stream("rawvideo", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb555be"
        pixel = (3 << 10 | 24 << 5 | 7).to_bytes(2, "big")
        frame = av.VideoFrame(64, 48, "rgb555be")
        frame.planes[0].update(pixel * (frame.planes[0].line_size // 2) * 48)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = open_source(tmp_path / "qt.mov")
    assert np.abs(read(source)[0].image.mean((0, 1)) - (3 * 255 / 31, 24 * 255 / 31, 7 * 255 / 31)).max() < 8


def test_sixteen_bits_that_use_little_of_their_range_are_stretched_alike(tmp_path: Path):
    """As thermal cameras write them: 3 % of the range, black and without a warning before."""
    for index in range(40):
        values = np.full((48, 64), 7000, np.uint16)
        values[:24, :32] = 7000 + 40 * index
        Image.fromarray(values).save(tmp_path / f"{index}.png")
    source = open_source(tmp_path)
    frames = read(source)
    assert 7000 <= source.info.contrast.low < 7010 and 8500 < source.info.contrast.high <= 8560
    assert frames[0].image.max() < 5 and frames[39].image[:20, :28].min() > 250
    assert levels([frames[20]])[0] == pytest.approx(128 / 4, abs=4)  # the same values look the same in every frame
    assert "2.4% of 16 bits" in source.notes[0]


def test_sixteen_bits_that_use_their_range_stay_as_they_are(tmp_path: Path):
    Image.fromarray(np.linspace(0, 65535, 48 * 64).astype(np.uint16).reshape(48, 64)).save(tmp_path / "0.png")
    source = open_source(tmp_path)
    assert source.info.contrast is None and source.notes == []
    assert read(source)[0].image[0, 0, 0] == 0 and read(source)[0].image[-1, -1, 0] == 255


@pytest.mark.parametrize("name", ["colour.png", "colour.tif"])
def test_colour_pictures_of_sixteen_bits_are_stretched_too(tmp_path: Path, name):
    values = np.full((48, 64, 3), 1000, np.uint16)
    values[:24, :32] = (9000, 5000, 1000)  # red, green, blue
    cv2.imwrite(str(tmp_path / name), np.ascontiguousarray(values[..., ::-1]))
    source = open_source(tmp_path)
    image = read(source)[0].image
    assert source.info.contrast == Contrast(1000, 9000)
    assert np.abs(image[10, 10].astype(int) - (255, 128, 0)).max() <= 1 and image[-1, -1].max() == 0


def test_a_video_of_sixteen_bits_is_stretched_by_its_first_frames_and_later_values_are_clipped(tmp_path: Path):
    with av.open(str(tmp_path / "thermal.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray16le"
        for index in range(40):
            values = np.full((48, 64), 8000, np.uint16)
            values[:24] = 9000 if index < 35 else 30000
            container.mux(stream.encode(av.VideoFrame.from_ndarray(values, format="gray16le")))
        container.mux(stream.encode())
    source = open_source(tmp_path / "thermal.mkv")
    frames = list(source.read(stride=1, pair_size=(24, 32)))
    assert source.info.contrast == Contrast(8000, 9000)
    for frame in (frames[0], frames[39]):
        assert frame.image[:20].min() > 250 and frame.image[30:].max() < 5
    assert frames[20].pair.now.max() > 250


def test_ten_bits_are_shown_as_players_do(tmp_path: Path):
    path = make.video(tmp_path / "ten.mkv", codec="ffv1", pix_fmt="yuv420p10le", frames=3)
    source = open_source(path)
    assert source.info.contrast is None and np.allclose(levels(read(source)), [make.grey(i) for i in range(3)], atol=4)
