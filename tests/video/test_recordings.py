"""Recordings as devices write them: the rows, times and pictures that players show, each kind with a file of its own.

What players do was seen with FFmpeg 8.1 (`ffplay`, `ffmpeg`), mpv's rule for colours, and browsers' for GIF delays.
"""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lavida.errors import InputError
from lavida.video.contrast import Contrast
from lavida.video.decode import open_source

from . import make
from .looking import bright_corner, levels, read, selected


def times_of(source) -> list[float]:
    return [frame.time_s for frame in read(source, 50)]


# --- times


def test_one_stamp_an_hour_ahead_moves_nothing_else(tmp_path: Path):
    """A recorder's clock was wrong for one frame: all later ones came an hour late."""
    path = make.video(tmp_path / "clip.ts", codec="mpeg2video", frames=50)

    def change(number: int, packet: av.Packet) -> None:
        if number == 20:
            packet.pts += 3600 * 90_000

    source = open_source(make.rewritten(tmp_path / "late.ts", path, change))
    assert times_of(source) == pytest.approx(np.arange(50) / 25, abs=1e-4)
    (warning,) = source.warnings
    assert "1 of 50 frames" in warning and str(source.info.path) in warning


def test_short_recordings_strung_together_go_on(tmp_path: Path):
    one = make.video(tmp_path / "one.ts", codec="mpeg2video", frames=9, fps=25).read_bytes()
    (tmp_path / "three.ts").write_bytes(one * 3)
    source = open_source(tmp_path / "three.ts")
    assert times_of(source) == pytest.approx(np.arange(27) / 25, abs=1e-4)
    assert source.warnings == [] and "another recording begins at 0.4 s, 0.7 s" in source.notes[0]


def test_frames_of_a_slow_stretch_are_all_looked_at(tmp_path: Path):
    """Thirty frames a second, then one: what happens in between was looked past."""
    stamps = [*(round(i * 1000 / 30) for i in range(60)), *range(2000, 12000, 1000)]
    source = open_source(make.video(tmp_path / "slow.mp4", times_ms=stamps))
    frames = read(source, None)
    assert set(range(60, 70)) <= set(selected(frames))
    chosen = np.array([frame.time_s for frame in frames if frame.image is not None])
    assert np.diff(chosen[chosen < 2]).max() <= 0.2 + 1e-6 and len(chosen) < 25


def test_a_raw_stream_runs_at_the_rate_of_its_header(tmp_path: Path):
    """PyAV 18.1 gives 25 as the `average_rate` of every raw stream."""
    source = open_source(make.video(tmp_path / "cam.h264", codec="libx264", frames=20, fps=10))
    assert source.info.fps == 10
    assert times_of(source) == pytest.approx(np.arange(20) / 10)
    assert source.warnings == [] and "header" in source.notes[0]


def test_a_fast_recording_with_b_frames_has_the_rate_of_its_sorted_stamps(tmp_path: Path):
    path = make.video(tmp_path / "fast.mp4", codec="libx264", frames=300, fps=1000, options=None)
    source = open_source(path)
    assert source.info.fps == pytest.approx(1000)
    assert times_of(source) == pytest.approx(np.arange(300) / 1000, abs=1e-4)


def test_stamps_in_the_order_of_decoding_are_sorted(tmp_path: Path):
    """AVI has no stamps of presentation; with B-frames FFmpeg's are mixed up."""
    source = open_source(make.video(tmp_path / "b.avi", codec="libx264", frames=50))
    times = times_of(source)
    assert np.diff(times[:-1]) == pytest.approx(0.04, abs=1e-3)
    assert times[-1] == pytest.approx(49 / 25, abs=0.041) and source.warnings == []


def test_the_other_frame_of_a_pair_is_as_far_away_as_the_time_says(tmp_path: Path):
    stamps = [*range(0, 1000, 10), *range(1000, 3000, 200)]
    source = open_source(make.video(tmp_path / "two_rates.mkv", times_ms=stamps))
    pairs = {f.index: f.pair for f in source.read(stride=1, size=(24, 32), pair_size=(24, 32))}
    assert pairs[50].seconds == pytest.approx(0.04, abs=1e-3) and pairs[105].seconds == pytest.approx(0.2, abs=1e-3)


# --- what was announced


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.ts"])
def test_sound_that_goes_on_is_no_damage(tmp_path: Path, name):
    source = open_source(make.under_sound(tmp_path / name, frames=100, seconds=12))
    assert len(read(source, 50)) == 100 and source.warnings == []


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_a_piece_of_a_long_recording_is_whole(tmp_path: Path, name):
    source = open_source(make.under_sound(tmp_path / name, frames=100, seconds=4, start_s=5000))
    assert source.info.frames_hint == pytest.approx(100, abs=3)
    assert times_of(source) == pytest.approx(np.arange(100) / 25, abs=2e-3) and source.warnings == []


