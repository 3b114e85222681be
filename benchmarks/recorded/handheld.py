"""Phones, action cameras, drones, camcorders and other cameras that are carried."""

import io
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from recorded.checking import Recording, Right, steady
from recorded.numbered import SIZE, picture, pictures
from recorded.writing import avi, in_memory, jpeg, patched, write

QUICKTIME = Fraction(1, 600)
# as a phone drops frames in dim light: mostly 20 ticks of 600, some 25, some 40
PHONE_STAMPS = [0, 20, 40, 60, 85, 110, 135, 175, 215, 255, 275, 295, 315, 340, 365, 405, 425, 445, 465, 485, 505, 545]


def variable_rate(path: Path) -> None:
    write(path, pictures(len(PHONE_STAMPS)), stamps=PHONE_STAMPS, clock=QUICKTIME, rate=30, sound_s=1.0)


def mirrored(path: Path) -> None:
    """Stored lying on its side and mirrored; the matrix makes it upright: stored (x, y) is shown at (y, x)."""
    lying = [image.swapaxes(0, 1).copy() for image in pictures(12)]
    write(path, lying, rate=30)
    one = 1 << 16
    patched(path, b"tkhd", 44, ">9i", 0, one, 0, one, 0, 0, 0, 0, 1 << 30)


def slow_motion(path: Path) -> None:
    images = pictures(48)
    write(path, images, rate=240, coding={"crf": "8", "bf": "2", "preset": "veryfast"})


def telemetry(path: Path) -> None:
    """Sound, a time code and long runs of telemetry between the pictures, as GoPro writes them."""
    source = in_memory(pictures(30), rate=30)
    source.seek(0)
    with av.open(source) as old, av.open(str(path), "w") as out:
        target = out.add_stream_from_template(old.streams.video[0])
        data = out.add_data_stream("bin_data")
        for place, packet in enumerate(old.demux(video=0)):
            if packet.dts is None:
                continue
            packet.stream = target
            out.mux(packet)
            if place == 20:
                for i in range(5000):
                    sample = av.Packet(b"DEVC\0\1\0\4abcd")
                    sample.pts = sample.dts = 20 * 1000 // 30 * 100 + i
                    sample.time_base, sample.stream = Fraction(1, 100_000), data
                    out.mux(sample)


def two_lenses(path: Path) -> None:
    """Two streams of one size, the second one frame longer and not the default."""
    with av.open(str(path), "w") as out:
        front, back = (out.add_stream("libx264", rate=25, options={"crf": crf, "bf": "0"}) for crf in ("4", "30"))
        for stream in (front, back):
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        back.disposition = 0
        for i in range(26):
            for stream, number in ((front, i), (back, 100 + i)):
                if stream is front and i == 25:
                    continue
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                out.mux(stream.encode(frame))
        for stream in (front, back):
            out.mux(stream.encode())


def drone(path: Path) -> None:
    """A cover picture as a stream of its own and one subtitle a frame with the position."""
    source = in_memory(pictures(30), rate=30)
    source.seek(0)
    with av.open(source) as old, av.open(str(path), "w") as out:
        target = out.add_stream_from_template(old.streams.video[0])
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 192, 128, "yuvj420p", 1024  # attached_pic
        words = out.add_data_stream("bin_data")
        frame = av.VideoFrame.from_ndarray(picture(255, size=(192, 128)), format="rgb24").reformat(format="yuvj420p")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        out.mux(cover.encode(frame))
        out.mux(cover.encode())
        for place, packet in enumerate(old.demux(video=0)):
            if packet.dts is None:
                continue
            packet.stream = target
            out.mux(packet)
            note = av.Packet(f"[latitude: 48.{place}]".encode())
            note.pts = note.dts = place
            note.time_base, note.stream = Fraction(1, 30), words
            out.mux(note)


def raw_pairs(path: Path) -> None:
    """Each photo as JPEG and as DNG, which is a TIFF whose first page is a thumbnail."""
    path.mkdir()
    for i in range(6):
        (path / f"DJI_{i:04d}.JPG").write_bytes(jpeg(picture(i)))
        file = io.BytesIO()
        Image.fromarray(picture(200, size=(24, 16))).save(file, "TIFF")
        (path / f"DJI_{i:04d}.DNG").write_bytes(file.getvalue())


def multi_picture(path: Path) -> None:
    """JPEGs that carry a second, smaller picture for previews (CIPA DC-007)."""
    path.mkdir()
    for i in range(6):
        large, small = Image.fromarray(picture(i)), Image.fromarray(picture(200, size=(48, 32)))
        large.save(path / f"IMG_{i:04d}.jpg", "MPO", save_all=True, append_images=[small], quality=95)


def interlaced(path: Path) -> None:
    coding = {"crf": "8", "bf": "2", "preset": "veryfast", "x264-params": "interlaced=1:tff=1"}
    write(path, pictures(25), coding=coding, container="mpegts", options={"mpegts_m2ts_mode": "1"}, sound_s=1.0)


def wide_dv(path: Path) -> None:
    size = (720, 576)
    write(path, pictures(8, size=size), codec="dvvideo", container="dv", aspect=Fraction(64, 45), sound_s=0)


def ten_bit(path: Path) -> None:
    """H.264 4:2:2 of 10 bits with BT.709 tags, as mirrorless cameras record it."""
    tags = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}
    write(path, pictures(12), pixels="yuv422p10le", tags=tags, rate=Fraction(24000, 1001))


def full_range(path: Path) -> None:
    tags = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 2}
    write(path, pictures(12), pixels="yuv444p", tags=tags)


