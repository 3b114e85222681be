"""Recorders, network cameras, trail and dash cameras, webcams, and the programs that record them."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from recorded.checking import Recording, Right, steady
from recorded.numbered import picture, pictures
from recorded.writing import avi, copied, elementary, in_memory, jpeg, write

TICKS = 90_000
MILLISECONDS = Fraction(1, 1000)
TWO_SPACINGS = [0, 80, 160, 240, 280, 320, 400, 480, 520, 600, 680, 720, 760, 840, 920, 1000, 1040, 1120, 1200, 1240]
BASELINE = {"crf": "8", "preset": "veryfast", "bf": "0", "profile": "baseline"}


def nvr_hxvs(path: Path) -> None:
    """H.264 in the HXVS container: a header of 16 bytes before each NAL unit, stamps in milliseconds, G.711 sound."""
    file = b"HXVS" + struct.pack("<3I", 96, 64, 0)
    for i, unit in enumerate(elementary(pictures(20), coding=BASELINE)):
        stamp = 70_000 + TWO_SPACINGS[i]
        pieces = [b"\0\0\0\1" + piece for piece in unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if piece]
        for piece in pieces:
            file += b"HXVF" + struct.pack("<3I", len(piece), stamp, 1 if i == 0 else 2) + piece
        file += b"HXAF" + struct.pack("<3I", 324, stamp, 0) + b"\0\1\x50\1" + b"\xd5" * 320
    path.write_bytes(file + b"HXFI" + struct.pack("<3I", 200_000, 1280, 0) + b"\0" * 200_000)


def two_spacings(path: Path) -> None:
    write(path, pictures(20), stamps=TWO_SPACINGS, clock=MILLISECONDS, container="mpegts")


def restarted(path: Path) -> None:
    """Stamps go back by 28.5 s in the middle of the file, where the camera connected anew."""
    for first, shift in ((0, 60 * 25), (25, 60 * 25 + 25 - 712)):
        stamps = [shift + i for i in range(25)]
        piece = in_memory(pictures(25, first=first), stamps=stamps, clock=Fraction(1, 25), container="mpegts")
        with path.open("ab") as file:
            file.write(piece.getvalue())


def without_keyframe(path: Path) -> None:
    """The first five packets are missing, the keyframe among them; the next keyframe is number 12."""

    def change(place: int, packet: av.Packet) -> Iterator[av.Packet]:
        if place >= 5:
            yield packet

    coding = BASELINE | {"g": "12", "keyint_min": "12", "sc_threshold": "0"}
    copied(in_memory(pictures(36), coding=coding), path, change, container="mpegts")


def never_finished(path: Path) -> None:
    """The power failed before the index of an MP4 was written."""
    write(path, pictures(12))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


def raw_hevc(path: Path) -> None:
    write(
        path,
        pictures(20),
        codec="libx265",
        container="hevc",
        rate=20,
        coding={"x265-params": "log-level=none:crf=8:bframes=0"},
    )


def untimed_h264(path: Path) -> None:
    """H.264 as raspivid and libcamera-vid write it: nothing says how fast."""
    units = elementary(pictures(25), coding=BASELINE)
    path.write_bytes(b"".join(_without_vui(unit) for unit in units))


def _without_vui(unit: bytes) -> bytes:
    """An access unit whose sequence parameters say nothing of colours and times (baseline profile)."""
    start = unit.find(b"\0\0\1\x67")
    if start < 0:
        return unit
    end = unit.find(b"\0\0\1", start + 4)
    end -= unit[end - 1] == 0
    payload = unit[start + 4 : end].replace(b"\0\0\3", b"\0\0")
    bits = "".join(f"{byte:08b}" for byte in payload)
    place = 24

    def skip_number() -> int:
        nonlocal place
        zeros = bits.index("1", place) - place
        value = int(bits[place + zeros : place + 2 * zeros + 1], 2) - 1
        place += 2 * zeros + 1
        return value

    skip_number()  # its identity
    skip_number()  # bits of a frame number
    if skip_number() == 0:  # kind of order count
        skip_number()
    skip_number()  # reference frames
    place += 1  # gaps allowed
    skip_number()  # width
    skip_number()  # height
    place += 1 if bits[place] == "1" else 2  # frames only, or fields
    place += 1  # direct inference
    place += 1
    if bits[place - 1] == "1":  # cropped
        for _ in range(4):
            skip_number()
    kept = bits[:place] + "01"  # no VUI, then the end of the payload
    kept += "0" * (-len(kept) % 8)
    sequence = bytes(int(kept[i : i + 8], 2) for i in range(0, len(kept), 8))
    return unit[: start + 4] + sequence + unit[end:]


def slow_in_fast_avi(path: Path) -> None:
    """5 frames a second in an AVI that announces 600: empty chunks fill it up."""
    frames = []
    for image in pictures(10):
        frames += [jpeg(image)] + [b""] * 119
    path.write_bytes(avi(frames, tag=b"MJPG", rate=600))


def dropped_frames(path: Path) -> None:
    """A capture program wrote an empty chunk for each frame that it dropped."""
    frames = [b"" if i in (5, 6, 7, 8, 15) else jpeg(picture(i)) for i in range(25)]
    path.write_bytes(avi(frames, tag=b"MJPG"))


KEPT = [i for i in range(25) if i not in (5, 6, 7, 8, 15)]


def pixel_format_changes(path: Path) -> None:
    """4:2:2 in the first frame, 4:2:0 in the others."""
    frames = [jpeg(image, subsampling=1 if i == 0 else 2) for i, image in enumerate(pictures(12))]
    path.write_bytes(avi(frames, tag=b"MJPG", rate=30))


def without_tables(path: Path) -> None:
    """MJPEG without Huffman tables, as USB cameras send it."""
    frames = []
    for image in pictures(12):
        data = jpeg(image, subsampling=1)
        while (start := data.find(b"\xff\xc4")) >= 0:
            length = struct.unpack_from(">H", data, start + 2)[0]
            data = data[:start] + data[start + 2 + length :]
        frames.append(data)
    path.write_bytes(avi(frames, tag=b"MJPG", rate=30))


def shifted_index(path: Path) -> None:
    """The index counts its offsets from 4 bytes earlier, and the file has no audio."""
    path.write_bytes(avi([jpeg(image) for image in pictures(12)], tag=b"MJPG", rate=10, index_shift=-4))


def unfinished_avi(path: Path) -> None:
    """The power failed: the header announces no frames, sizes are zero, there is no index."""
    data = bytearray(avi([jpeg(image) for image in pictures(12)], tag=b"MJPG", rate=15, announced=0, index=False))
    struct.pack_into("<I", data, 4, 0)
    struct.pack_into("<I", data, data.index(b"movi") - 4, 0)
    path.write_bytes(data)


def multipart(path: Path) -> None:
    """The answer of a camera's web page, saved as it came."""
    parts = (
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
        for data in map(jpeg, pictures(12))
    )
    path.write_bytes(b"".join(parts))


