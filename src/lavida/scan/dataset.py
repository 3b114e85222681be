"""The data set that a scan makes: which files there are, what is in them, and when a video is finished."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lavida.console import one_line
from lavida.detection import Detection
from lavida.errors import InputError
from lavida.export.tables import frames_table
from lavida.scan.addresses import partition, printable
from lavida.scan.deaths import BEGUN
from lavida.scan.store import UNFINISHED, Store
from lavida.scan.videos import Video

FRAMES, EVENTS, FAILURES, RUN = "frames", "events", "failures.parquet", "run.json"
PART = "part-0.parquet"
EVENT_COLUMNS = pa.schema(
    [
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("peak_s", pa.float64()),
        ("peak_score", pa.float64()),
        ("category", pa.string()),
        ("box", pa.list_(pa.float64())),
    ]
)
FAILURE_COLUMNS = pa.schema([("video", pa.string()), ("reason", pa.string())])
METADATA_KEY = b"lavida"


class DataSet:
    """The folder of one scan.

    `frames/video=<name, URL-encoded>/part-0.parquet` and the same below `events`; `failures.parquet`; `run.json`. A
    video is finished when its file below `frames` is there, which is written last.
    """

    def __init__(self, address: str) -> None:
        self.store = Store(address)

    def write_video(self, video: Video, detection: Detection) -> None:
        """Both tables of a video. Raises Halt where they cannot be written."""
        key = partition(video.name)
        self.store.write(f"{EVENTS}/video={key}/{PART}", _parquet(events_table(detection)))
        frames = frames_table(detection).replace_schema_metadata({METADATA_KEY: _record(video, detection)})
        self.store.write(f"{FRAMES}/video={key}/{PART}", _parquet(frames))

    def finished(self) -> set[str]:
        """The names, as `partition` writes them, of the videos that are done."""
        start, end = "video=", f"/{PART}"
        names = self.store.names(FRAMES)
        return {name[len(start) : -len(end)] for name in names if name.startswith(start) and name.endswith(end)}

    def write_failures(self, reasons: Mapping[str, str]) -> None:
        """`reasons`: by the video's name."""
        rows = {"video": [printable(name) for name in reasons], "reason": [printable(r) for r in reasons.values()]}
        self.store.write(FAILURES, _parquet(pa.table(rows, schema=FAILURE_COLUMNS)))

    def read_failures(self) -> dict[str, str]:
        """The reason by the video's name, as `write_failures` printed them; empty if there are none yet."""
        content = self.store.read(FAILURES)
        if content is None:
            return {}
        table = pq.read_table(io.BytesIO(content), columns=FAILURE_COLUMNS.names)
        return dict(zip(*table.to_pydict().values(), strict=True))

    def read_run(self) -> dict[str, Any] | None:
        """What `run.json` says, None if it is not there.

        Raises:
            InputError: it is not that of a scan.
        """
        content = self.store.read(RUN)
        if content is None:
            return None
        try:
            run = json.loads(content)
            if run["command"] == "scan":
                return run
        except (ValueError, KeyError, TypeError):
            pass
        raise InputError(f"no scan, but something else lives in {self.store.address}; choose another --out")

    def write_run(self, run: Mapping[str, Any]) -> None:
        self.store.write(RUN, json.dumps(run, indent=2, allow_nan=False).encode() + b"\n")

    def clear(self) -> None:
        """Remove all results; `frames` first: what is half removed then counts as unfinished.

        `run.json` last: without it nobody would know that what is left is a scan's.
        """
        for name in (FRAMES, EVENTS, FAILURES, BEGUN, UNFINISHED, RUN):
            self.store.remove(name)


def events_table(detection: Detection) -> pa.Table:
    """One row for each event, with the names of `events.json`; `box` is x, y, w, h in displayed pixels or null."""
    return pa.Table.from_pylist([event.to_json() for event in detection.events()], schema=EVENT_COLUMNS)


def _record(video: Video, detection: Detection) -> str:
    """How the scores of a video came about, kept in the metadata of its file; nothing that differs between two runs."""
    about = {"video": video.name, "source": video.address}
    kept = ("model", "categories", "settings", "versions", "frames", "analysed_frames", "warnings")
    run = {name: detection.run[name] for name in kept if name in detection.run}
    about = {name: printable(text) for name, text in about.items()}
    size = {"width": detection.info.width, "height": detection.info.height, "fps": detection.info.fps}
    return one_line(json.dumps(about | size | run))


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
