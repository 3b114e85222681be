"""What `benchmarks/serve.py` sends: a clip, and what has been made of it to break a server."""

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

FPS = 25
NAMES = (
    "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/cron.d/x", "C:\\x.mp4", "a\0b.mp4", "con.mp4", ".", "..", " ",
    "~/.ssh/authorized_keys", "x" * 4000 + ".mp4", "a\r\nX-Evil: 1.mp4", "\u202e4pm.exe", "%2e%2e%2fx.mp4",
    "video.mp4/../x", "file:///etc/passwd", "concat:a|b.mp4", "http://127.0.0.1/a.mp4", "lavida-serve.sqlite",
    "\U0001f4a5.avi", "a.m3u8", "a.%d.png",
)  # fmt: skip


def clip(path: Path, *, seconds: int, size: tuple[int, int]) -> Path:
    """H.264: a bright box walks over noise."""
    width, height = size
    noise = np.random.default_rng(0).integers(40, 90, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(seconds * FPS):
            image = noise.copy()
            left = number * 3 % (width - width // 6)
            image[height // 3 : height // 2, left : left + width // 6] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def uploads(sample: bytes, *, count: int) -> Iterator[tuple[str, str, bytes]]:
    """Kind, file name and content; the same ones each time."""
    chance = random.Random(0)
    kinds = list(KINDS.items())
    for number in range(count):
        kind, make = kinds[number % len(kinds)]
        name = (
            chance.choice(NAMES) if kind == "name" else f"a.{chance.choice(('mp4', 'avi', 'mkv', 'ts', 'dav', 'gif'))}"
        )
        yield kind, name, make(sample, chance)


def _truncated(sample: bytes, chance: random.Random) -> bytes:
    return sample[: chance.randrange(len(sample))]


def _flipped(sample: bytes, chance: random.Random) -> bytes:
    data = bytearray(sample)
    for _ in range(chance.choice((1, 10, 100, 1000))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _shuffled(sample: bytes, chance: random.Random) -> bytes:
    """Boxes of the MP4 in another order, some twice."""
    parts, place = [], 0
    while place + 8 <= len(sample):
        size = max(8, struct.unpack_from(">I", sample, place)[0])
        parts.append(sample[place : place + size])
        place += size
    return b"".join(chance.choices(parts, k=len(parts) + 1))


def _random(sample: bytes, chance: random.Random) -> bytes:
    heads = (
        b"",
        b"RIFF\xff\xff\xff\xffAVI LIST",
        b"\x1aE\xdf\xa3",
        b"DHAV\xfd",
        b"\x00\x00\x01\xba",
        b"FLV\x01",
        b"GIF89a",
    )
    return chance.choice(heads) + chance.randbytes(chance.randrange(1, 5000))


def _other(sample: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (
            b"<!doctype html><script>alert(1)</script>",
            b"\x7fELF" + chance.randbytes(500),
            b"%PDF-1.7\n" + chance.randbytes(500),
            b"#!/bin/sh\nrm -rf /\n",
            b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>',
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
            b"SQLite format 3\0" + bytes(400),
        )
    )


def _archive(sample: bytes, chance: random.Random) -> bytes:
    bomb = gzip.compress(bytes(10_000_000))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.mp4", sample)
        archive.writestr("bomb", bytes(1_000_000))
    return chance.choice((bomb, buffer.getvalue()))


def _huge(sample: bytes, chance: random.Random) -> bytes:
    """Pictures and films that say they are very large."""
    side = chance.choice((20_000, 60_000, 2**31 - 1))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(1000)))
        + _chunk(b"IEND", b"")
    )
    gif = (
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf7\0\0" + bytes(768) + b",\0\0\0\0\xff\xff\xff\xff\0\x08\0;"
    )
    y4m = f"YUV4MPEG2 W{side} H{side} F25:1 C420\nFRAME\n".encode() + bytes(1000)
    bmp = b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 2**31, 0, 0, 54, 40, side % 2**31, side % 2**31, 1, 24, 0, 0, 0, 0, 0, 0
    )
    return chance.choice((png, gif, y4m, bmp))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "shuffled": _shuffled,
    "random": _random,
    "other": _other,
    "archive": _archive,
    "huge": _huge,
    "name": lambda sample, chance: sample,
}
