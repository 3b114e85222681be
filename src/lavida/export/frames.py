"""`frames.parquet`: a row for every frame of the video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from arro3.core import Array, DataType, Field, Schema, Table

if TYPE_CHECKING:
    from lavida.detection import Detection

FRAME_COLUMNS = Schema(
    [
        Field("frame", DataType.int64()),
        Field("time_s", DataType.float64()),
        Field("score", DataType.float32()),
        Field("category", DataType.string()),
    ]
)


def frames_table(detection: Detection) -> Table:
    """One row for every frame of the video: `frame`, `time_s`, `score`, `category`."""
    columns = [
        Array(np.arange(len(detection.times), dtype=np.int64)),
        Array(np.ascontiguousarray(detection.times, dtype=np.float64)),
        Array(np.ascontiguousarray(detection.scores, dtype=np.float32)),
        Array(detection.categories_by_frame, type=DataType.string()),
    ]
    return Table.from_arrays(columns, schema=FRAME_COLUMNS)