def test_places_in_an_avi_that_hold_no_picture_are_no_damage(tmp_path: Path):
    path = make.video(tmp_path / "gaps.avi", codec="mjpeg", pix_fmt="yuvj420p", times_ms=range(0, 4000, 40), fps=50)
    source = open_source(path)
    assert len(read(source, 50)) == 100 and source.warnings == []


def test_hidden_frames_are_not_announced(tmp_path: Path):
    path = make.video(tmp_path / "whole.mp4", frames=100, codec="libx264")
    source = open_source(make.trimmed(tmp_path / "cut.mp4", path, frames=60))
    assert len(read(source)) == 40 and source.warnings == [] and source.info.frames_hint == pytest.approx(40, abs=2)


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


# --- pictures


def test_a_folder_takes_every_kind_of_picture_and_tells_what_it_leaves_out(tmp_path: Path):
    for index, suffix in enumerate(["png", "webp", "bmp", "jpg", "tif", "ppm", "jp2", "gif", "qoi"]):
        if suffix == "qoi":
            suffix = "tga"
        Image.new("RGB", (64, 48), (20 * index,) * 3).save(tmp_path / f"{index}.{suffix}")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "labels.xml").write_text("x")
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").write_text("x")
    source = open_source(tmp_path)
    assert levels(read(source)) == pytest.approx([20 * index for index in range(9)], abs=2)
    assert source.notes == [f"1 .txt, 1 .xml, 1 folder left out: {tmp_path}; no pictures by their names"] or all(
        part in source.notes[0] for part in ("1 .txt", "1 .xml", "1 folder")
    )


@pytest.mark.parametrize("name", ["stack.tif", "moving.png", "moving.webp", "moving.gif"])
def test_every_page_of_a_file_is_a_frame(tmp_path: Path, name):
    shown = [Image.new("RGB", (64, 48), (20 * index,) * 3) for index in range(6)]
    pace = {} if name.endswith("tif") else {"duration": [100, 200, 100, 100, 100, 100], "loop": 0}
    pace |= {"lossless": True} if name.endswith("webp") else {}
    shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:], **pace)
    alone, folder = open_source(tmp_path / name), open_source(tmp_path)
    for source in (alone, folder):
        assert levels(read(source)) == pytest.approx([20 * index for index in range(6)], abs=2)
    assert times_of(folder) == pytest.approx(np.arange(6) / 25)
    assert times_of(alone) == pytest.approx([0, 0.1, 0.3, 0.4, 0.5, 0.6] if pace else np.arange(6) / 25)
    back = alone.read(stride=2, pair_size=(24, 32))
    assert all(frame.pair.before is not None for frame in back if frame.image is not None)


def test_frames_of_a_gif_that_last_no_time_last_a_tenth_of_a_second_as_in_browsers(tmp_path: Path):
    shown = [Image.new("RGB", (64, 48), (20 * index,) * 3) for index in range(6)]
    shown[0].save(tmp_path / "fast.gif", save_all=True, append_images=shown[1:], duration=0)
    source = open_source(tmp_path / "fast.gif")
    assert source.info.fps == pytest.approx(10) and times_of(source) == pytest.approx(np.arange(6) / 10)


def test_previews_inside_a_file_are_no_frames(tmp_path: Path):
    large, small = Image.new("RGB", (64, 48), (90,) * 3), Image.new("RGB", (32, 24))
    preview = Image.new("RGB", (32, 24))
    large.save(tmp_path / "page.tif", save_all=True, append_images=[preview], tiffinfo={254: 0})
    data = bytearray((tmp_path / "page.tif").read_bytes())
    entry = data.rindex(b"\xfe\x00\x04\x00")  # the second page's kind: a smaller version of another
    data[entry + 8] = 1
    (tmp_path / "page.tif").write_bytes(data)
    large.save(tmp_path / "stereo.jpg", "MPO", save_all=True, append_images=[small])
    assert len(read(open_source(tmp_path))) == 2


