"""The result folder of one detection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lavida.errors import InputError
from lavida.export.folder import finished_folder
from lavida.export.overlay import write_overlay
from lavida.export.tables import write_events, write_frames, write_masks, write_run
from lavida.export.timeline import write_timeline

if TYPE_CHECKING:
    from lavida.detection import Detection


def write_result(
    detection: Detection,
    target: Path,
    *,
    overlay: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write every file of a detection into `target` in one atomic step; see `Detection.save`.

    `run.json` is `detection.run` with `export_ms` added: the milliseconds each kind of file took.
    """
    target = Path(target).resolve()
    if target in Path(detection.info.path).resolve().parents:
        raise InputError(f"the source lies inside its own result folder: {target}; choose another folder")
    spent: dict[str, float] = {}
    with finished_folder(target) as folder:
        with _clock(spent, "tables"):
            write_frames(detection, folder / "frames.parquet")
            write_events(detection, folder / "events.json")
            write_masks(detection, folder / "masks.json")
        with _clock(spent, "timeline"):
            write_timeline(detection, folder / "timeline.png")
        if overlay:
            with _clock(spent, "overlay"):
                write_overlay(detection, folder / "overlay.mp4", progress=progress)
        write_run({**detection.run, "export_ms": spent}, folder / "run.json")
    return target


@contextmanager
def _clock(spent: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    spent[stage] = round((time.perf_counter() - start) * 1000, 1)
