"""Videos as they are met: odd rates, turned phones, all pixel formats, 8K, and files that are damaged."""

import itertools
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from lavida.errors import InputError
from lavida.video.decode import open_source
from lavida.video.stream import Stamps
from lavida.video.video_file import _Beginning

from . import make
from .looking import bright_corner, levels, read, selected


def test_variable_frame_rate_keeps_its_own_times_from_zero(tmp_path: Path):
    path = make.video(tmp_path / "vfr.mkv", times_ms=[500, 540, 700, 1700, 1720])
    times = [frame.time_s for frame in read(open_source(path))]
    assert np.allclose(times, [0, 0.04, 0.2, 1.2, 1.22], atol=0.002)


def test_a_rate_that_is_not_announced_is_measured(tmp_path: Path):
    """FFmpeg's guess is 1,000: then one frame in 200 would be looked at."""
    times = np.random.default_rng(0).integers(25, 45, 60).cumsum()
    path = make.unannounced(tmp_path / "browser.mkv", times_ms=times.tolist())
    assert open_source(path).info.fps == pytest.approx(1000 / np.diff(times).mean(), rel=0.02)


def test_a_rate_that_nothing_tells_is_that_of_television(tmp_path: Path):
    assert open_source(make.unannounced(tmp_path / "one.mkv", frames=1)).info.fps == 25


def test_frames_hidden_by_a_cut_are_not_missed(tmp_path: Path):
    path = make.video(tmp_path / "whole.mp4", frames=50, codec="libx264")
    source = open_source(make.trimmed(tmp_path / "cut.mp4", path, frames=20))
    assert len(read(source)) == 30 and source.warnings == []


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
def test_pictures_may_begin_after_the_sound(tmp_path: Path, name):
    source = open_source(make.late(tmp_path / name, seconds=3, frames=75))
    frames = read(source)
    assert len(frames) == 75 and frames[0].time_s == 0 and source.warnings == []


def test_a_joined_recording_whose_time_stamps_restart_keeps_running_forward(tmp_path: Path):
    first = make.video(tmp_path / "a.ts", codec="mpeg2video", frames=75).read_bytes()
    second = make.video(tmp_path / "b.ts", codec="mpeg2video", frames=75).read_bytes()
    (tmp_path / "joined.ts").write_bytes(first + second)
    times = np.array([frame.time_s for frame in read(open_source(tmp_path / "joined.ts"), 50)])
    assert len(times) == 150
    assert np.all(np.diff(times) >= 0)
    assert times[-1] == pytest.approx(149 / 25, abs=0.2)


def test_the_end_can_be_left_unread_and_the_source_read_again(tmp_path: Path):
    source = open_source(make.video(tmp_path / "clip.mp4", frames=12))
    frames = source.read(stride=1)
    assert next(frames).index == 0
    frames.close()
    once, twice = read(source, 4), read(source, 4)
    assert [f.time_s for f in once] == [f.time_s for f in twice]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(once, twice, strict=True) if a.image is not None)


def test_a_real_video_that_announces_more_frames_than_it_has(kit: Path):
    source = open_source(kit / "videos" / "highway-video02.avi")
    frames = read(source, 100, (24, 32))
    times = np.array([frame.time_s for frame in frames])
    assert source.info.frames_hint == 750
    assert [frame.index for frame in frames] == list(range(748))
    assert selected(frames) == [*range(0, 748, 100), 747]
    assert times[0] == 0 and np.all(np.diff(times) >= 0) and times[-1] == pytest.approx(29.9, abs=0.1)
    assert source.warnings == []  # two of the packets say "as before", which is no frame


# --- what the frames look like


