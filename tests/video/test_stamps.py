"""Recordings as devices write them: the rows and times that players show, and what was announced of them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lavida.video.decode import open_source

from . import make
from .looking import read, selected, times_of

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


@pytest.mark.parametrize("name", ["static.mp4", "static.mkv"])
def test_a_last_picture_that_stands_for_long_is_no_damage(tmp_path: Path, name):
    """As screen recorders write it where nothing moves at the end."""
    path = make.video(tmp_path / f"whole.{name[-3:]}", frames=25, codec="mpeg4")

    def stands(number: int, packet: av.Packet) -> None:
        if number == 24:
            packet.duration = round(5 / packet.time_base)

    source = open_source(make.rewritten(tmp_path / name, path, stands))
    assert len(read(source)) == 25 and source.warnings == []
