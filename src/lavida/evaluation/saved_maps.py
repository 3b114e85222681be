"""Score maps and masks on disk, as they were measured, for a check by other means."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
            self._files = (_Rows(folder / f"{video}.npy"), _Rows(folder / f"{video}{MASK_SUFFIX}"))

    def __enter__(self) -> MapWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with mendable(self._folder), ExitStack() as stack:
            for file in self._files:
                stack.callback(file.close)

    def add(self, pixel_map: NDArray[np.float16], mask: NDArray[np.bool_]) -> None:
        """Appends one frame, `[h, w]` each."""
        with mendable(self._folder):
            for file, row in zip(self._files, (pixel_map, mask), strict=True):
                file.add(np.ascontiguousarray(row))


class _Rows:
    """An array file that grows by its first axis; NumPy's header leaves room for the final count."""

    def __init__(self, path: Path) -> None:
        self._file, self._rows = path.open("wb"), 0
        self._row: NDArray[Any] = np.zeros((0, 0), dtype=np.float16)  # as of a video without masks

    def add(self, row: NDArray[Any]) -> None:
        if not self._rows:
            self._row = row
            self._write_header()
        self._file.write(row.tobytes())
        self._rows += 1

    def close(self) -> None:
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        self._file.seek(0)
        descr, shape = np.lib.format.dtype_to_descr(self._row.dtype), (self._rows, *self._row.shape)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
