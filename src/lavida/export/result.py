"""The result folder of one detection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lavida.errors import InputError
from lavida.export.folder import check_target, finished_folder
from lavida.export.overlay import write_overlay
from lavida.export.tables import write_events, write_frames, write_masks, write_run
from lavida.export.timeline import write_timeline

if TYPE_CHECKING:
    from lavida.detection import Detection

FRAMES = "frames.parquet"  # in every result of a detection, and in no other folder of lavida


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
    check_result(target, source=detection.info.path)
    target = Path(target).resolve()
    spent: dict[str, float] = {}
    with finished_folder(target, replaces=FRAMES) as folder:
        with _clock(spent, "tables"):
            write_frames(detection, folder / FRAMES)
            write_events(detection, folder / "events.json")
            write_masks(detection, folder / "masks.json")
        with _clock(spent, "timeline"):
            write_timeline(detection, folder / "timeline.png")
        if overlay:
            with _clock(spent, "overlay"):
                write_overlay(detection, folder / "overlay.mp4", progress=progress)
        write_run({**detection.run, "export_ms": spent}, folder / "run.json")
    return target


def check_result(target: Path, *, source: Path) -> None:
    """Refuse before the analysis a folder that `write_result` would refuse after it; nothing is made.

    Raises:
        InputError: it holds something else than the result of a detection, or the source, or cannot be written.
    """
    target, source = Path(target).resolve(), Path(source).resolve()
    if target == source or target in source.parents:
        raise InputError(f"the source lies in its own result folder: {target}; choose another folder")
    check_target(target, replaces=FRAMES)


@contextmanager
def _clock(spent: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    spent[stage] = round((time.perf_counter() - start) * 1000, 1)
