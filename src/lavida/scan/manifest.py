"""A list of videos in a file: text with one address a line, or CSV or Parquet with a column `video`."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from lavida.errors import InputError
from lavida.scan.addresses import absolute, file_system, is_remote, parent, why

TEXT_SUFFIXES = frozenset({".txt", ".lst", ".list"})
MANIFEST_SUFFIXES = TEXT_SUFFIXES | {".csv", ".parquet", ".pq"}
COLUMN = "video"


def read_manifest(address: str) -> Iterator[str]:
    """The addresses in a manifest, in order.

    Relative ones start at the manifest's folder; a local one that is not there, but in the current folder, starts
    there. In a text file blank lines and lines that begin with `#` mean nothing.

    Raises:
        InputError: the file cannot be read, or has no column `video`.
    """
    folder = parent(address)
    system, path = file_system(address)
    try:
        with system.open(path, "rb") as file:
            for line in _entries(file, address):
                yield _resolve(line, folder)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"cannot read the manifest {address}: {why(error)}") from error


def _entries(file: IO[bytes], address: str) -> Iterator[str]:
    suffix = PurePath(address).suffix.lower()
    if suffix in TEXT_SUFFIXES:
        lines = (line.strip() for line in _text(file))
        return (line for line in lines if line and not line.startswith("#"))
    if suffix == ".csv":
        return _csv_column(file, address)
    return _parquet_column(file, address)


def _text(file: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(file):
        # a file name may hold bytes that are no UTF-8; editors on Windows begin with a byte-order mark
        yield os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line)


def _csv_column(file: IO[bytes], address: str) -> Iterator[str]:
    rows = csv.DictReader(_text(file))
    _check_column(rows.fieldnames or [], address)
    return (value.strip() for row in rows if (value := row[COLUMN]) and value.strip())


def _parquet_column(file: IO[bytes], address: str) -> Iterator[str]:
    table = pq.ParquetFile(file)
    _check_column(table.schema_arrow.names, address)
    if not pa.types.is_string(kind := _plain(table.schema_arrow.field(COLUMN).type)):
        raise InputError(f"the column {COLUMN} holds {kind}, not text: {address}; give paths or URLs")
    for batch in table.iter_batches(columns=[COLUMN]):
        yield from (value for value in batch.column(0).to_pylist() if value)


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _check_column(names: list[str], address: str) -> None:
    if COLUMN not in names:
        raise InputError(f"no column {COLUMN} in {address}, only {', '.join(names) or 'none'}; name one so")


def _resolve(line: str, folder: str) -> str:
    found = absolute(line, base=folder)
    if is_remote(found) or os.path.exists(found):
        return found
    here = absolute(line, base=os.getcwd())
    return here if os.path.exists(here) else found
