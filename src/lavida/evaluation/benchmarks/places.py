"""Where the files of a benchmark lie: data sets are unpacked in many ways, under many names."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from lavida.errors import InputError, reason

Entry = TypeVar("Entry")

ANNOTATIONS = "annotations"
DEEPEST = 4  # folders below a data set's own in which videos are looked for
FRAME_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"})


def homes(root: Path, names: Collection[str]) -> list[Path]:
    """The folders that may hold a data set's files: videos, annotation, or both.

    They are `root`; folders in it, or in its folder `annotations`, that bear one of the `names` of the data set (and so
    again within these); and such folders in an `annotations` that lies beside `root`. Names are given in small letters
    and digits only: `ucfcrime` stands for `UCF_Crime`, too. Raises InputError if `root` is no folder or shut.
    """
    if not os.path.isdir(root):
        raise InputError(f"no such folder: {root}; give the data set's own folder or the one it lies in")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise InputError(f"cannot read {root}: {reason(error)}; check your access to it") from error
    inside, beside = root / ANNOTATIONS, root.resolve().parent / ANNOTATIONS
    return list(dict.fromkeys([root, *_named(root, names), inside, *_named(inside, names), *_named(beside, names)]))


def _named(folder: Path, names: Collection[str]) -> Iterator[Path]:
    for entry in _listed(folder):
        if re.sub(r"[^a-z0-9]", "", entry.name.casefold()) in names and _is_folder(entry):
            yield Path(entry.path)
            yield from _named(Path(entry.path), names)


def _listed(folder: Path) -> list[os.DirEntry]:
    """What lies in a folder, by name; nothing where there is none, or one may not look: a disk's `lost+found`."""
    try:
        with os.scandir(folder) as entries:  # knows folders without asking for each of many frames
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where one may not look
        return False


def first_file(folders: Iterable[Path], places: Sequence[str]) -> Path | None:
    """The first of `places` (relative paths) that is a file in any of the folders."""
    return next((folder / place for folder in folders for place in places if (folder / place).is_file()), None)


def first_folder(folders: Iterable[Path], places: Sequence[str]) -> Path | None:
    """The first of `places` (relative paths) that is a folder in any of the folders."""
    return next((folder / place for folder in folders for place in places if (folder / place).is_dir()), None)


def images(folder: Path, suffixes: Collection[str] = FRAME_SUFFIXES) -> list[Path]:
    """The images of a folder in order, `2.tif` before `10.tif`; hidden twins from archives are left out."""
    if not folder.is_dir():
        raise InputError(f"missing folder: {folder}; unpack the data set again")
    found = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    return sorted(found, key=lambda p: (len(p.stem), p.name))


def _files(folder: Path, suffixes: Collection[str], *, depth: int = DEEPEST) -> Iterator[Path]:
    """The files with one of the suffixes, in order, `depth` folders deep; hidden ones are left out."""
    for entry in _listed(folder):
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            if depth:
                yield from _files(Path(entry.path), suffixes, depth=depth - 1)
        elif Path(entry.name).suffix.lower() in suffixes:
            yield Path(entry.path)


def video_files(root: Path, names: Collection[str], suffixes: Collection[str]) -> dict[str, Path]:
    """The first file of each name with one of the suffixes.

    They are looked for in the folders of `root` that bear a name of the data set, and in `root` where those hold none.
    """
    found = [path for folder in _named(root, names) for path in _files(folder, suffixes)]
    return {path.name: path for path in reversed(found or list(_files(root, suffixes)))}


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of an annotation file that are not empty, by number from 1. Raises InputError if it is no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {path}; {reason(error)}; restore the file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"not a text file: {path}; restore the official file") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def read_entries(path: Path, parse: Callable[[str, list[str]], tuple[str, Entry]]) -> dict[str, Entry]:
    """Name -> entry of each line of an annotation file, as `parse` makes them of its fields, the first one apart.

    Raises:
        InputError: `parse` raises ValueError, or a line has a name for the second time.
    """
    entries: dict[str, Entry] = {}
    for number, line in numbered_lines(path):
        first, *fields = line.split()
        try:
            name, entry = parse(first, fields)
            if name in entries:
                raise ValueError(f"{name} for the second time")
        except ValueError as error:
            raise InputError(f"{error}: line {number} of {path}; restore the official file") from error
        entries[name] = entry
    return entries