@pytest.mark.parametrize(
    ("matrix", "shape", "corner"),
    [
        ((1, 0, 0, 1), (48, 64), ("top", "left")),
        ((0, 1, -1, 0), (64, 48), ("top", "right")),  # a phone held upright: a quarter turn clockwise
        ((-1, 0, 0, -1), (48, 64), ("bottom", "right")),
        ((0, -1, 1, 0), (64, 48), ("bottom", "left")),
        ((-1, 0, 0, 1), (48, 64), ("top", "right")),  # mirrored
        ((0, 1, 1, 0), (64, 48), ("top", "left")),  # mirrored and turned
    ],
)
def test_the_display_matrix_is_obeyed_as_players_do(tmp_path: Path, matrix, shape, corner):
    source = open_source(make.rotated(tmp_path / "phone.mp4", matrix, frames=2))
    image = read(source)[0].image
    assert (source.info.height, source.info.width) == shape
    assert image.shape == (*shape, 3)
    assert bright_corner(image) == corner
    small = read(source, 1, (30, 20))[0].image
    assert small.shape == (30, 20, 3) and bright_corner(small) == corner
    assert (small.mean(axis=2) > 150).mean() == pytest.approx(0.25, abs=0.05)


def test_pixels_that_are_not_square_are_shown_square(tmp_path: Path):
    source = open_source(make.video(tmp_path / "dv.mkv", width=72, height=48, pixel_aspect=Fraction(16, 11)))
    assert (source.info.width, source.info.height) == (104, 48)  # 72 * 16 / 11 = 104.7
    assert read(source, 100)[0].image.shape == (48, 104, 3)


def test_an_absurd_pixel_aspect_ratio_is_not_followed(tmp_path: Path):
    source = open_source(make.video(tmp_path / "odd.mkv", pixel_aspect=Fraction(40, 1), frames=1))
    assert (source.info.width, source.info.height) == (64, 48)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("ffv1", "gray", "gray.mkv"),
        ("ffv1", "yuv420p10le", "ten_bits.mkv"),
        ("ffv1", "bgra", "alpha.mkv"),
        ("mjpeg", "yuvj420p", "full_range.avi"),
        ("gif", "rgb8", "palette.gif"),
    ],
)
def test_pixel_formats_all_become_eight_bit_rgb(tmp_path: Path, codec, pix_fmt, name):
    path = make.video(tmp_path / name, codec=codec, pix_fmt=pix_fmt, frames=5, width=61, height=47)
    frames = read(open_source(path))
    assert all(frame.image.dtype == np.uint8 and frame.image.shape == (47, 61, 3) for frame in frames)
    tolerance = 20 if pix_fmt == "rgb8" else 4
    assert np.allclose(levels(frames), [make.grey(i) for i in range(5)], atol=tolerance)


def test_colour_tags_that_the_scaler_does_not_know_are_read_as_common_ones(tmp_path: Path):
    constant_luminance = 10  # of BT.2020: a real tag that FFmpeg 8 refuses to convert
    path = make.video(tmp_path / "odd.mkv", codec="ffv1", colorspace=constant_luminance, frames=3)
    assert np.allclose(levels(read(open_source(path))), [make.grey(i) for i in range(3)], atol=4)


@pytest.mark.slow
def test_8k_is_reduced_on_the_way(tmp_path: Path):
    path = make.video(tmp_path / "8k.avi", codec="mjpeg", pix_fmt="yuvj420p", width=7680, height=4320, frames=1)
    source = open_source(path)
    frames = read(source, 1, (126, 224))
    assert (source.info.width, source.info.height) == (7680, 4320)
    assert [frame.image.shape for frame in frames] == [(126, 224, 3)]
    assert np.allclose(levels(frames), [make.grey(0)], atol=4)


# --- damage


