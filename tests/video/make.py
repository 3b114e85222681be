"""Writes tiny videos and images whose content the tests know.

Frame i of a video is filled with the grey level `grey(i)`; the top left quarter of the marked ones is bright.
"""

import io
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

MARK = 250


def grey(index: int) -> int:
    """Frame `index`'s level; 12 apart, so that compression cannot confuse neighbours."""
    return 20 + 12 * (index % 16)


def picture(level: int, width: int, height: int, *, mark: bool = False, texture: int = 0) -> np.ndarray:
    """A picture `[height, width, 3]` of one level plus noise, with a bright top left quarter if `mark`."""
    image = np.full((height, width, 3), level, np.uint8)
    if texture:
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


def rewritten(path: Path, source: Path, change: Callable[[int, av.Packet], None], **options: str) -> Path:
    """The packets of the source's first video stream in another file, each changed on the way, nothing coded anew."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=options) as new:
        stream = old.streams.video[0]
        target = new.add_stream_from_template(stream)
        for number, packet in enumerate(old.demux(stream)):
            if packet.dts is not None:
                change(number, packet)
                packet.stream = target
                new.mux(packet)
    return path


def several_streams(path: Path, *streams: dict) -> Path:
    """Several video streams in one file; each is given by `frames`, `width`, `height`, `fps`, `level`, `default`."""
    with av.open(str(path), "w") as container:
        made = []
        for settings in streams:
            stream = container.add_stream("mpeg4", rate=settings["fps"])
            stream.width, stream.height, stream.pix_fmt = settings["width"], settings["height"], "yuv420p"
            stream.disposition = Disposition.default if settings.get("default") else Disposition(0)
            made.append(stream)
        for stream, settings in zip(made, streams, strict=True):
            for index in range(settings["frames"]):
                image = picture(settings["level"], settings["width"], settings["height"])
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, settings["fps"])
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def under_sound(path: Path, *, frames: int, seconds: float, fps: int = 25, start_s: float = 0) -> Path:
    """Pictures and sound that begin together; the sound goes on for `seconds`."""
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("mpeg4", rate=fps), container.add_stream("mp2", rate=16000)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, round(seconds * 16000)), dtype=np.int16), format="s16")
        silence.sample_rate, silence.pts, silence.time_base = 16000, round(start_s * 16000), Fraction(1, 16000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(grey(i), 64, 48), format="rgb24")
            frame.pts, frame.time_base = i + round(start_s * fps), Fraction(1, fps)
            container.mux(pictures.encode(frame))
        for stream, last in ((pictures, None), (sound, silence), (sound, None)):
            container.mux(stream.encode(last))
    return path


def cropped_mp4(path: Path, *, left: int, top: int, width: int, height: int, **arguments) -> Path:
    """An MP4 whose clean aperture (ISO 14496-12, 12.1.4) is this part of its pictures."""
    video(path, **arguments)
    whole = arguments.get("width", 64), arguments.get("height", 48)
    offsets = (2 * left + width - whole[0], 2 * top + height - whole[1])  # of the centre, in half pixels
    values = (width, 1, height, 1, offsets[0], 2, offsets[1], 2)
    box = struct.pack(">I4s8i", 40, b"clap", *values)
    data = bytearray(path.read_bytes())
    entry = data.index(b"mp4v" if b"mp4v" in data else b"avc1", data.index(b"stsd")) - 4
    (size,) = struct.unpack_from(">I", data, entry)
    data[entry + size : entry + size] = box
    # the boxes around it grow; the pictures lie in front of them, where nothing moves
    assert data.index(b"mdat") < data.index(b"moov")
    for start in [data.index(name) - 4 for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")] + [entry]:
        struct.pack_into(">I", data, start, struct.unpack_from(">I", data, start)[0] + len(box))
    path.write_bytes(data)
    return path


def cropped_mkv(path: Path, *, left: int, top: int, right: int, bottom: int, **arguments) -> Path:
    """A Matroska file that hides so many pixels at each border."""
    return with_crop(video(path, **arguments), left=left, top=top, right=right, bottom=bottom)


def with_crop(path: Path, *, left: int, top: int, right: int, bottom: int) -> Path:
    """The Matroska file, changed: it hides so many pixels at each border (RFC 9559, PixelCrop)."""
    data = path.read_bytes()
    settings = {0x54CC: left, 0x54BB: top, 0x54DD: right, 0x54AA: bottom}
    crop = b"".join(name.to_bytes(2, "big") + b"\x82" + value.to_bytes(2, "big") for name, value in settings.items())
    way = [bytes.fromhex(name) for name in ("18538067", "1654ae6b", "ae", "e0")]  # Segment, Tracks, TrackEntry, Video
    path.write_bytes(_grown(data, way, crop))
    return path


def _grown(data: bytes, way: list[bytes], more: bytes) -> bytes:
    """EBML elements, `more` in front of what the element holds to which `way` leads."""
    done = b""
    while data:
        name = data[: _length(data[0])]
        start = len(name) + _length(data[len(name)])
        size = int.from_bytes(data[len(name) : start], "big") & ((1 << 7 * (start - len(name))) - 1)
        content, whole = data[start : start + size], data[: start + size]
        if name == way[0]:
            inner = more + content if len(way) == 1 else _grown(content, way[1:], more)
            return done + name + (len(inner) | 1 << 56).to_bytes(8, "big") + inner + data[start + size :]
        done, data = done + whole, data[start + size :]
    return done


def _length(first: int) -> int:
    return 9 - first.bit_length()


def jpeg(level: int, *, orientation: int | None = None, size: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG, bright in its stored top left quarter, with EXIF if an orientation is given."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112], exif[0x010F] = orientation, "Maker"
    Image.fromarray(picture(level, *size, mark=True)).save(buffer, "JPEG", exif=exif, quality=95)
    return buffer.getvalue()


def motion_jpeg(path: Path, pictures: Iterable[bytes], *, size: tuple[int, int] = (64, 48), fps: int = 10) -> Path:
    """These JPEGs as a video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p"
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, fps), stream, True
            container.mux(packet)
    return path
