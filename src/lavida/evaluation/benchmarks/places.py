"""Where the files of a benchmark lie: data sets are unpacked in many ways, under many names."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from lavida.errors import InputError

ANNOTATIONS = "annotations"
DEEPEST = 4  # folders below a data set's own in which videos are looked for
FRAME_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"})


def homes(root: Path, names: Collection[str]) -> list[Path]:
    """The folders that may hold a data set's files: videos, annotation, or both.

    They are `root`; folders in it, or in its folder `annotations`, that bear a name of the data set (and so again
    within these); and such folders in an `annotations` that lies beside `root`.

    Args:
        root: as the user gave it.
        names: of the data set, in small letters and digits only: `ucfcrime` stands for `UCF_Crime`, too.

    Raises:
        InputError: `root` is no folder.
    """
    if not root.is_dir():
        raise InputError(f"no such folder: {root}; give the data set's own folder or the one it lies in")
    inside, beside = root / ANNOTATIONS, root.resolve().parent / ANNOTATIONS
    own = [root, *_named(root, names)]
    return list(dict.fromkeys([*own, inside, *_named(inside, names), *_named(beside, names)]))


def _named(folder: Path, names: Collection[str]) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for child in sorted(folder.iterdir()):
        if re.sub(r"[^a-z0-9]", "", child.name.casefold()) in names and child.is_dir():
            yield child
            yield from _named(child, names)


def first(folders: Iterable[Path], places: Iterable[str], *, is_folder: bool) -> Path | None:
    """The first of `places` (relative paths, `""` is the folder itself) that exists in any of the folders."""
    places = list(places)
    for folder in folders:
        for place in places:
            path = folder / place if place else folder
            if path.is_dir() if is_folder else path.is_file():
                return path
    return None


def images(folder: Path, suffixes: Collection[str] = FRAME_SUFFIXES) -> list[Path]:
    """The images of a folder in order, `2.tif` before `10.tif`; hidden twins from archives are left out.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"missing folder: {folder}; unpack the data set again")
    found = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    return sorted(found, key=lambda p: (len(p.stem), p.name))


def files(folder: Path, suffixes: Collection[str], *, depth: int = DEEPEST) -> Iterator[Path]:
    """The files with one of the suffixes, in order, `depth` folders deep; hidden ones are left out."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:  # knows folders without asking for each of many frames
        shown = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    for entry in shown:
        if entry.is_dir():
            if depth:
                yield from files(Path(entry.path), suffixes, depth=depth - 1)
        elif Path(entry.name).suffix.lower() in suffixes:
            yield Path(entry.path)


def searched(root: Path, names: Collection[str], suffixes: Collection[str]) -> Iterator[Path]:
    """The files with one of the suffixes in the folders of `root` that bear a name of the data set, else in `root`."""
    found = [path for folder in _named(root, names) for path in files(folder, suffixes)]
    yield from found or files(root, suffixes)


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of an annotation file that are not empty, with their numbers from 1.

    Raises:
        InputError: the file is missing or no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {path}; {error.strerror or error}; restore the file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"not a text file: {path}; restore the official file") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
