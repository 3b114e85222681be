"""What the tests ask of the results of a scan."""

from pathlib import Path

import pyarrow.parquet as pq


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the results of a scan with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def finished(out: Path) -> set[str]:
    """The partitions of the videos that are done."""
    return {path.parent.name for path in (out / "frames").glob("*/part-0.parquet")}


def failures(out: Path) -> dict[str, str]:
    """The reason by video."""
    table = pq.read_table(out / "failures.parquet")
    return dict(zip(table["video"].to_pylist(), table["reason"].to_pylist(), strict=True))