def test_a_stack_of_image_j_is_all_its_pictures(tmp_path: Path):
    """One page that says `images=5`, and the pixels of all five one after the other."""
    first = Image.fromarray(np.full((48, 64), 100, np.uint16))
    first.save(tmp_path / "stack.tif", tiffinfo={270: "ImageJ=1.54f\nimages=5\nslices=5"})
    with (tmp_path / "stack.tif").open("ab") as file:
        data = (tmp_path / "stack.tif").read_bytes()
        pixels = data.index(np.full(48 * 64, 100, "<u2").tobytes())
        assert pixels + 48 * 64 * 2 == len(data)  # they lie at the end
        for level in (200, 300, 400, 500):
            file.write(np.full((48, 64), level, "<u2").tobytes())
    for path in (tmp_path, tmp_path / "stack.tif"):
        assert levels(read(open_source(path))) == pytest.approx([0, 64, 128, 191, 255], abs=1)


def test_a_tiff_in_which_zero_is_white_is_turned_round(tmp_path: Path):
    values = np.full((48, 64), 1000, np.uint16)
    values[:24, :32] = 60_000
    Image.fromarray(values).save(tmp_path / "0.tif", tiffinfo={262: 0})
    data = bytearray((tmp_path / "0.tif").read_bytes())
    entry = data.index(b"\x06\x01\x03\x00")  # its photometric interpretation, which Pillow writes as it likes
    data[entry + 8] = 0
    (tmp_path / "0.tif").write_bytes(data)
    image = read(open_source(tmp_path))[0].image
    assert image[10, 10, 0] < 30 and image[-1, -1, 0] > 240


def test_a_stream_whose_demuxer_fails_behind_the_pictures_is_whole(tmp_path: Path):
    """Some recorders' indexes are an error to FFmpeg; frames that come out after it have no number as their time."""
    path = make.y4m(tmp_path / "a.y4m", frames=20)
    with path.open("ab") as file:
        file.write(b"no frame header follows here")
    source = open_source(path)
    assert times_of(source) == pytest.approx(np.arange(20) / 25) and source.warnings == []


def test_a_video_is_named_by_its_content_not_by_its_suffix(tmp_path: Path):
    """Dahua's recorders write .dav; FFmpeg knows a file by its content."""
    make.video(tmp_path / "a.mp4").rename(tmp_path / "a.dav")
    make.video(tmp_path / "b.mp4").rename(tmp_path / "no_suffix")
    for name in ("a.dav", "no_suffix"):
        assert len(read(open_source(tmp_path / name))) == 12


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), 24])
def test_a_constant_rate_is_read_as_before(tmp_path: Path, fps):
    """By the stride that its rate asks for, with times that are exact."""
    source = open_source(make.video(tmp_path / "c.mkv", frames=60, fps=fps))
    frames = read(source, None)
    stride = int(fps // 5)
    assert selected(frames) == sorted({*range(0, 60, stride), 59})
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(60) / float(fps), abs=1e-3)


def test_a_broken_picture_keeps_its_place_whatever_breaks_in_it(tmp_path: Path):

    for index in range(4):
        Image.new("RGB", (64, 48), (20 * index,) * 3).save(tmp_path / f"{index}.png")
    data, info = BytesIO(), PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="1"/>')
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(data, "PNG", pnginfo=info)
    (tmp_path / "4.png").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    source = open_source(tmp_path)
    frames = read(source)
    assert [frame.index for frame in frames if frame.image is None] == [4] and "4.png" in source.warnings[0]


def test_pages_of_different_sizes_are_refused_not_passed_over(tmp_path: Path):
    large, small = Image.new("RGB", (64, 48)), Image.new("RGB", (32, 24))
    large.save(tmp_path / "mixed.tif", save_all=True, append_images=[small, large])
    with pytest.raises(InputError, match="different sizes"):
        open_source(tmp_path / "mixed.tif")


def test_the_picture_for_those_who_do_not_know_apng_is_no_frame(tmp_path: Path):
    shown = [Image.new("RGB", (64, 48), (level,) * 3) for level in (9, 50, 100, 150)]
    shown[0].save(tmp_path / "a.png", save_all=True, append_images=shown[1:], default_image=True, duration=100)
    assert levels(read(open_source(tmp_path / "a.png"))) == [50, 100, 150]


@pytest.mark.parametrize("name", ["static.mp4", "static.mkv"])
def test_a_last_picture_that_stands_for_long_is_no_damage(tmp_path: Path, name):
    """As screen recorders write it where nothing moves at the end."""
    path = make.video(tmp_path / f"whole.{name[-3:]}", frames=25, codec="mpeg4")

    def stands(number: int, packet: av.Packet) -> None:
        if number == 24:
            packet.duration = round(5 / packet.time_base)

    source = open_source(make.rewritten(tmp_path / name, path, stands))
    assert len(read(source)) == 25 and source.warnings == []
