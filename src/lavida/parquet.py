"""Parquet files by arro3, which takes a fifth of pyarrow's disk; all that it says of damage becomes a ValueError."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from arro3.core import Table
from arro3.io import read_parquet_async, write_parquet
from arro3.io.store import LocalStore

from lavida.errors import one_line


def to_parquet(table: Table) -> bytes:
    """The file of a table, with the metadata of its schema; the same table gives the same bytes."""
    # also as metadata of the file, where readers look that know nothing of Arrow's schema
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    buffer = io.BytesIO()
    write_parquet(table, buffer, compression="zstd(1)", key_value_metadata=metadata or None)
    return buffer.getvalue()


def table_in(path: Path) -> Table:
    """The whole table of a local file, which must have a plain name. Raises ValueError where it is damaged."""
    import asyncio  # 20 ms that only readers pay

    async def reading() -> Table:
        return await read_parquet_async(path.name, store=LocalStore(str(path.parent)))

    # `read_parquet` panics at what is damaged, which writes to stderr, and within a stream ends the process; this one
    # raises. In a thread, since the caller's may have a loop that runs, as in a notebook.
    with _damage_is_a_value_error(), ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, reading()).result()


def table_of(content: bytes) -> Table:
    """The same for the content of a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        path.write_bytes(content)
        return table_in(path)


@contextmanager
def _damage_is_a_value_error() -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # a panic in Rust is no Exception
        if type(error) is not Exception and not type(error).__module__.startswith("pyo3"):
            raise
        raise ValueError(one_line(error)) from error
