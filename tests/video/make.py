"""Writes tiny videos and images whose content the tests know.

Frame i of a video is filled with the grey level `grey(i)`; the top left quarter of the marked ones is bright.
"""

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

MARK = 250


def grey(index: int) -> int:
    """Frame `index`'s level; 12 apart, so that compression cannot confuse neighbours."""
    return 20 + 12 * (index % 16)


def picture(level: int, width: int, height: int, *, mark: bool = False, texture: int = 0) -> np.ndarray:
    """A picture `[height, width, 3]` of one level plus noise, with a bright top left quarter if `mark`."""
    noise = np.random.default_rng(level).integers(0, texture + 1, (height, width, 1))
    image = np.broadcast_to(level + noise, (height, width, 3)).astype(np.uint8)
    if mark:
        image[: height // 2, : width // 2] = MARK
    return image


def video(
    path: Path,
    *,
    frames: int = 12,
    width: int = 64,
    height: int = 48,
    fps: int = 25,
    codec: str = "mpeg4",
    pix_fmt: str = "yuv420p",
    mark: bool = False,
    texture: int = 0,
    times_ms: Iterable[int] | None = None,
    pixel_aspect: Fraction | None = None,
    colorspace: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of constant rate, or with a frame at each of `times_ms` (then `frames` is ignored)."""
    stamps = None if times_ms is None else list(times_ms)
    count = frames if stamps is None else len(stamps)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for i in range(count):
            image = picture(grey(i), width, height, mark=mark, texture=texture)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if stamps is not None:
                frame.pts, frame.time_base = stamps[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rotated(path: Path, matrix: tuple[int, int, int, int], **arguments) -> Path:
    """An MP4, marked top left, whose header says that pixel (x, y) is shown at (a x + c y, b x + d y).

    `matrix` is (a, b, c, d). It is patched into the track header as ISO 14496-12 lays it out, so that the
    test does not rest on the library that reads it.
    """
    video(path, mark=True, **arguments)
    data = bytearray(path.read_bytes())
    track = data.index(b"tkhd") - 4
    start = track + 48  # version 0: size, type, flags, times, ids, layer, volume, then the matrix
    a, b, c, d = (value << 16 for value in matrix)
    assert struct.unpack_from(">9i", data, start) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, start, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def audio(path: Path) -> Path:
    """A file with sound and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def unannounced(path: Path, **arguments) -> Path:
    """A Matroska or WebM file that does not announce its frame rate, as browsers record it."""
    data = bytearray(video(path, **arguments).read_bytes())
    start = data.index(b"\x23\xe3\x83")  # DefaultDuration
    length = data[start + 3] & 0x7F
    data[start : start + 2] = bytes([0xEC, 0x80 | (length + 2)])  # an element that says nothing, of the same length
    path.write_bytes(data)
    return path


def trimmed(path: Path, source: Path, *, frames: int) -> Path:
    """The source without its first frames, which stay in the file, hidden: nothing is coded anew."""
    with av.open(str(source)) as old, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as new:
        stream = old.streams.video[0]
        target = new.add_stream_from_template(stream)
        shift = round(frames / stream.average_rate / stream.time_base)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
                new.mux(packet)
    return path


def late(path: Path, *, seconds: float, frames: int, fps: int = 25) -> Path:
    """Sound from the start, pictures only after some seconds; both end together."""
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("mpeg4", rate=fps), container.add_stream("mp2", rate=16000)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        samples = round((seconds + frames / fps) * 16000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, samples), dtype=np.int16), format="s16", layout="mono")
        silence.sample_rate = 16000
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(grey(i), 64, 48), format="rgb24")
            frame.pts, frame.time_base = i + round(seconds * fps), Fraction(1, fps)
            container.mux(pictures.encode(frame))
        for stream, last in ((pictures, None), (sound, silence), (sound, None)):
            container.mux(stream.encode(last))
    return path


def truncated(path: Path, *, keep: float = 0.5, **arguments) -> Path:
    """A video that ends in the middle of its data, its index in front as recorders for the web write it."""
    video(path, options={"movflags": "faststart"} if path.suffix == ".mp4" else None, **arguments)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def y4m(path: Path, *, frames: int, width: int = 16, height: int = 16, broken: int | None = None) -> Path:
    """Uncompressed video; the header of frame `broken` is destroyed, at which FFmpeg's demuxer gives up."""
    parts = [f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode()]
    for i in range(frames):
        parts.append(b"XXXXX\n" if i == broken else b"FRAME\n")
        luma = 16 + round(grey(i) * 219 / 255)  # the range of broadcast video
        parts.append(bytes([luma]) * (width * height) + b"\x80" * (width * height // 2))
    path.write_bytes(b"".join(parts))
    return path


def plain(level: int, size: tuple[int, int] = (8, 6)) -> Image.Image:
    """A gray image of one level, `size` as (width, height)."""
    return Image.new("L", size, level)


def folder(path: Path, images: dict[str, Image.Image]) -> Path:
    """A folder with these images under their file names."""
    path.mkdir(parents=True)
    for name, image in images.items():
        image.save(path / name)
    return path
