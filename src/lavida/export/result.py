"""The result folder of one detection."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lavida.errors import InputError, one_line
from lavida.export.overlay import write_overlay
from lavida.export.tables import (
    read_candidates,
    write_analysis,
    write_candidates,
    write_events,
    write_frames,
    write_masks,
    write_run,
)
from lavida.export.timeline import write_timeline
from lavida.files import atomic_folder, check_target
from lavida.video.pixels import Contrast
from lavida.video.source import Source, SourceInfo

if TYPE_CHECKING:
    from lavida.detection import Detection, Event

ANALYSIS, CANDIDATES, RUN = "analysis.npz", "candidates.json.gz", "run.json"
FRAMES = "frames.parquet"  # in every result of a detection, and in no other folder of lavida


def write_result(
    detection: Detection,
    target: Path,
    *,
    overlay: bool = True,
    source: Source | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write every file of a detection into `target` in one atomic step; see `Detection.save`.

    `run.json` is `detection.run` with `export_ms` added: the milliseconds each kind of file took.
    """
    check_result(target, source=detection.info.path)
    target = Path(target).resolve()
    spent: dict[str, float] = {}
    with atomic_folder(target, replaces=FRAMES) as folder:
        with _clock(spent, "tables"):
            write_frames(detection, folder / FRAMES)
            write_analysis(detection, folder / ANALYSIS)
            write_candidates(detection, folder / CANDIDATES)
        _write_events(detection, folder, spent)
        if overlay:
            with _clock(spent, "overlay"):
                write_overlay(detection, folder / "overlay.mp4", source=source, progress=progress)
        write_run({**_run(detection), "export_ms": spent}, folder / RUN)
    return target


def rewrite_events(detection: Detection, events: Sequence[Event], target: Path) -> None:
    """Replace `events.json`, `masks.json` and `timeline.png` of a result in one atomic step; the overlay stays.

    Raises:
        InputError: the folder cannot be written, or holds no result.
    """
    with atomic_folder(target, replaces=FRAMES) as folder:
        spent: dict[str, float] = {}
        _write_events(detection, folder, spent, events)
        write_analysis(detection, folder / ANALYSIS)
        write_run(_run(detection), folder / RUN)
        for file in target.iterdir():
            if not (folder / file.name).exists():
                _same_file(file, folder / file.name)


def _same_file(file: Path, link: Path) -> None:
    try:
        os.link(file, link)
    except OSError:  # a disk without hard links
        shutil.copy2(file, link)


def _write_events(
    detection: Detection, folder: Path, spent: dict[str, float], events: Sequence[Event] | None = None
) -> None:
    events = detection.events() if events is None else events
    with _clock(spent, "tables"):
        write_events(events, folder / "events.json")
        write_masks(detection.masks, folder / "masks.json")
    with _clock(spent, "timeline"):
        write_timeline(detection, folder / "timeline.png", events)


def _run(detection: Detection) -> dict[str, Any]:
    info, settings = detection.info, {**detection.run.get("settings", {}), "threshold": detection.threshold}
    about = {"source": str(info.path), "width": info.width, "height": info.height, "fps": info.fps}
    return {**about, **detection.run, "settings": settings}


def read_result(folder: Path) -> Detection:
    """See `Detection.load`."""
    from lavida.detection import Detection

    if not (folder / FRAMES).exists():
        raise InputError(f"no result of lavida detect: {folder}; give a folder that it wrote")
    if not (folder / ANALYSIS).exists():
        raise InputError(f"the result is of an older lavida, without {ANALYSIS}: {folder}; run lavida detect again")
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        path, contrast = Path(run["source"]), run.get("contrast")
        with np.load(folder / ANALYSIS, allow_pickle=False) as saved:
            height, width = (int(side) for side in saved["size"])
            times = pq.read_table(folder / FRAMES, columns=["time_s"])["time_s"].to_numpy()
            stem = str(saved["stem"])
            return Detection(
                info=SourceInfo(
                    path, stem, width, height, float(saved["fps"]), len(times), contrast and Contrast(*contrast)
                ),
                categories=tuple(str(name) for name in saved["categories"]),
                times=times,
                sampled=saved["frames"],
                sampled_scores=saved["scores"],
                sampled_category_scores=saved["category_scores"],
                threshold=float(saved["threshold"]),
                candidates=read_candidates(folder / CANDIDATES),
                run=run,
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        raise InputError(f"the result is damaged: {folder} ({one_line(error)}); run lavida detect again") from error


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
