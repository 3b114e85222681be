"""Picture files with EXIF turns and 16 bits, made for the tests of this folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
# EXIF orientation -> upright pixels as a camera that was held so stores them
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: np.rot90(upright[::-1]),
    8: lambda upright: np.rot90(upright, -1),
}


def exif(orientation: int) -> Image.Exif:
    """EXIF data of a picture that lies so."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


def save_turned(path: Path, upright: np.ndarray, orientation: int, **options: object) -> None:
    """Write a picture as a camera does that is held so: pixels on their side and EXIF data that say it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(path, exif=exif(orientation), **options)


def exif_behind_the_pixels(path: Path) -> None:
    """Move the EXIF data of a PNG to its end, where other writers put them."""
    content = path.read_bytes()
    chunks, place = [], 8
    while place < len(content):
        length = struct.unpack(">I", content[place : place + 4])[0] + 12
        chunks.append(content[place : place + length])
        place += length
    late = [chunk for chunk in chunks if chunk[4:8] == b"eXIf"]
    assert late
    rest = [chunk for chunk in chunks if chunk[4:8] != b"eXIf"]
    path.write_bytes(content[:8] + b"".join(rest[:-1] + late + rest[-1:]))


def save_png_16(path: Path, values: np.ndarray) -> None:
    """uint16 [H, W] or [H, W, 3] as a PNG, which Pillow cannot write in colours."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if values.ndim == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def save_tiff_16(path: Path, upright: np.ndarray, orientation: int) -> None:
    """uint16 [H, W, 3] as an uncompressed TIFF that is to be turned."""
    stored = STORED[orientation](upright)
    height, width = stored.shape[:2]
    pixels = stored.astype("<u2").tobytes()
    short, long = 3, 4
    entries = [(256, long, width), (257, long, height), (258, short, None), (259, short, 1), (262, short, 2)]
    entries += [(273, long, None), (274, short, orientation), (277, short, 3), (278, long, height)]
    entries += [(279, long, len(pixels))]
    bits = 8 + 2 + 12 * len(entries) + 4
    known = {258: bits, 273: bits + 6}
    table = b"".join(
        struct.pack("<HHI", tag, kind, 3 if tag == 258 else 1)
        + struct.pack("<I", known.get(tag, value) if value is None else value)
        for tag, kind, value in entries
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    path.write_bytes(head + table + struct.pack("<IHHH", 0, 16, 16, 16) + pixels)
