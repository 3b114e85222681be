"""MPEG transport streams (ISO 13818-1): pictures under numbers that nobody knew when the file was opened."""

from collections import Counter
from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZES = (188, 192, 204)  # of a packet: plain, with a clock in front (M2TS), with a checksum behind
SYNC = 0x47
_BLOCK = 40_000  # packets that are looked at together
_FEW = 2  # beginnings of pictures that may be chance


def later_pictures(path: Path, *, known: Container[int]) -> list[int]:
    """The numbers (PID) under which pictures begin in the file, other than those that are known; in order."""
    seen = Counter[int]()
    size = None
    with path.open("rb") as file:
        while block := file.read(_BLOCK * (size or SIZES[-1])):
            data = np.frombuffer(block, np.uint8)
            size = size or _packet_size(data)
            if size is None:
                return []
            seen.update(number for number in _beginnings(data, size) if number not in known)
    return [number for number, count in seen.items() if count > _FEW]


def _packet_size(data: NDArray[np.uint8]) -> int | None:
    """The one at which most packets begin with the sync byte."""
    found = {size: _aligned(data, size)[1] for size in SIZES if len(data) >= size}
    best = max(found, key=found.__getitem__, default=None)
    return best if best is not None and found[best] > 0.5 else None


def _aligned(data: NDArray[np.uint8], size: int) -> tuple[int, float]:
    """Where in its `size` bytes a packet begins, and the share of packets for which that is right."""
    rows = data[: len(data) // size * size].reshape(-1, size)
    hits = (rows == SYNC).mean(0)
    return int(hits.argmax()), float(hits.max())


def _beginnings(data: NDArray[np.uint8], size: int) -> list[int]:
    """The number of each packet in which a picture's data (a PES packet of stream id 0xE0 to 0xEF) begins."""
    if len(data) < 2 * size:
        return []
    data = data[_aligned(data, size)[0] :]
    packets = data[: len(data) // size * size].reshape(-1, size)[:, :188]
    begins = packets[(packets[:, 0] == SYNC) & (packets[:, 1] & 0x40 > 0) & (packets[:, 3] & 0x10 > 0)]
    extra = np.where(begins[:, 3] & 0x20, begins[:, 4].astype(int) + 1, 0)  # the adaptation field
    starts = np.minimum(4 + extra, 188 - 4)
    head = begins[np.arange(len(begins))[:, None], starts[:, None] + np.arange(4)]
    pictures = (head[:, :3] == (0, 0, 1)).all(1) & (head[:, 3] & 0xF0 == 0xE0)
    numbers = (begins[:, 1].astype(int) & 0x1F) << 8 | begins[:, 2]
    return numbers[pictures].tolist()
