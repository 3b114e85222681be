"""What the tests ask of the results of a scan."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the results of a scan with its content, but what tells of the run itself."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def states(out: Path) -> dict[str, list[dict]]:
    """What is noted of the source of each video, by partition."""
    return {
        folder.name: [json.loads(file.read_text()) for file in sorted(folder.iterdir())]
        for folder in sorted((out / "states").iterdir())
    }


def sources(out: Path, kind: str = "frames") -> Counter[str]:
    """How many rows each video has, by the column `source`."""
    tables = [pq.read_table(part, partitioning=None) for part in (out / kind).glob("*/part-0.parquet")]
    return Counter(name for table in tables for name in table["source"].to_pylist())


def finished(out: Path) -> set[str]:
    """The partitions of the videos that are done."""
    return {path.parent.name for path in (out / "frames").glob("*/part-0.parquet")}


def failures(out: Path) -> dict[str, str]:
    """The reason by video."""
    table = pq.read_table(out / "failures.parquet")
    return dict(zip(table["video"].to_pylist(), table["reason"].to_pylist(), strict=True))


def python_path(*folders: Path) -> str:
    """For processes that tests start: these folders, and what the tests themselves were started with."""
    inherited = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join([*map(str, folders), *inherited])
