"""The data set that a scan makes: which files there are, what is in them, and when a video is finished."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arro3.core import Array, DataType, Field, Schema, Table
from arro3.io import read_json

from lavida.detection import Detection
from lavida.errors import InputError, one_line
from lavida.export.frames import frames_table
from lavida.parquet import table_of, to_parquet
from lavida.scan.addresses import partition, printable
from lavida.scan.state import State
from lavida.scan.store import UNFINISHED, Store
from lavida.scan.videos import Video

FRAMES, EVENTS, STATES, FAILURES, RUN = "frames", "events", "states", "failures.parquet", "run.json"
PART, BEGUN = "part-0.parquet", ".begun.json"
SOURCE = "source"  # last column of frames and events: text, where readers guess other types for the folders' names
EVENT_COLUMNS = Schema(
    [Field(name, DataType.float64()) for name in ("start_s", "end_s", "peak_s", "peak_score")]
    + [Field("category", DataType.string()), Field("box", DataType.list(Field("element", DataType.float64())))]
)
FAILURE_COLUMNS = Schema([Field("video", DataType.string()), Field("reason", DataType.string())])
METADATA_KEY = b"lavida"


@dataclass(slots=True)
class Result:
    """What a listing of the data set tells of one video with frames."""

    written: float | None  # when its frames were, in seconds since 1970; None if the file system does not tell
    # of the states of the source that they may have been made from: one, or none where an earlier version made them,
    # which kept no states
    tokens: set[str] = field(default_factory=set)


class DataSet:
    """The folder of one scan.

    `frames/video=<name, URL-encoded>/part-0.parquet` and the same below `events`; `states/video=<...>/<token>.json`;
    `failures.parquet`; `run.json`. A video is finished when its file below `frames` is there, and its one state is that
    of the source. The token is the name of the state's file, so that two listings tell what is finished.
    """

    def __init__(self, address: str) -> None:
        self.store = Store(address)

    def write_video(self, video: Video, detection: Detection, state: State) -> None:
        """Both tables of a video, made from a source in this state. Raises AbortRun where they cannot be written.

        A kill at any moment leaves the frames with the state that belongs to them, or no frames.
        """
        key, source = partition(video.name), printable(video.name)
        # a worker that died may have noted another state; looking is cheaper than removing what is not there
        if video.outdated or any(True for _ in self.store.names(f"{STATES}/video={key}")):
            self.remove_video(video.name)
        self.write_table(EVENTS, key, events_table(detection), source=source)
        self.write_state(key, state)
        frames = frames_table(detection)
        about = frames.schema.with_metadata({METADATA_KEY: _record(video, detection).encode()})
        self.write_table(FRAMES, key, frames.with_schema(about), source=source)

    def write_table(self, kind: str, key: str, table: Table, *, source: str) -> None:
        """Write one table of a video with its last column; `key` is the name as `partition` writes it."""
        sources = Array([source] * table.num_rows, type=DataType.string())
        named = table.append_column(Field(SOURCE, DataType.string()), sources)
        self.store.write(f"{kind}/video={key}/{PART}", to_parquet(named))

    def read_table(self, kind: str, key: str) -> Table:
        """One table of a video. Raises FileNotFoundError or ValueError where it is not there or damaged."""
        content = self.store.read(f"{kind}/video={key}/{PART}")
        if content is None:
            raise FileNotFoundError(f"{kind}/video={key}/{PART}")
        return table_of(content)

    def write_state(self, key: str, state: State) -> None:
        """Note the state of the source that the results of a video belong to."""
        self.store.write(f"{STATES}/video={key}/{state.token}.json", json.dumps(state.to_json()).encode())

    def remove_video(self, name: str) -> None:
        """Remove all results of a video, if there are any; `frames` first, without which it is not finished."""
        key = partition(name)
        for kind in (FRAMES, STATES, EVENTS):
            self.store.remove(f"{kind}/video={key}")

    def results(self) -> dict[str, Result]:
        """What there is, by the name of the video as `partition` writes it."""
        found = {
            key: Result(file.changed)
            for name, file in self.store.files(FRAMES)
            if (key := _key(name)) and name.endswith(f"/{PART}")
        }
        for name in self.store.names(STATES):
            if (key := _key(name)) in found:
                found[key].tokens.add(name.rpartition("/")[2].removesuffix(".json"))
        return found

    def write_failures(self, reasons: Mapping[str, str]) -> None:
        """`reasons`: by the video's name."""
        texts = [printable(name) for name in reasons], [printable(reason) for reason in reasons.values()]
        columns = [Array(each, type=DataType.string()) for each in texts]
        self.store.write(FAILURES, to_parquet(Table.from_arrays(columns, schema=FAILURE_COLUMNS)))

    def read_failures(self) -> dict[str, str]:
        """The reason by the video's name, as `write_failures` printed them; empty if there are none yet."""
        content = self.store.read(FAILURES)
        if content is None:
            return {}
        table = table_of(content)
        return dict(zip(*(table[name].to_pylist() for name in FAILURE_COLUMNS.names), strict=True))

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
        for name in (FRAMES, STATES, EVENTS, FAILURES, BEGUN, UNFINISHED, RUN):
            self.store.remove(name)


def events_table(detection: Detection) -> Table:
    """One row for each event, with the names of `events.json`; `box` is x, y, w, h in displayed pixels or null."""
    # by JSON: arro3 makes no lists of Python's
    rows = "\n".join(json.dumps(event.to_json(), ensure_ascii=False) for event in detection.events())
    return read_json(io.BytesIO(rows.encode()), EVENT_COLUMNS).read_all()


def _key(name: str) -> str:
    """Of `video=KEY/...`; empty for other names."""
    folder = name.partition("/")[0]
    return folder.removeprefix("video=") if folder.startswith("video=") else ""


def _record(video: Video, detection: Detection) -> str:
    """How the scores of a video came about, kept in the metadata of its file; nothing that differs between two runs."""
    about = {"video": video.name, "source": video.address}
    kept = ("model", "categories", "settings", "versions", "frames", "analysed_frames", "contrast", "warnings", "notes")
    run = {name: detection.run[name] for name in kept if name in detection.run}
    about = {name: printable(text) for name, text in about.items()}
    size = {"width": detection.info.width, "height": detection.info.height, "fps": detection.info.fps}
    return one_line(json.dumps(about | size | run))
