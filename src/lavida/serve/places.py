"""Where things lie below the server's folder, and which files it may read beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lavida.errors import InputError
from lavida.files import COPIES, RESULT_FILES, is_text, natural_order
from lavida.video.suffixes import VIDEO_SUFFIXES

UPLOADS, JOBS, PARTIAL = "uploads", "jobs", "partial"
MOST_LISTED, MOST_VISITED, DEEPEST = 1000, 50_000, 12
NAME_LENGTH = 120


def upload_place(data: Path, id: str, name: str) -> Path:
    """Where an uploaded video lies: nothing of its name but a plain suffix, which some formats are known by."""
    suffix = Path(name).suffix.lower()
    return data / UPLOADS / f"{id}{suffix if suffix in VIDEO_SUFFIXES else '.video'}"


def job_folder(data: Path, id: str) -> Path:
    """All that belongs to a job but its video."""
    return data / JOBS / id


def result_folder(data: Path, id: str) -> Path:
    """The result folder of a job, as `lavida detect` writes it."""
    return job_folder(data, id) / "result"


def seen(path: Path) -> tuple[int, int] | None:
    """By what a file is known again: its bytes, and when it was changed, in nanoseconds; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def shown_name(name: str) -> str:
    """What a client calls a file, as one short line without a path."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(letter if letter.isprintable() else " " for letter in last)
    return " ".join(plain.split())[-NAME_LENGTH:] or "video"


def named(error: InputError, path: str, name: str) -> InputError:
    """An error about a video by the name that people know it by: where it lies is the server's matter."""
    return InputError(str(error).replace(path, name).replace(Path(path).name, name))


def within(folder: Path | None, given: str) -> Path:
    """The video at a path below the allowed folder.

    Raises:
        InputError: there is no such folder or file, it lies elsewhere, be it by a link, or its path is no text.
    """
    if folder is None:
        raise InputError("no folder of videos is open: start the server with --folder, or upload the video")
    root = folder.resolve()
    try:
        path = (root / given).resolve()
        found = path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a zero
        found = False
    if not found:
        raise InputError(f"no such video in the folder: {shown_name(given)}; choose one of the list")
    if not is_text(str(path)):  # neither the database nor JSON takes it
        raise InputError(f"its path is no UTF-8: {shown_name(given)}; rename the file or its folder")
    return path


def listed(folder: Path) -> list[tuple[str, int]]:
    """Videos below a folder by their names, in natural order: relative path, bytes.

    Links are not followed; left out are results of lavida, and the copies that servers and watches keep, as well as
    what is not called in UTF-8, which JSON cannot say.
    """
    found = sorted(_videos(folder.resolve()), key=lambda entry: natural_order(entry[0]))
    return found[:MOST_LISTED]


def _videos(root: Path) -> Iterator[tuple[str, int]]:
    visited = 0
    for place, folders, files in os.walk(root):
        inside = Path(place).relative_to(root)
        if RESULT_FILES.issubset(files):  # beside its overlay there is nothing
            folders.clear()
            continue
        below = [] if len(inside.parts) >= DEEPEST else folders
        copies = {name for database, names in COPIES.items() if database in files for name in names}
        folders[:] = sorted(name for name in below if not name.startswith(".") and is_text(name) and name not in copies)
        for name in sorted(files, key=natural_order):
            visited += 1
            if visited > MOST_VISITED:
                return
            path = Path(place, name)
            is_video = path.suffix.lower() in VIDEO_SUFFIXES and is_text(name)
            if name.startswith(".") or not is_video or path.is_symlink():
                continue
            try:
                yield (inside / name).as_posix(), path.stat().st_size
            except OSError:  # gone meanwhile
                continue


def used(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total
