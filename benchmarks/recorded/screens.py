"""Browsers, conferences, screen recorders and programs that make video."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from recorded.checking import Recording, Right, steady
from recorded.numbered import SIZE, picture, pictures
from recorded.writing import patched, write

MILLISECONDS = Fraction(1, 1000)
VP8 = {"crf": "4", "b:v": "4M", "deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0", "lag-in-frames": "0"}
BROWSER = [0, 34, 66, 101, 133, 167, 234, 267, 301, 334, 367, 401, 433, 500, 534, 567]
STATIC = [0, 16, 33, 50, 66, 83, 5083, 5100, 5116, 5133]


def browser_webm(path: Path) -> None:
    """What MediaRecorder writes: no duration, clusters of unknown size, stamps as the frames came."""
    images = pictures(len(BROWSER))
    write(
        path,
        images,
        stamps=BROWSER,
        clock=MILLISECONDS,
        codec="libvpx",
        coding=VP8,
        container="webm",
        options={"live": "1"},
    )
    data = bytearray(path.read_bytes())
    start = data.find(b"\x23\xe3\x83")  # DefaultDuration: made an element that says nothing, of the same length
    if start >= 0:
        data[start : start + 2] = bytes([0xEC, 0x80 | (data[start + 3] & 0x7F) + 2])
    path.write_bytes(data)


def browser_mp4(path: Path) -> None:
    """The length of the track is given in the units of the movie, 1000 a second, for those of the track."""
    write(path, pictures(48), rate=24, options={"movie_timescale": "1000"})
    patched(path, b"mdhd", 20, ">I", 2000)


def resolution_changes(path: Path) -> None:
    """The sender halves the picture when the network is slow, in one stream."""
    sizes = [SIZE] * 10 + [(48, 32)] * 10 + [SIZE] * 10
    with av.open(str(path), "w") as out:
        target, encoder = None, None
        for i, size in enumerate(sizes):
            if encoder is None or (encoder.width, encoder.height) != size:
                encoder = av.CodecContext.create("libvpx", "w")
                encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
                encoder.time_base, encoder.framerate, encoder.options = Fraction(1, 25), Fraction(25), VP8
            if target is None:
                target = out.add_stream("libvpx", rate=25)
                target.width, target.height, target.pix_fmt = *SIZE, "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture(i, size=size), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            for packet in encoder.encode(frame):
                packet.stream, packet.time_base = target, Fraction(1, 25)
                out.mux(packet)


def static_screen(path: Path) -> None:
    """Nothing moves for 5 s, so nothing is recorded."""
    write(path, pictures(len(STATIC)), stamps=STATIC, clock=MILLISECONDS, rate=60)


def fragmented(path: Path) -> None:
    """Fragments without an index at the end: the program was stopped."""
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    write(path, pictures(40), rate=30, coding={"crf": "8", "preset": "veryfast", "bf": "2", "g": "10"}, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"mfra") - 4])


def rgb_screen(path: Path) -> None:
    write(path, pictures(12), codec="libx264rgb", pixels="rgb24", coding={"crf": "0", "preset": "veryfast"}, rate=60)


def odd_size(path: Path) -> None:
    write(path, pictures(12, size=(101, 75)), pixels="yuv444p", rate=30)


def cropped_blocks(path: Path) -> None:
    """The picture ends inside a block of 16x16: the stream is cropped on the right and below."""
    write(path, pictures(12, size=(90, 58)), rate=30)


def alpha(path: Path) -> None:
    """VP9 with a second layer that hides the picture's left half."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libvpx-vp9", rate=25, options=VP8)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuva420p"
        for image in pictures(12):
            transparency = np.where(np.arange(SIZE[0]) < SIZE[0] // 2, 0, 255).astype(np.uint8)
            plane = np.broadcast_to(transparency, SIZE[::-1])[..., None]
            frame = av.VideoFrame.from_ndarray(np.concatenate([image, plane], axis=2), format="rgba")
            out.mux(stream.encode(frame.reformat(format="yuva420p")))
        out.mux(stream.encode())


def ten_bit_y4m(path: Path) -> None:
    write(
        path,
        pictures(8),
        codec="wrapped_avframe",
        pixels="yuv420p10le",
        container="yuv4mpegpipe",
        rate=50,
        options={"strict": "-1"},
    )


def slow_timelapse(path: Path) -> None:
    """One picture in 2 s."""
    write(
        path,
        pictures(10),
        codec="mpeg4",
        rate=Fraction(1, 2),
        coding={"qscale": "2", "flags": "+qscale", "global_quality": "236"},
    )


HUB = "https://github.com/"
# fmt: off
RECORDINGS = (
    Recording(
        name="browser_webm", maker="browser recorder", fed="WebM of MediaRecorder: no length, no rate",
        source=f"{HUB}opencv/opencv/issues/22571", suffix=".webm", make=browser_webm,
        right=Right(numbers=range(16), times=[stamp / 1000 for stamp in BROWSER]),
    ),
    Recording(
        name="browser_mp4", maker="browser recorder", fed="MP4 whose track announces a length 12 times too short",
        source=f"{HUB}NomaDamas/CozyClay/issues/13", suffix=".mp4", make=browser_mp4, right=steady(48, 24),
    ),
    Recording(
        name="conference_resolution", maker="video conference", fed="VP8 that changes to half the size and back",
        source=f"{HUB}Kurento/bugtracker/issues/535", suffix=".webm", make=resolution_changes, right=steady(30, 25),
    ),
    Recording(
        name="phone_screen_static", maker="screen recorder", fed="10 frames with a pause of 5 s",
        source=f"{HUB}Genymobile/scrcpy/issues/5589", suffix=".mp4", make=static_screen, scored=True,
        right=Right(numbers=range(10), times=[stamp / 1000 for stamp in STATIC]),
    ),
    Recording(
        name="fragmented_mp4", maker="screen recorder", fed="fragmented MP4 without an index",
        source=f"{HUB}clsid2/mpc-hc/issues/2749", suffix=".mp4", make=fragmented, right=steady(40, 30),
    ),
    Recording(
        name="screen_rgb", maker="screen recorder", fed="lossless RGB in H.264",
        source=f"{HUB}obsproject/obs-studio/issues/8209", suffix=".mkv", make=rgb_screen,
        right=steady(12, 60, colours=2),
    ),
    Recording(
        name="odd_size", maker="web test recorder", fed="101x75 pixels, 4:4:4",
        source=f"{HUB}sitespeedio/browsertime/pull/790", suffix=".mp4", make=odd_size,
        right=steady(12, 30, size=(101, 75)),
    ),
    Recording(
        name="cropped_blocks", maker="messenger", fed="H.264 of 90x58, coded as 96x64 and cropped",
        source=f"{HUB}jcodec/jcodec/issues/498", suffix=".mp4", make=cropped_blocks,
        right=steady(12, 30, size=(90, 58)),
    ),
    Recording(
        name="webm_alpha", maker="animation program", fed="VP9 with transparency over half of the picture",
        source=f"{HUB}mpv-player/mpv/issues/10304", suffix=".webm", make=alpha, right=steady(12, 25),
    ),
    Recording(
        name="ten_bit_y4m", maker="codec laboratory", fed="uncompressed YUV4MPEG of 10 bits",
        source=f"{HUB}VQEG/siti-tools/issues/12", suffix=".y4m", make=ten_bit_y4m, right=steady(8, 50),
    ),
    Recording(
        name="time_lapse", maker="time-lapse program", fed="half a frame a second",
        source=f"{HUB}Motion-Project/motion/issues/507", suffix=".avi", make=slow_timelapse, right=steady(10, 0.5),
    ),
)
# fmt: on
