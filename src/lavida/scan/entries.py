"""What lies in a folder, here or on any file system of fsspec, what of it is nobody's footage; and lists in a file."""

from __future__ import annotations

import codecs
import csv
import json
import os
import posixpath
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from pathlib import PurePath
from typing import IO, Any

from lavida.errors import InputError, needed, reason
from lavida.files import COPIES, RESULT_FILES
from lavida.scan.addresses import absolute, address_of, file_system, is_remote, parent
from lavida.scan.media import COMPANION_SUFFIXES, is_picture, suffix
from lavida.scan.state import State, folder_state, listed_state, special_kind

LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini", "@eadir"})  # of file managers and network disks
HIDDEN_FOLDERS = frozenset({"$recycle.bin", "#recycle", "system volume information", "lost+found"})
DATA_SET_FILES = frozenset({"run.json", "frames"})  # and, if the former says so, a data set of `lavida scan`
TEXT_SUFFIXES = frozenset({".txt", ".lst", ".list"})
MANIFEST_SUFFIXES = TEXT_SUFFIXES | {".csv", ".parquet", ".pq"}
COLUMN = "video"  # of a manifest


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder."""

    address: str
    is_folder: bool = False  # or a link to one
    special: str | None = None  # "pipe", "socket" or "device" of what can be read only once
    state: State | None = None  # of a file at a remote address, whose listing tells it

    @property
    def name(self) -> str:
        return posixpath.basename(self.address)


def entries(folder: str) -> list[Entry]:
    """All that lies in a folder but litter. Raises OSError where it cannot be listed."""
    if is_remote(folder):
        found = _remote_entries(folder)
    else:
        with os.scandir(folder) as inside:
            found = [_local_entry(entry) for entry in inside]
    return [entry for entry in found if not is_litter(entry.name)]


def local_entry(path: str) -> Entry:
    """The entry of a path, whether or not there is something."""
    if os.path.isdir(path):
        return Entry(path, is_folder=True)
    return Entry(path, special=None if os.path.isfile(path) else special_kind(path))


def is_litter(name: str) -> bool:
    """Whether an operating system has left it there; `._` is how macOS begins its notes on a file."""
    return name.startswith("._") or name.lower() in LITTER


def is_hidden(name: str) -> bool:
    """Whether its owner does not want it seen."""
    return name.startswith(".") or name.lower() in HIDDEN_FOLDERS


def is_result(folder: str, inside: Sequence[Entry]) -> bool:
    """Whether a folder with these entries is a result of `lavida detect` or a data set of `lavida scan`."""
    names = {entry.name for entry in inside}
    return names >= RESULT_FILES or (names >= DATA_SET_FILES and _is_run_of_a_scan(f"{folder.rstrip('/')}/run.json"))


def folders_of_copies(inside: Iterable[Entry]) -> set[str]:
    """The addresses that folders with copies of `lavida serve` or `lavida watch` have, by their databases' entries."""
    return {posixpath.join(parent(each.address), name) for each in inside for name in COPIES.get(each.name, ())}


def is_frame_folder(files: Sequence[Entry], videos: Sequence[Entry], folders: Sequence[Entry]) -> bool:
    """Whether a folder holds the frames of one video: images, and no other media.

    Labels, lists and notes may lie beside them: any number that are named as an image is, and of others fewer than
    there are images. So a folder of documents with some pictures is none. The only folders in it are results that were
    sent there. All visible files are in `files`, the videos too.
    """
    pictures = [file for file in files if is_picture(file.address)]
    if not pictures or videos:
        return False
    stems = {posixpath.splitext(picture.name)[0] for picture in pictures}
    others = [file for file in files if not is_picture(file.address)]
    if any(suffix(other.address) not in COMPANION_SUFFIXES | {""} for other in others):
        return False
    loose = [other for other in others if posixpath.splitext(other.name)[0] not in stems]
    return len(loose) < len(pictures) and all(_holds_result(folder.address) for folder in folders)


def state_of_frames(files: Sequence[Entry]) -> State | None:
    """The state of a folder of images, if its listing has told it."""
    pictures = [(file.name, file.state) for file in files if is_picture(file.address)]
    if any(state is None for _, state in pictures):
        return None
    return folder_state((name, state) for name, state in pictures if state is not None)


