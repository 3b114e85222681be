"""Finds the same picture in two files: recompressed, resized, mirrored, or the next frame of a still scene."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, LOW = 32, 8  # pixels of the small gray picture; its lowest frequencies each way give the bits
NEAR = 4  # bits of 64 in which two files of one picture may differ; other pictures differ in 8 and more
BLOCK = 1024  # hashes that are compared with all others at a time
_ROWS = np.arange(1, LOW + 1)[:, None] * (np.arange(SIDE) + 0.5) * np.pi / SIDE
COSINES = np.cos(_ROWS)  # [LOW, SIDE], of a cosine transform without its constant part

Hashes = NDArray[np.uint64]


def picture_hash(picture: Image.Image) -> Hashes:
    """Two hashes of 64 bits, uint64 [2]: of the picture and of its mirror image.

    A bit says whether a low frequency of the small gray picture is above the median of all 64 (pHash, Zauner 2010).
    """
    gray = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=float)
    return np.array([_hash(gray), _hash(gray[:, ::-1])], dtype=np.uint64)


def file_hashes(paths: Iterable[Path]) -> Hashes:
    """The hashes of picture files, uint64 [N, 2]."""
    found = []
    for path in paths:
        with Image.open(path) as picture:
            picture.draft("L", (4 * SIDE, 4 * SIDE))  # a JPEG is decoded small, in a fraction of the time
            found.append(picture_hash(picture))
    return np.stack(found) if found else np.zeros((0, 2), np.uint64)


def near_pairs(first: Hashes, second: Hashes, *, most: int = NEAR) -> list[tuple[int, int]]:
    """Indices of the pictures of `first` and `second`, uint64 [N, 2] and [M, 2], that are nearly the same.

    Args:
        first: of the one side, both columns of which count.
        second: of the other side; one column is enough, as mirroring is its own inverse.
        most: bits that may differ.
    """
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(first), BLOCK):
        block = first[start : start + BLOCK]
        differing = np.bitwise_count(block[:, None] ^ second[None, :, :1]).min(axis=-1)  # [N, M]
        pairs += [(start + int(i), int(j)) for i, j in np.argwhere(differing <= most)]
    return pairs


def _hash(gray: NDArray[np.float64]) -> int:
    waves = (COSINES @ gray @ COSINES.T).ravel()
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), "big")
