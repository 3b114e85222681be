"""What containers say of their streams that is not so, and streams that they do not tell of at first."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from lavida.errors import InputError
from lavida.video.decode import open_source
from video.heif import tiled
from video.looking import levels, read, times_of
from video.make import grey, picture, rewritten, truncated, under_sound, video


def late_sound(path: Path, *, frames: int, sound_s: float, fps: int = 5) -> Path:
    """Pictures from the start, sound only at the end: as recorders of a stream (RTMP) write FLV."""
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("flv", rate=fps), container.add_stream("libmp3lame", rate=44100)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(grey(i), 64, 48), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 22050), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts, silence.time_base = 44100, round(sound_s * 44100), Fraction(1, 44100)
        container.mux([*sound.encode(silence), *sound.encode()])
    data = bytearray(path.read_bytes())
    data[4] = 1  # the header tells of pictures alone
    path.write_bytes(data)
    return path


def test_sound_that_begins_late_takes_no_picture_away(tmp_path):
    for number in range(8):  # what PyAV made of it depended on what lay in memory
        path = late_sound(tmp_path / f"{number}.flv", frames=70, sound_s=13.5)
        source = open_source(path)
        assert len(read(source)) == 70
        assert not source.warnings


OTHER = {"mpegts_start_pid": "400", "mpegts_pmt_start_pid": "5000"}


@pytest.mark.parametrize("texture", [0, 120])  # the second part has hardly a byte, or most of them
def test_pictures_that_go_on_under_other_numbers_are_told(tmp_path, texture):
    first = video(tmp_path / "a.ts", frames=150, texture=60, codec="mpeg2video")
    second = video(tmp_path / "b.ts", frames=75, texture=texture, codec="mpeg2video", options=OTHER)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    source = open_source(joined)
    assert len(read(source)) == 150
    assert [warning for warning in source.warnings if "PID 400 is not read" in warning]


PADDING = bytes([0x47, 0x1F, 0xFF, 0x10]) + bytes(184)  # a packet of nothing
PRIVATE = bytes([0x47, 0x43, 0x00, 0x10]) + bytes(184)  # of a number that no table lists


@pytest.mark.parametrize("behind", [b"", 300 * PADDING, 300 * PRIVATE])
@pytest.mark.parametrize("options", [{}, {"mpegts_m2ts_mode": "1"}])
@pytest.mark.parametrize("frames", [1, 40])
def test_what_stands_behind_the_last_picture_of_a_whole_transport_stream_is_none(tmp_path, behind, options, frames):
    path = video(tmp_path / "a.ts", frames=frames, codec="mpeg2video", options=options)
    if options and behind:
        behind = b"".join(bytes(4) + behind[at : at + 188] for at in range(0, len(behind), 188))
    path.write_bytes(path.read_bytes() + behind)
    source = open_source(path)
    assert len(read(source)) == frames
    assert not [warning for warning in source.warnings if "not read" in warning]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_crop_of_the_stream_itself_is_taken_off_the_left_too(tmp_path, suffix):
    source = tmp_path / "plain.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        image = np.full((64, 96, 3), 200, np.uint8)
        image[:, :16] = 20  # is to be hidden
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path = tmp_path / f"cropped{suffix}"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        template = old.streams.video[0]
        target = new.add_stream_from_template(template)
        crop = BitStreamFilterContext("h264_metadata=crop_left=16", template, target)
        for packet in old.demux(template):
            for changed in crop.filter(packet if packet.dts is not None else None):
                changed.stream = target
                new.mux(changed)
    opened = open_source(path)
    assert (opened.info.width, opened.info.height) == (80, 64)
    assert min(levels(read(opened))) > 190


def test_fragments_whose_stamps_begin_late_are_no_damage(tmp_path):
    plain = video(tmp_path / "plain.mp4", frames=50, codec="libx264")
    path = rewritten(tmp_path / "late.mp4", plain, later, movflags="frag_keyframe+empty_moov+default_base_moof")
    source = open_source(path)
    assert times_of(source) == pytest.approx(np.arange(50) / 25)
    assert not source.warnings
    assert source.info.frames_hint == pytest.approx(50, abs=3)  # of the progress bar


def later(number: int, packet: av.Packet) -> None:
    shift = round(1000 / packet.time_base)
    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift


@pytest.mark.parametrize("start_s", [0, 100])
@pytest.mark.parametrize("suffix", [".wmv", ".wtv"])
def test_sound_that_outlasts_the_pictures_is_no_damage_in_microsofts_containers(tmp_path, suffix, start_s):
    source = open_source(under_sound(tmp_path / f"long{suffix}", frames=50, seconds=9, start_s=start_s))
    assert len(read(source)) == 50
    assert not source.warnings


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_small_part_lost_at_the_end_is_told_where_the_length_is_exact(tmp_path, suffix):
    settings = {"codec": "libvpx"} if suffix == ".webm" else {}
    path = tmp_path / f"cut{suffix}"
    source = open_source(truncated(path, keep=0.92, frames=300, fps=5, texture=100, **settings))
    assert 270 < len(read(source)) < 290
    assert [warning for warning in source.warnings if "of 60.0 s announced" in warning]


def test_a_photo_of_tiles_is_whole_or_refused(tmp_path):
    path = tiled(tmp_path / "photo.heic")
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="a photo of 6 tiles: .*pip install pillow-heif"):
            open_source(path)
    else:
        assert (open_source(path).info.width, open_source(path).info.height) == (192, 128)
