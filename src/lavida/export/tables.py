"""`frames.parquet` and the JSON files of a result folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from lavida.detection import Detection

FRAME_COLUMNS = pa.schema(
    [("frame", pa.int64()), ("time_s", pa.float64()), ("score", pa.float32()), ("category", pa.string())]
)


def frames_table(detection: Detection) -> pa.Table:
    """One row for every frame of the video: `frame`, `time_s`, `score`, `category`."""
    columns = [np.arange(len(detection.times)), detection.times, detection.scores, detection.category]
    return pa.table(columns, schema=FRAME_COLUMNS)


def write_frames(detection: Detection, path: Path) -> None:
    """Write `frames.parquet`."""
    pq.write_table(frames_table(detection), path, compression="zstd")


def write_events(detection: Detection, path: Path) -> None:
    """Write `events.json`."""
    _write_rows([event.to_json() for event in detection.events()], path)


def write_masks(detection: Detection, path: Path) -> None:
    """Write `masks.json`: COCO compressed RLE at display size, ordered by frame."""
    _write_rows([mask.to_json() for mask in sorted(detection.masks, key=lambda mask: mask.frame)], path)


def write_run(run: dict[str, Any], path: Path) -> None:
    """Write `run.json`; what JSON cannot say (NaN, infinity) becomes null."""
    path.write_text(json.dumps(_plain(run), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    # one line a row: readable, and still small for thousands of masks
    lines = (json.dumps(row, allow_nan=False) for row in rows)
    path.write_text("[" + ",".join(f"\n {line}" for line in lines) + "\n]\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
