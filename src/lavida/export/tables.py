"""`frames.parquet` and the JSON files of a result folder."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from lavida.detection import Detection, Event, Mask

FRAME_COLUMNS = pa.schema(
    [("frame", pa.int64()), ("time_s", pa.float64()), ("score", pa.float32()), ("category", pa.string())]
)


def frames_table(detection: Detection) -> pa.Table:
    """One row for every frame of the video: `frame`, `time_s`, `score`, `category`."""
    columns = [np.arange(len(detection.times)), detection.times, detection.scores, detection.categories_by_frame]
    return pa.table(columns, schema=FRAME_COLUMNS)


def write_frames(detection: Detection, path: Path) -> None:
    """Write `frames.parquet`."""
    pq.write_table(frames_table(detection), path, compression="zstd")


def write_events(events: Sequence[Event], path: Path) -> None:
    """Write `events.json`."""
    path.write_text(_rows([event.to_json() for event in events]), encoding="utf-8")


def write_masks(masks: Sequence[Mask], path: Path) -> None:
    """Write `masks.json`: COCO compressed RLE at display size, ordered by frame."""
    path.write_text(_mask_rows(masks), encoding="utf-8")


def write_candidates(detection: Detection, path: Path) -> None:
    """Write `candidates.json.gz`: as `masks.json`, with all masks from a score of 0.2 on."""
    # no time in its header: the same result gives the same bytes
    path.write_bytes(gzip.compress(_mask_rows(detection.candidates).encode(), mtime=0))


def read_candidates(path: Path) -> list[Mask]:
    """What `write_candidates` wrote. Raises OSError, ValueError or KeyError for anything else."""
    from lavida.detection import Mask

    return [Mask.from_json(row) for row in json.loads(gzip.decompress(path.read_bytes()))]


def write_analysis(detection: Detection, path: Path) -> None:
    """Write `analysis.npz`: what the model said of each analysed frame, and what is needed to cut events anew.

    `frames` int64 `[S]`, `times` float64 `[S]`, `scores` float32 `[S]`, `category_scores` float32 `[S, K]`,
    `categories` text `[K]`, `threshold`, `size` (height, width), `fps`, `stem`.
    """
    info = detection.info
    np.savez_compressed(
        path,
        frames=detection.sampled,
        times=detection.times[detection.sampled],
        scores=detection.sampled_scores,
        category_scores=detection.sampled_category_scores,
        categories=np.array(detection.categories),
        threshold=np.float64(detection.threshold),
        size=np.array([info.height, info.width]),
        fps=np.float64(info.fps),
        stem=np.array(info.stem),
    )


def write_run(run: dict[str, Any], path: Path) -> None:
    """Write `run.json`; what JSON cannot say (NaN, infinity) becomes null."""
    path.write_text(json.dumps(_plain(run), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _mask_rows(masks: Sequence[Mask]) -> str:
    return _rows([mask.to_json() for mask in sorted(masks, key=lambda mask: mask.frame)])


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    # one line a row: readable, and still small for thousands of masks
    lines = (json.dumps(row, allow_nan=False) for row in rows)
    return "[" + ",".join(f"\n {line}" for line in lines) + "\n]\n"


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
