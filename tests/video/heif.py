"""Writes a photo as telephones do: HEIF (ISO 23008-12) whose picture is a grid of HEVC tiles."""

import struct
from pathlib import Path

import av

from video.make import picture


def tiled(path: Path, *, columns: int = 3, rows: int = 2, side: int = 64) -> Path:
    """A photo of `columns` x `rows` tiles, each of another level, `side` pixels wide and high."""
    count = columns * rows
    coded = [_coded(path.with_suffix(f".{i}.mp4"), 40 + 20 * i, side) for i in range(count)]
    grid = bytes([0, 0, rows - 1, columns - 1]) + struct.pack(">HH", columns * side, rows * side)
    head = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    tiles = [packet for packet, _ in coded]
    described = _described(tiles, coded[0][1], grid, (columns * side, rows * side), side, start=0)
    start = len(head) + len(described) + 8
    described = _described(tiles, coded[0][1], grid, (columns * side, rows * side), side, start=start)
    path.write_bytes(head + described + _box(b"mdat", *tiles))
    return path


def _coded(path: Path, level: int, side: int) -> tuple[bytes, bytes]:
    """A tile, and the box that tells a decoder how to begin."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=1, options={"x265-params": "log-level=none:keyint=1"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        frame = av.VideoFrame.from_ndarray(picture(level, side, side), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    begin = data.index(b"hvcC") - 4
    with av.open(str(path)) as container:
        packet = bytes(next(container.demux(video=0)))
    path.unlink()
    return packet, data[begin : begin + struct.unpack_from(">I", data, begin)[0]]


def _described(
    tiles: list[bytes], decoder: bytes, grid: bytes, whole: tuple[int, int], side: int, *, start: int
) -> bytes:
    count = len(tiles)
    places, at = b"", start
    for number, tile in enumerate(tiles, start=1):
        places += struct.pack(">HHHHII", number, 0, 0, 1, at, len(tile))
        at += len(tile)
    places += struct.pack(">HHHHII", count + 1, 1, 0, 1, 0, len(grid))  # in the idat box
    kinds = [
        _full(
            b"infe", 2, int(number < count), struct.pack(">HH", number + 1, 0), b"hvc1" if number < count else b"grid"
        )
        for number in range(count + 1)
    ]
    of_grid = struct.pack(f">HH{count}H", count + 1, count, *range(1, count + 1))
    sizes = [_full(b"ispe", 0, 0, struct.pack(">II", *size)) for size in ((side, side), whole)]
    has = b"".join(struct.pack(">HB2B", number, 2, 0x81, 2) for number in range(1, count + 1))
    has += struct.pack(">HB1B", count + 1, 1, 3)
    return _full(
        b"meta", 0, 0,
        _full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
        _full(b"pitm", 0, 0, struct.pack(">H", count + 1)),
        _full(b"iloc", 1, 0, b"\x44\x00", struct.pack(">H", count + 1), places),
        _full(b"iinf", 0, 0, struct.pack(">H", count + 1), *kinds),
        _full(b"iref", 0, 0, _box(b"dimg", of_grid)),
        _box(b"iprp", _box(b"ipco", decoder, *sizes), _full(b"ipma", 0, 0, struct.pack(">I", count + 1), has)),
        _box(b"idat", grid),
    )  # fmt: skip


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def _full(name: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    ending = (b"\0",) if name == b"infe" else ()
    return _box(name, struct.pack(">I", version << 24 | flags), *parts, *ending)