def packed_b_frames(path: Path) -> None:
    """MPEG-4 in AVI as DivX 5 wrote it: a P-frame and its B-frame in one chunk, then a chunk without a picture."""
    source = in_memory(
        pictures(25), codec="mpeg4", coding={"qscale": "2", "bf": "1", "flags": "+qscale", "global_quality": "236"}
    )
    source.seek(0)
    with av.open(source) as old:
        stream = old.streams.video[0]
        head = bytes(stream.codec_context.extradata)
        packets = [bytes(packet) for packet in old.demux(stream) if packet.size]
    start = packets[0].find(b"\0\0\1\xb6")
    packets[0] = head + b"\0\0\1\xb2DivX503b1393p" + packets[0][start:]
    empty = b"\0\0\1\xb6" + bytes([0b01_0_1_0000, 0b0_1_0_11111])  # P, no second passed, time 0, not coded
    chunks = [packets[0]]
    for first, second in zip(packets[1::2], packets[2::2], strict=True):
        chunks += [first + second, empty]
    path.write_bytes(avi(chunks, tag=b"DX50"))


def copied_late(path: Path) -> None:
    """Pictures start half a second after the sound, by an empty edit."""
    write(path, pictures(25), stamps=[i + 12 for i in range(25)], clock=Fraction(1, 24), rate=24, sound_s=1.5)


HUB = "https://github.com/"
# fmt: off
RECORDINGS = (
    Recording(
        name="phone_variable_rate", maker="phone", fed="MP4 with a new frame after 33, 42 or 67 ms, sound beside it",
        source=f"{HUB}Kinovea/Kinovea/issues/154", suffix=".mov", make=variable_rate, scored=True,
        right=Right(numbers=range(22), times=[stamp / 600 for stamp in PHONE_STAMPS]),
    ),
    Recording(
        name="phone_mirrored", maker="phone", fed="front camera: the track's matrix turns and mirrors",
        source=f"{HUB}opencv/opencv/issues/26876", suffix=".mov", make=mirrored, right=steady(12, 30),
    ),
    Recording(
        name="phone_slow_motion", maker="phone", fed="240 frames a second with B-frames",
        source=f"{HUB}jliljebl/flowblade/issues/274", suffix=".mov", make=slow_motion, right=steady(48, 240),
    ),
    Recording(
        name="action_camera_telemetry", maker="action camera",
        fed="5,000 telemetry packets in a row between two frames",
        source=f"{HUB}Breakthrough/DVR-Scan/issues/62", suffix=".mp4", make=telemetry, right=steady(30, 30),
    ),
    Recording(
        name="two_lenses", maker="360-degree camera", fed="a stream for each lens, of 25 and 26 frames",
        source=f"{HUB}gopro/gpmf-parser/issues/152", suffix=".mp4", make=two_lenses,
        right=steady(25, 25, notes=["stream"]),
    ),
    Recording(
        name="drone_cover_and_positions", maker="drone",
        fed="a larger cover picture and a data packet a frame beside the video",
        source=f"{HUB}time4tea/gopro-dashboard-overlay/issues/245", suffix=".mp4", make=drone,
        right=steady(30, 30, notes=["stream"]),
    ),
    Recording(
        name="raw_and_jpeg", maker="drone", fed="a folder with each photo as JPEG and as DNG",
        source=f"{HUB}photoprism/photoprism/issues/2407", suffix="", make=raw_pairs,
        right=steady(6, 25, warnings=[r"\b6\b"]),
    ),
    Recording(
        name="multi_picture_jpeg", maker="stills camera", fed="a folder of JPEGs that carry a second, smaller picture",
        source=f"{HUB}python-pillow/Pillow/issues/1138", suffix="", make=multi_picture, right=steady(6, 25),
    ),
    Recording(
        name="camcorder_interlaced", maker="camcorder", fed="AVCHD: interlaced H.264 in M2TS, 50 fields a second",
        source=f"{HUB}chenxinfeng4/ffmpegcv/issues/44", suffix=".MTS", make=interlaced, right=steady(25, 25),
    ),
    Recording(
        name="camcorder_wide_dv", maker="camcorder", fed="raw DV, PAL, 16:9 by its aspect flag",
        source=f"{HUB}ddennedy/dvgrab/issues/11", suffix=".dv", make=wide_dv, right=steady(8, 25, size=(1024, 576)),
    ),
    Recording(
        name="ten_bit_video", maker="mirrorless camera", fed="H.264 4:2:2 of 10 bits, BT.709",
        source=f"{HUB}PyAV-Org/PyAV/issues/2192", suffix=".mov", make=ten_bit, right=steady(12, 24000 / 1001),
    ),
    Recording(
        name="full_range_444", maker="mirrorless camera", fed="4:4:4 of full range, by the tag",
        source=f"{HUB}PyAV-Org/PyAV/issues/1430", suffix=".mov", make=full_range, right=steady(12, 25),
    ),
    Recording(
        name="packed_b_frames", maker="DivX recorder", fed="AVI with packed B-frames",
        source=f"{HUB}superuser404notfound/AetherEngine/issues/516", suffix=".avi", make=packed_b_frames,
        right=steady(25, 25),
    ),
    Recording(
        name="pictures_start_late", maker="editing program", fed="MP4 whose pictures start 0.5 s after the sound",
        source=f"{HUB}HandBrake/HandBrake/issues/568", suffix=".mp4", make=copied_late, right=steady(25, 24),
    ),
)
# fmt: on
