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
