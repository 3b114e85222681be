"""Score maps and masks on disk, as they were measured, for a check by other means."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lavida.errors import mendable

MASK_SUFFIX = ".mask.npy"


class MapWriter:
    """Writes `<video>.npy`, float16 `[frames, h, w]`, and `<video>.mask.npy`, bool, one frame after the other.

    A context manager. Holds one frame, whatever the length of the video. Raises InputError when it cannot write.
    """

    def __init__(self, folder: Path, video: str) -> None:
        self._folder = folder
        with mendable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._maps = _Rows(folder / f"{video}.npy")
            self._masks = _Rows(folder / f"{video}{MASK_SUFFIX}")

    def __enter__(self) -> MapWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with mendable(self._folder):
            self._maps.close()
            self._masks.close()

    def add(self, pixel_map: NDArray[np.float16], mask: NDArray[np.bool_]) -> None:
        """Appends one frame, `[h, w]` each."""
        with mendable(self._folder):
            self._maps.add(pixel_map)
            self._masks.add(mask)


class _Rows:
    """An array file that grows by its first axis; NumPy's header leaves room for the final count."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._header: dict | None = None
        self._rows = 0

    def add(self, row: NDArray) -> None:
        row = np.ascontiguousarray(row)
        if self._header is None:
            self._header = {"descr": np.lib.format.dtype_to_descr(row.dtype), "fortran_order": False}
            self._shape = row.shape
            self._write_header()
        self._file.write(row.tobytes())
        self._rows += 1

    def close(self) -> None:
        if self._header is None:  # a video without masks
            np.save(self._file, np.zeros((0, 0, 0), dtype=np.float16))
        else:
            self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, {**self._header, "shape": (self._rows, *self._shape)})
