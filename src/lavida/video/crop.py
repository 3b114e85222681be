"""The part of a picture that players show, where the container cuts it: MP4's `clap`, Matroska's PixelCrop.

FFmpeg hands these to its players only, PyAV to nobody, so they are read from the file: ISO 14496-12 and RFC 9559.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_INSIDE_MP4 = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8}  # bytes before the first box
_VISUAL_ENTRY = 86  # bytes of a visual sample entry before its own boxes
_SEGMENT, _TRACKS, _TRACK, _CLUSTER, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0xE0
_TRACK_TYPE = 0x83
_INSIDE_MATROSKA = {_SEGMENT, _TRACKS, _TRACK, _VIDEO}
_BOTTOM, _TOP, _LEFT, _RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_LONGEST_NUMBER = 8  # bytes


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the stored picture, in stored pixels.

    Attributes:
        aspect: width to height of one of its pixels, where the container says it for this part alone.
    """

    left: int
    top: int
    width: int
    height: int
    aspect: Fraction | None = None

    def fits(self, width: int, height: int) -> bool:
        """Whether it is a proper part of a picture of this size."""
        across = self.left >= 0 and self.width > 0 and self.left + self.width <= width
        down = self.top >= 0 and self.height > 0 and self.top + self.height <= height
        return across and down and (self.width, self.height) != (width, height)


def declared_crop(path: Path, *, container: str, track: int, place: int, size: tuple[int, int]) -> Crop | None:
    """What the container of a video says of the part that is shown; None where it shows all, or says nonsense.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
        track: number of the track (MP4).
        place: of the stream among the video streams (Matroska).
        size: width and height of the stored picture, in pixels.
    """
    if container not in ("mov", "matroska"):
        return None
    try:
        with path.open("rb") as file:
            crop = _clean_aperture(file, track, *size) if container == "mov" else _pixel_crop(file, place, *size)
    except (OSError, struct.error, ValueError, ZeroDivisionError):  # a header that FFmpeg could make sense of
        return None
    return crop if crop is not None and crop.fits(*size) else None


def _clean_aperture(file: BinaryIO, track: int, width: int, height: int) -> Crop | None:
    number = 0
    for name, start, end in _boxes(file, 0, file.seek(0, 2)):
        if name == b"tkhd":
            file.seek(start)
            long = file.read(1) == b"\x01"  # version 1 has times of 8 bytes
            file.seek(start + (20 if long else 12))
            (number,) = struct.unpack(">I", file.read(4))
        elif name == b"clap" and number == track:
            file.seek(start)
            values = struct.unpack(">8i", file.read(end - start)[:32])
            wide, high, right, down = (Fraction(*values[place : place + 2]) for place in (0, 2, 4, 6))
            left, top = (width - wide) / 2 + right, (height - high) / 2 + down  # offsets are those of the centre
            return Crop(round(left), round(top), round(wide), round(high))
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of every box that leads to a clean aperture, in the order of the file."""
    while start + 8 <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        content = start + 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            content += 8
        stop = end if size == 0 else min(start + size, end)
        if stop < content:
            return
        yield name, content, stop
        if name in _INSIDE_MP4:
            entries = content + _INSIDE_MP4[name]
            yield from _entries(file, entries, stop) if name == b"stsd" else _boxes(file, entries, stop)
        start = stop


def _entries(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of each sample entry."""
    while start + _VISUAL_ENTRY <= end:
        file.seek(start)
        (size,) = struct.unpack(">I", file.read(4))
        if size < _VISUAL_ENTRY:
            return
        yield from _boxes(file, start + _VISUAL_ENTRY, min(start + size, end))
        start += size


def _pixel_crop(file: BinaryIO, place: int, width: int, height: int) -> Crop | None:
    videos: list[dict[int, int]] = []
    track: dict[int, int] = {}
    for name, start, end in _elements(file, 0, file.seek(0, 2)):
        if name == _CLUSTER:
            break
        if name == _TRACK:
            track = {}
        elif end - start <= _LONGEST_NUMBER:
            file.seek(start)
            track[name] = int.from_bytes(file.read(end - start), "big")
            if name == _TRACK_TYPE and track[name] == 1:
                videos.append(track)
    if place >= len(videos):
        return None
    settings = videos[place]
    left, top = settings.get(_LEFT, 0), settings.get(_TOP, 0)
    wide, high = width - left - settings.get(_RIGHT, 0), height - top - settings.get(_BOTTOM, 0)
    across, down = settings.get(_DISPLAY_WIDTH, 0), settings.get(_DISPLAY_HEIGHT, 0)
    known = across and down and settings.get(_DISPLAY_UNIT, 0) in (0, 3)  # pixels, or an aspect ratio
    aspect = Fraction(across * high, down * wide) if known and wide > 0 and high > 0 else None
    return Crop(left, top, wide, high, aspect)


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Name, start and end of the content of each EBML element, and of what is in those that lead to a crop."""
    while start < end:
        file.seek(start)
        name = _variable(file, keep_marker=True)
        size = _variable(file, keep_marker=False)
        content = file.tell()
        stop = end if size is None else min(content + size, end)  # of unknown size: a live recording
        if name is None:
            return
        yield name, content, stop
        if name in _INSIDE_MATROSKA:
            yield from _elements(file, content, stop)
        start = stop


def _variable(file: BinaryIO, *, keep_marker: bool) -> int | None:
    """An EBML number of variable length; None for a size that is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        raise ValueError("no EBML number")
    length = 9 - first[0].bit_length()
    data = int.from_bytes(first + file.read(length - 1), "big")
    if keep_marker:
        return data
    value = data & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value