def _holds_result(folder: str) -> bool:
    try:
        return is_result(folder, entries(folder))
    except OSError:
        return False


def _is_run_of_a_scan(address: str) -> bool:
    system, path = file_system(address)
    try:
        return json.loads(system.cat_file(path))["command"] == "scan"
    except Exception:  # not there, not JSON, not an object
        return False


def _local_entry(entry: os.DirEntry) -> Entry:
    try:
        if entry.is_dir():
            return Entry(entry.path, is_folder=True)
        return Entry(entry.path, special=None if entry.is_file() else special_kind(entry.path))
    except OSError:  # a link to itself, or to where one may not look: as a file it fails alone, with its reason
        return Entry(entry.path)


def _remote_entries(folder: str) -> list[Entry]:
    system, path = file_system(folder)
    try:
        listed = {info["name"].rstrip("/"): info for info in system.ls(path, detail=True)}
    except Exception as error:  # each file system raises its own
        raise OSError(reason(error)) from error
    listed.pop(path.rstrip("/"), None)  # some object stores list the folder in itself
    return [
        Entry(address_of(name, like=folder), info["type"] == "directory", state=listed_state(info))
        for name, info in listed.items()
    ]


def read_manifest(address: str) -> Iterator[str]:
    """The addresses in a manifest, in order: text with one a line, or CSV or Parquet with a column `video`.

    Relative ones start at the manifest's folder; a local one that is not there, but in the current folder, starts
    there. In a text file blank lines and lines that begin with `#` mean nothing.

    Raises:
        InputError: the file cannot be read, or has no column `video`.
    """
    folder = parent(address)
    system, path = file_system(address)
    try:
        with system.open(path, "rb") as file:
            for line in _lines(file, address):
                yield _resolve(line, folder)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read the manifest {address}: {reason(error)}") from error


def _lines(file: IO[bytes], address: str) -> Iterator[str]:
    suffix = PurePath(address).suffix.lower()
    if suffix in TEXT_SUFFIXES:
        lines = (line.strip() for line in _text(file))
        return (line for line in lines if line and not line.startswith("#"))
    if suffix == ".csv":
        return _csv_column(file, address)
    return _parquet_column(file, address)


def _text(file: IO[bytes]) -> Iterator[str]:
    first = file.readline()
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what `>` of PowerShell writes
        yield from StringIO((first + file.read()).decode("utf-16"))
        return
    for line in chain([first.removeprefix(codecs.BOM_UTF8)], file):  # which editors on Windows begin with
        if b"\0" in line:
            raise ValueError("it is no text in UTF-8")
        yield os.fsdecode(line)  # a file name may hold bytes that are no UTF-8


def _csv_column(file: IO[bytes], address: str) -> Iterator[str]:
    rows = csv.DictReader(_text(file))
    _check_column(rows.fieldnames or [], address)
    return (value.strip() for row in rows if (value := row[COLUMN]) and value.strip())


def _parquet_column(file: IO[bytes], address: str) -> Iterator[str]:
    """By pyarrow, unlike results: a list may be long, of anybody's making, and damaged."""
    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    try:
        table = pq.ParquetFile(file)
        _check_column(table.schema_arrow.names, address)
        if not pa.types.is_string(kind := _plain(pa, table.schema_arrow.field(COLUMN).type)):
            raise InputError(f"the column {COLUMN} holds {kind}, not text: {address}; give paths or URLs")
        for batch in table.iter_batches(columns=[COLUMN]):
            yield from (value for value in batch.column(0).to_pylist() if value)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _plain(pa: Any, kind: Any) -> Any:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _check_column(names: Collection[str], address: str) -> None:
    if COLUMN not in names:
        raise InputError(f"no column {COLUMN} in {address}, only {', '.join(names) or 'none'}; name one so")


def _resolve(line: str, folder: str) -> str:
    found = absolute(line, base=folder)
    if is_remote(found) or os.path.exists(found):
        return found
    here = absolute(line, base=os.getcwd())
    return here if os.path.exists(here) else found