class Failing:
    """A container on a failing drive: from packet `at` on, `times` reads in a row fail."""

    def __init__(self, container: av.container.InputContainer, *, at: int, times: int) -> None:
        self._container, self._before, self._times = container, at, times

    def __getattr__(self, name: str):
        return getattr(self._container, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._container.close()

    def demux(self, stream):
        while True:
            if self._before == 0 and self._times > 0:
                self._times -= 1
                raise av.error.OSError(5, "Input/output error")
            packet = next(self._container.demux(stream))
            self._before -= 1
            yield packet
            if packet.size == 0:  # the end
                return


@pytest.mark.parametrize(("times", "decoded", "warning"), [(10**9, 25, "25 of 40"), (3, 40, "3 damaged")])
def test_when_reads_fail_all_that_could_be_read_comes_out(tmp_path, monkeypatch, times, decoded, warning):
    source = open_source(make.video(tmp_path / "clip.mp4", codec="libx264", frames=40))
    opened = av.open

    def failing(*arguments, **options):
        return Failing(opened(*arguments, **options), at=25, times=times)

    monkeypatch.setattr("lavida.video.video_file.av.open", failing)
    frames = read(source)
    assert len(frames) == decoded
    assert frames[-1].image is not None
    assert len(source.warnings) == 1 and warning in source.warnings[0]


def test_a_long_video_without_a_key_frame_is_refused_in_a_moment():
    packets = [SimpleNamespace(pts=2 * i, dts=2 * i, size=1) for i in range(40_000)]
    reading = SimpleNamespace(
        packets_in_order=lambda: iter(packets),
        decoded=lambda packet: [],
        container=SimpleNamespace(format=SimpleNamespace(name="mpegts")),
        stream=SimpleNamespace(codec_context=SimpleNamespace(has_b_frames=True)),
    )
    started = time.process_time()
    with pytest.raises(InputError, match="no frame can be decoded"):
        _Beginning(Path("a.ts"), reading)
    assert time.process_time() - started < 5  # half a minute where each packet goes through all before it


@pytest.mark.parametrize(
    ("packets", "shown", "in_order"),
    [
        ([(0, 0), (2, 1), (1, 2)], [0, 2, 1], False),
        ([(0, None), (None, 1), (2, None)], [0, 2], True),
        ([(0, 0), (1, 1), (0, 0), (5, 5)], [0, 1], True),  # another recording
        ([(None, 3), (4, 2)], [], True),
    ],
)
def test_stamps_end_where_another_recording_begins(packets, shown, in_order):
    stamps = Stamps()
    for packet in packets:
        stamps.add(*packet)
    assert (stamps.shown, stamps.in_order, stamps.packets) == (shown, in_order, len(packets))


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi"])
def test_a_video_cut_short_gives_what_it_has_and_one_warning(tmp_path: Path, name):
    source = open_source(make.truncated(tmp_path / name, codec="mjpeg", pix_fmt="yuvj420p", frames=100))
    frames = read(source)
    assert 30 <= len(frames) <= 60
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert np.allclose(levels(frames)[:-1], [make.grey(i) for i in range(len(frames) - 1)], atol=4)
    assert frames[-1].image is not None
    read(source)
    (warning,) = source.warnings
    assert "cut short" in warning and str(source.info.path) in warning


def test_a_picture_cut_in_the_middle_is_reported_even_where_no_length_is_announced(tmp_path: Path):
    source = open_source(make.truncated(tmp_path / "cut.h264", codec="libx264", frames=30, texture=50))
    assert 5 < len(read(source)) < 25
    assert any("damaged" in line for line in source.warnings)


def test_frames_after_a_damaged_stretch_are_still_read(tmp_path: Path):
    path = make.video(tmp_path / "scratched.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=30)
    data = path.read_bytes()
    starts = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)]
    damaged = bytearray(data)
    for start, following in itertools.pairwise(starts[10:14]):
        end = following - 8  # the chunk header between two pictures stays
        damaged[start:end] = bytes(end - start)
    path.write_bytes(damaged)
    source = open_source(path)
    frames = read(source)
    assert len(frames) == 27
    assert levels(frames)[-1] == pytest.approx(make.grey(29), abs=4)
    assert frames[-1].time_s == pytest.approx(29 / 25)
    assert len(source.warnings) == 1


def test_when_the_container_itself_breaks_the_frames_before_are_kept(tmp_path: Path):
    source = open_source(make.y4m(tmp_path / "raw.y4m", frames=40, broken=20))
    frames = read(source)
    assert len(frames) >= 20
    assert levels(frames)[:20] == pytest.approx([make.grey(i) for i in range(20)], abs=2)
    assert len(source.warnings) == 1
