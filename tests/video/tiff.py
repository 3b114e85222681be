"""TIFF files of any kind of number, as tools for science and thermal cameras write them."""

import struct
from pathlib import Path

import numpy as np

UNSIGNED, SIGNED, FLOAT, COMPLEX = 1, 2, 3, 6
_FORMATS = {"u": UNSIGNED, "i": SIGNED, "f": FLOAT, "c": COMPLEX}


def tiff(path: Path, values: np.ndarray) -> Path:
    """Write `[H, W]` or `[H, W, 3]` uncompressed on one page, in the array's own order of bytes."""
    order = ">" if values.dtype.byteorder == ">" else "<"
    (height, width), colours = values.shape[:2], values.shape[2] if values.ndim == 3 else 1
    data = values.tobytes()
    tags = {256: [width], 257: [height], 258: [8 * values.dtype.itemsize] * colours, 259: [1], 262: [1 + (colours > 1)]}
    tags |= {273: [8], 277: [colours], 278: [height], 279: [len(data)], 339: [_FORMATS[values.dtype.kind]] * colours}
    entries, arrays, behind = b"", b"", 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, arrays = struct.pack(f"{order}I", behind + len(arrays)), arrays + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8 + len(data))
    path.write_bytes(head + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + arrays)
    return path
