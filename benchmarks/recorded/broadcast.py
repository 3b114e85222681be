"""Broadcast, streams and discs."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from recorded.checking import Recording, Right, steady
from recorded.numbered import pictures
from recorded.writing import copied, in_memory, write

MILLISECONDS, NTSC = Fraction(1, 1000), Fraction(30000, 1001)
FIELD_S = 0.017  # FFmpeg misses the last repeated field of a stream
PULLED_DOWN = [round((i // 2) * 7507.5 + (i % 2) * 4504.5) for i in range(24)]


def wrapped(path: Path) -> None:
    """The 33 bits of the stamps begin anew in the middle."""

    def change(place: int, packet: av.Packet) -> Iterator[av.Packet]:
        packet.pts, packet.dts = packet.pts + 2**33 - 18 * 3600, packet.dts + 2**33 - 18 * 3600
        yield packet

    coding = {"crf": "8", "preset": "veryfast", "bf": "2"}
    copied(in_memory(pictures(30), container="mpegts", coding=coding), path, change, container="mpegts")


def broadcast_clock(path: Path) -> None:
    """Stamps begin at the channel's clock."""
    stamps = [round(24549.8 * 25) + i for i in range(50)]
    write(path, pictures(50), stamps=stamps, clock=Fraction(1, 25), container="mpegts")


def wide_broadcast(path: Path) -> None:
    """MPEG-2 of standard definition, wide by its aspect ratio; the stream is interlaced."""
    write(
        path,
        pictures(15, size=(720, 576)),
        codec="mpeg2video",
        container="mpegts",
        aspect=Fraction(64, 45),
        sound_s=0.6,
        coding={"qscale": "3", "flags": "+qscale+ildct+ilme", "global_quality": "354", "bf": "2"},
    )


def pulled_down(path: Path) -> None:
    """Film on an NTSC disc: every other picture is shown for three fields, 50 and 33.4 ms in turn.

    The encoder does not set these flags: they are set in the picture coding extension (ISO 13818-2, 6.2.3.1), and the
    sequence is declared not to be progressive.
    """

    def change(place: int, packet: av.Packet) -> Iterator[av.Packet]:
        data = bytearray(bytes(packet))
        sequence = data.find(b"\0\0\1\xb5\x14")
        if sequence >= 0:
            data[sequence + 5] &= ~0x08
        flags = _coding_extension(data)
        first = 0x80 if place % 4 in (0, 3) else 0
        data[flags] = data[flags] & ~0x82 | first | (0x02 if place % 2 == 0 else 0)
        told = av.Packet(bytes(data))
        told.pts = told.dts = 45_000 + PULLED_DOWN[place]
        told.time_base, told.is_keyframe = Fraction(1, 90_000), packet.is_keyframe
        yield told

    coding = {"global_quality": "354", "flags": "+qscale", "bf": "0", "g": "12"}
    copied(in_memory(pictures(24), codec="mpeg2video", rate=NTSC, coding=coding), path, change, container="vob")


def _coding_extension(data: bytearray) -> int:
    """Place of the byte with the flags of the fields."""
    start = data.find(b"\0\0\1\xb5")
    while data[start + 4] >> 4 != 8:
        start = data.find(b"\0\0\1\xb5", start + 4)
    return start + 7


def joined_late(path: Path) -> None:
    """A live stream joined after 6 hours: FLV stamps begin there, the header announces 7 hours."""
    stamps = [6 * 3600 * 1000 + 40 * i for i in range(30)]
    write(
        path,
        pictures(30),
        stamps=stamps,
        clock=MILLISECONDS,
        container="flv",
        options={"flvflags": "no_duration_filesize+no_metadata"},
    )


def windows_media(path: Path) -> None:
    """ASF: the count of frames is not announced, stamps begin behind a preroll of 3.1 s."""
    write(
        path,
        pictures(25),
        codec="wmv2",
        container="asf",
        coding={"qscale": "2", "flags": "+qscale", "global_quality": "236"},
        sound_s=1.0,
    )


def mxf(path: Path) -> None:
    size = (720, 576)
    write(
        path,
        pictures(8, size=size),
        codec="mpeg2video",
        pixels="yuv422p",
        container="mxf",
        coding={"qscale": "3", "flags": "+qscale+ildct+ilme", "global_quality": "354", "bf": "2"},
    )


HUB = "https://github.com/"
# fmt: off
RECORDINGS = (
    Recording(
        name="stamps_wrap", maker="stream recorder", fed="TS whose 33-bit stamps begin anew in the middle, B-frames",
        source=f"{HUB}videojs/mux.js/pull/104", suffix=".ts", make=wrapped, right=steady(30, 25),
    ),
    Recording(
        name="broadcast_clock", maker="TV recorder", fed="TS whose stamps begin at 24,550 s",
        source=f"{HUB}superuser404notfound/AetherEngine/pull/574", suffix=".ts", make=broadcast_clock,
        right=steady(50, 25),
    ),
    Recording(
        name="tv_wide", maker="TV recorder", fed="interlaced MPEG-2 of 720x576, 16:9 by its pixels",
        source=f"{HUB}opencv/opencv/issues/4921", suffix=".ts", make=wide_broadcast,
        right=steady(15, 25, size=(1024, 576)),
    ),
    Recording(
        name="disc_pulldown", maker="DVD", fed="film on an NTSC disc, frames of 50 and 33 ms in turn",
        source=f"{HUB}mbunkus/mkvtoolnix/issues/1658", suffix=".vob", make=pulled_down,
        right=Right(numbers=range(24), times=[stamp / 90_000 for stamp in PULLED_DOWN], within_s=FIELD_S),
    ),
    Recording(
        name="live_flv", maker="stream recorder", fed="FLV joined after 6 hours of a live stream",
        source=f"{HUB}ytdl-org/youtube-dl/pull/5910", suffix=".flv", make=joined_late, right=steady(30, 25),
    ),
    Recording(
        name="windows_asf", maker="Windows recorder", fed="ASF with WMV, no count of frames",
        source=f"{HUB}vllm-project/vllm-omni/issues/7373", suffix=".asf", make=windows_media, right=steady(25, 25),
    ),
    Recording(
        name="broadcast_mxf", maker="broadcast camera", fed="interlaced MPEG-2 4:2:2 in MXF",
        source=f"{HUB}HandBrake/HandBrake/issues/1315", suffix=".mxf", make=mxf, right=steady(8, 25, size=(720, 576)),
    ),
)
# fmt: on
