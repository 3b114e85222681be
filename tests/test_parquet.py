"""Parquet by arro3 as pyarrow writes and reads it, whole and damaged."""

import asyncio
import io
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arro3.core import Array, DataType, Field

from lavida.parquet import table_in, table_of, to_parquet

ROWS = 3000


@pytest.fixture(scope="module")
def others() -> pa.Table:
    columns = {
        "frame": pa.array(range(ROWS), pa.int64()),
        "score": pa.array([row / 7 for row in range(ROWS)], pa.float32()),
        "category": pa.array(["fire", "ü", None] * (ROWS // 3)),
        "box": pa.array([[1.0, 2.5], None, []] * (ROWS // 3), pa.list_(pa.float64())),
    }
    return pa.table(columns).replace_schema_metadata({"lavida": '{"video": "ü"}'})


def written(table: pa.Table, **options) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "none"])
def test_what_pyarrow_wrote_is_read_and_written_back_the_same(others, compression):
    table = table_of(written(others, compression=compression, row_group_size=700))
    assert table.schema.metadata == {b"lavida": '{"video": "ü"}'.encode()}
    content = to_parquet(table)
    assert content == to_parquet(table)
    back = pq.ParquetFile(io.BytesIO(content))
    assert back.read().equals(others)
    # of Arrow's schema, and of the file, where DuckDB looks
    assert back.schema_arrow.metadata[b"lavida"] == back.metadata.metadata[b"lavida"] == '{"video": "ü"}'.encode()
    assert back.metadata.row_group(0).column(0).compression == "ZSTD"
    assert back.schema.names == pq.ParquetFile(io.BytesIO(written(others))).schema.names


def test_a_table_without_rows_takes_another_column(others):
    table = table_of(written(others.slice(0, 0)))
    more = table.append_column(Field("source", DataType.string()), Array([], type=DataType.string()))
    assert pq.read_schema(io.BytesIO(to_parquet(more))).names == [*others.schema.names, "source"]


def test_a_table_is_read_while_a_loop_runs(others, tmp_path):
    (tmp_path / "100% ü#").mkdir()
    (tmp_path / "100% ü#" / "a.parquet").write_bytes(written(others))

    async def in_a_notebook() -> int:
        return table_in(tmp_path / "100% ü#" / "a.parquet").num_rows

    assert asyncio.run(in_a_notebook()) == ROWS


def test_damage_anywhere_is_a_value_error_or_goes_unseen(others):
    whole, refused = written(others.slice(0, 300), compression="zstd"), 0
    for at in range(0, len(whole), 11):
        try:
            table_of(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        except ValueError:
            refused += 1
    assert refused > 30
    for part in (b"", b"junk" * 9, whole[:-20], whole[: len(whole) // 2]):
        with pytest.raises(ValueError, match="arquet|EOF"):
            table_of(part)


@pytest.mark.parametrize("module", ["lavida.cli.detect", "lavida.export.result", "lavida.scan.run"])
def test_detections_and_scans_go_without_pyarrow(module):
    script = f"import sys; sys.modules['pyarrow'] = None; import {module}"
    subprocess.run([sys.executable, "-c", script], check=True)
