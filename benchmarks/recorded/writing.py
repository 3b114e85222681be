"""Writes small videos: by PyAV, and byte by byte where no library makes what a device makes."""

import io
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from recorded.numbered import SIZE, Picture

SOUND_RATE = 16000


def write(
    path: Path | io.BytesIO,
    images: Sequence[Picture],
    *,
    stamps: Sequence[int] | None = None,
    clock: Fraction | None = None,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    coding: dict[str, str] | None = None,
    sound_s: float = 0.0,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """Encode pictures.

    Args:
        path: where to.
        images: uint8 `[H, W, 3]`.
        stamps: of each picture, in units of `clock`; None: constant rate.
        clock: the encoder's; None: one tick a frame.
        rate: frames a second that the file announces.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        aspect: of a pixel.
        tags: attributes of the codec context, such as `color_range`.
        coding: options of the encoder; H.264 is nearly lossless without B-frames if None.
        sound_s: seconds of silence beside the pictures.
        container: FFmpeg's name of the format, if the suffix does not tell.
        options: of the container.
    """
    coding = {"crf": "8", "preset": "veryfast", "bf": "0"} if coding is None and codec == "libx264" else coding or {}
    with av.open(
        path if isinstance(path, io.BytesIO) else str(path), "w", format=container, options=options or {}
    ) as out:
        stream = out.add_stream(codec, rate=rate, options=coding)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if clock is not None:
            stream.codec_context.time_base = clock
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        sound = (
            out.add_stream("aac" if container not in ("mpegts", "vob") else "mp2", rate=SOUND_RATE) if sound_s else None
        )
        if sound is not None:
            out.mux(list(_silence(sound, sound_s)))
        for i, image in enumerate(images):
            frame = converted(image, pixels, tags or {})
            frame.pts, frame.time_base = (i, 1 / Fraction(rate)) if stamps is None else (stamps[i], clock)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def converted(image: Picture, pixels: str, tags: dict[str, int]) -> av.VideoFrame:
    """A frame in a pixel format, its colours coded as the tags say."""
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    matrix = {1: "ITU709", 5: "ITU601", 6: "ITU601"}.get(tags.get("colorspace", 6))
    full = "JPEG" if tags.get("color_range") == 2 or pixels.startswith("yuvj") else "MPEG"
    if pixels.startswith("yuv"):
        return frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=full)
    return frame.reformat(format=pixels)


def _silence(stream: av.AudioStream, seconds: float) -> Iterator[av.Packet]:
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, round(seconds * SOUND_RATE)), np.int16), format="s16", layout="mono"
    )
    frame.sample_rate, frame.pts = SOUND_RATE, 0
    resampler = av.AudioResampler(
        stream.codec_context.format, "mono", SOUND_RATE, stream.codec_context.frame_size or None
    )
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        yield from stream.encode(piece)
    yield from stream.encode(None)


def copied(
    source: io.BytesIO | Path,
    path: Path,
    change: Callable[[int, av.Packet], Iterable[av.Packet]],
    *,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """Copy the packets of a video without coding them anew.

    Args:
        source: a file, or one in memory.
        path: where to.
        change: from a packet's place and the packet to those to write; stamps are in the source's units.
        container: FFmpeg's name of the format, if the suffix does not tell.
        options: of the container.
    """
    if isinstance(source, io.BytesIO):
        source.seek(0)
    old = av.open(source if isinstance(source, io.BytesIO) else str(source))
    with old, av.open(str(path), "w", format=container, options=options or {}) as out:
        stream = old.streams.video[0]
        target = out.add_stream_from_template(stream)
        place = 0
        for packet in old.demux(stream):
            if packet.dts is None:
                continue
            for changed in change(place, packet):
                changed.stream = target
                out.mux(changed)
            place += 1


def in_memory(images: Sequence[Picture], **arguments) -> io.BytesIO:
    """The file that `write` writes, Matroska if nothing else is asked for."""
    file = io.BytesIO()
    file.name = "memory"
    write(file, images, **{"container": "matroska"} | arguments)
    return file


def elementary(images: Sequence[Picture], *, container: str = "h264", **arguments) -> list[bytes]:
    """Access units of a raw stream, one a picture."""
    file = in_memory(images, container=container, **arguments)
    file.seek(0)
    with av.open(file, format=container) as old:
        return [bytes(packet) for packet in old.demux(video=0) if packet.size]


def jpeg(image: Picture, **arguments) -> bytes:
    """A JPEG as Pillow writes it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **{"quality": 95} | arguments)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def avi(
    frames: Sequence[bytes],
    *,
    tag: bytes,
    rate: Fraction | int = 25,
    size: tuple[int, int] = SIZE,
    bits: int = 24,
    palette: bytes = b"",
    index_shift: int = 0,
    announced: int | None = None,
    index: bool = True,
) -> bytes:
    """An AVI with one stream of pictures.

    Args:
        frames: coded pictures; an empty one repeats the picture before it.
        tag: four letters of the codec, zeros for uncompressed.
        rate: frames a second.
        size: width and height.
        bits: a pixel.
        palette: four bytes a colour.
        index_shift: added to all offsets of the index, which some recorders count otherwise.
        announced: number of frames in the header; None: that of `frames`.
        index: whether there is one.
    """
    rate, count = Fraction(rate), len(frames) if announced is None else announced
    width, height = size
    main = struct.pack("<10I", round(1e6 / rate), 0, 0, 0x10, count, 0, 1, 0, width, height) + b"\0" * 16
    head = b"vids" + tag + struct.pack("<IHHI", 0, 0, 0, 0)
    head += struct.pack("<8I", rate.denominator, rate.numerator, 0, count, 0, 0xFFFFFFFF, 0, 0)
    head += struct.pack("<4H", 0, 0, width, height)
    bitmap = struct.pack("<IiiHH4s5I", 40, width, height, 1, bits, tag, 0, 0, 0, len(palette) // 4, 0) + palette
    lists = chunk(b"LIST", b"strl" + chunk(b"strh", head) + chunk(b"strf", bitmap))
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + lists)
    name = b"00dc" if tag != b"\0\0\0\0" else b"00db"
    movie, entries = b"movi", b""
    for frame in frames:
        entries += name + struct.pack("<3I", 0x10 if frame else 0, len(movie) + index_shift, len(frame))
        movie += chunk(name, frame)
    body = b"AVI " + header + chunk(b"LIST", movie) + (chunk(b"idx1", entries) if index else b"")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def patched(path: Path, box: bytes, offset: int, layout: str, *values: float) -> None:
    """Overwrite numbers in the first ISO box of a name; `offset` counts from the name."""
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, data.index(box) + offset, *values)
    path.write_bytes(data)
