"""The folder of one evaluation: `metrics.json` and `scores/<video>.npz`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError


class ResultFolder:
    """Collects a result out of sight and shows it only when it is whole.

    A context manager. Until `publish`, an earlier result in the folder stays as it is. `metrics.json` is then
    removed first and written last: where it exists, the scores beside it are its own. Other files stay, since
    this folder, unlike that of a detection, may hold the folders of other results.

    Args:
        out: the folder; made when missing.

    Raises:
        InputError: it cannot be written, or the disk is full.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def __enter__(self) -> ResultFolder:
        with _mendable(self._out):
            self._out.mkdir(parents=True, exist_ok=True)
            self._staging = tempfile.TemporaryDirectory(dir=self._out, prefix=".unfinished-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._staging.cleanup()

    def write_scores(self, video: str, *, scores: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
        """Stages `scores/<video>.npz` with `score` float32 `[frames]` and `label` uint8 `[frames]`."""
        with _mendable(self._out):
            path = Path(self._staging.name) / f"{video}.npz"
            np.savez(path, score=scores.astype(np.float32), label=labels.astype(np.uint8))

    def publish(self, metrics: dict[str, Any]) -> None:
        """Puts the staged scores and `metrics.json` in place of an earlier result."""
        staging, shown = Path(self._staging.name), self._out / "scores"
        with _mendable(self._out):
            (staging / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
            (self._out / "metrics.json").unlink(missing_ok=True)
            shown.mkdir(exist_ok=True)
            for stale in shown.glob("*.npz"):
                stale.unlink()
            for path in staging.glob("*.npz"):
                os.replace(path, shown / path.name)
            os.replace(staging / "metrics.json", self._out / "metrics.json")


@contextmanager
def _mendable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write: {out}: {reason}; make room there or choose another folder") from error