HUB = "https://github.com/"
# fmt: off
RECORDINGS = (
    Recording(
        name="nvr_hxvs", maker="video recorder", fed="HXVS container of Chinese recorders, G.711 sound",
        source=f"{HUB}mbunkus/mkvtoolnix/issues/2146", suffix=".264", make=nvr_hxvs,
        right=Right(numbers=range(20), times=[stamp / 1000 for stamp in TWO_SPACINGS]),
    ),
    Recording(
        name="camera_two_spacings", maker="network camera", fed="TS with frames 80 and 40 ms apart",
        source=f"{HUB}reolink/reolink-cli/issues/105", suffix=".ts", make=two_spacings, scored=True,
        right=Right(numbers=range(20), times=[stamp / 1000 for stamp in TWO_SPACINGS]),
    ),
    Recording(
        name="stamps_go_back", maker="recording program", fed="TS whose stamps go back by 28.5 s after 1 s",
        source=f"{HUB}blakeblackshear/frigate/issues/7720", suffix=".ts", make=restarted,
        right=steady(50, 25, notes=["stamp", "time"]),
    ),
    Recording(
        name="starts_without_keyframe", maker="recording program", fed="TS that begins between two keyframes",
        source=f"{HUB}Motion-Project/motion/issues/755", suffix=".ts", make=without_keyframe,
        right=steady(24, 25, first=12, notes=["damaged"]),
    ),
    Recording(
        name="power_cut_mp4", maker="network camera", fed="MP4 whose index was never written",
        source=f"{HUB}EliasKotlyar/Xiaomi-Dafang-Hacks/issues/516", suffix=".mov", make=never_finished,
        right=Right(refusal="not a video"),
    ),
    Recording(
        name="dash_camera_raw_hevc", maker="dash camera", fed="raw H.265 of 20 a second by its header",
        source=f"{HUB}commaai/openpilot/pull/27156", suffix=".hevc", make=raw_hevc,
        right=steady(20, 20, notes=["no time stamps"]),
    ),
    Recording(
        name="raspberry_raw_h264", maker="Raspberry Pi camera", fed="raw H.264 without a rate",
        source=f"{HUB}raspberrypi/rpicam-apps/issues/290", suffix=".h264", make=untimed_h264,
        right=steady(25, 25, warnings=["25"]),
    ),
    Recording(
        name="raspberry_600_avi", maker="Raspberry Pi camera", fed="AVI that announces 600 a second and holds 5",
        source=f"{HUB}kbingham/libcamera/issues/55", suffix=".avi", make=slow_in_fast_avi,
        right=steady(10, 5),
    ),
    Recording(
        name="capture_dropped_frames", maker="capture program", fed="AVI with empty chunks for dropped frames",
        source=f"{HUB}FFMS/ffms2/issues/3", suffix=".avi", make=dropped_frames,
        right=Right(numbers=KEPT, times=[i / 25 for i in KEPT]),
    ),
    Recording(
        name="trail_camera_subsampling", maker="trail camera", fed="MJPEG in AVI, first frame 4:2:2, the rest 4:2:0",
        source=f"{HUB}agentmorris/MegaDetector/issues/237", suffix=".AVI", make=pixel_format_changes,
        right=steady(12, 30, colours=24),
    ),
    Recording(
        name="webcam_without_tables", maker="webcam", fed="MJPEG without Huffman tables in AVI",
        source=f"{HUB}etemesi254/zune-image/issues/136", suffix=".avi", make=without_tables,
        right=steady(12, 30, colours=24),
    ),
    Recording(
        name="esp32_index", maker="ESP32 camera", fed="AVI whose index is 4 bytes off",
        source=f"{HUB}s60sc/ESP32-CAM_MJPEG2SD/issues/381", suffix=".avi", make=shifted_index,
        right=steady(12, 10, colours=24),
    ),
    Recording(
        name="esp32_power_cut", maker="ESP32 camera", fed="AVI that was never closed: no index, sizes of zero",
        source=f"{HUB}jameszah/CameraWebServerRecorder/issues/4", suffix=".avi", make=unfinished_avi,
        right=steady(12, 15, colours=24, notes=["damaged"]),
    ),
    Recording(
        name="multipart_stream", maker="ESP32 camera", fed="saved MJPEG stream with part headers, without times",
        source=f"{HUB}blakeblackshear/frigate/issues/1725", suffix=".mjpg", make=multipart,
        right=steady(12, 25, colours=24, warnings=["25"]),
    ),
)
# fmt: on
