"""Which videos a scan is about: a folder, a glob, a manifest or a file, here or on any file system of fsspec."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from lavida.errors import InputError
from lavida.scan.addresses import absolute, address_of, file_system, is_remote, parent, relative, why
from lavida.scan.manifest import MANIFEST_SUFFIXES, read_manifest
from lavida.video.image_folder import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .qt .avi .mkv .webm .mpg .mpeg .mpe .m2v .ts .mts .m2ts .wmv .asf .flv .f4v .3gp .3g2 .ogv .ogm "
    ".vob .mxf .mjpg .mjpeg .y4m .dv .divx .h264 .264 .h265 .265 .hevc .av1 .ivf".split()
)
WILDCARDS = re.compile(r"[*?\[]")
LITTER = frozenset({"thumbs.db", "desktop.ini"})
# what marks a folder of `lavida detect`: its overlay.mp4 is not footage
RESULT_FILES = frozenset({"run.json", "frames.parquet"})
DATA_SET_FILES = frozenset({"run.json", "frames"})  # and a data set of `lavida scan`


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a scan.

    Attributes:
        name: its path relative to the root of the scan; its whole address if it lies elsewhere. Unique.
        address: an absolute local path or a URL.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The videos of a scan, each once.

    Attributes:
        root: what the names are relative to: the folder that was given, the fixed part of a glob, the folder of a
            manifest or file; of several sources the folder they share. Empty if they share none.
        videos: in natural order of each source, manifests in their own order.
    """

    root: str
    videos: list[Video]


def list_videos(sources: Sequence[str]) -> Listing:
    """Find the videos.

    In a folder these are the files with the suffix of a video, whatever their depth, and folders that hold nothing but
    images; hidden ones and results of lavida are passed over. A glob gives files and folders; only a pattern that
    names a suffix gives files without the suffix of a video. A manifest is a text file with one address a line, or a
    CSV or Parquet file with a column `video`.

    Raises:
        InputError: a source does not exist or cannot be read, or there is no video.
    """
    roots, found = zip(*(_open(absolute(text, base=os.getcwd()), text) for text in _given(sources)), strict=True)
    root = roots[0] if len(roots) == 1 else _shared(roots)
    # a dict: each address once, in order
    addresses = dict.fromkeys(address for addresses in found for address in addresses)
    if not addresses:
        raise InputError(f"no videos in {', '.join(sources)}; give a folder with videos, a glob or a manifest")
    return Listing(root, [Video(relative(address, root=root), address) for address in addresses])


def _given(sources: Sequence[str]) -> Sequence[str]:
    if not sources or "" in sources:  # an unset variable of a script, not the current folder
        raise InputError("no source: give a folder with videos, a glob or a manifest")
    return sources


def _open(address: str, text: str) -> tuple[str, Iterator[str]]:
    """The root of one source, and the addresses of its videos."""
    system, path = file_system(address)
    try:
        if system.isfile(path):
            is_manifest = PurePath(path).suffix.lower() in MANIFEST_SUFFIXES
            return parent(address), read_manifest(address) if is_manifest else iter([address])
        if system.isdir(path):
            return (parent(address) if _is_image_folder(address) else address), _walk(address)
    except Exception as error:
        raise _unreadable(address, error) from error
    if WILDCARDS.search(address):
        return _fixed_part(address), _matches(address)
    raise InputError(f"no such file or folder: {text}; give a folder with videos, a glob or a manifest")


def _unreadable(address: str, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"cannot read {address}: {why(error)}; check the address and your access to it")


def _shared(roots: Iterable[str]) -> str:
    """The deepest folder above all of them; empty if there is none."""
    parts = [root.split("/") for root in roots]
    common = os.path.commonprefix(parts)
    scheme = "://" in "/".join(common) or not is_remote("/".join(parts[0]))
    return ("/".join(common) or "/") if common and scheme else ""


def _fixed_part(pattern: str) -> str:
    return parent(pattern[: WILDCARDS.search(pattern).start()] + "x")


def _matches(pattern: str) -> Iterator[str]:
    """What a glob stands for."""
    suffix = PurePath(pattern).suffix
    any_file = bool(suffix) and not WILDCARDS.search(suffix)
    if is_remote(pattern):
        system, path = file_system(pattern)
        try:
            entries = {address_of(found, like=pattern): system.isdir(found) for found in system.glob(path)}
        except Exception as error:
            raise _unreadable(pattern, error) from error
    else:
        entries = {found: os.path.isdir(found) for found in glob.glob(pattern, recursive=True)}
    for address in sorted(entries, key=_natural):
        if entries[address]:
            yield from _walk(address.rstrip("/"))
        elif any_file or _has_suffix(address, VIDEO_SUFFIXES):
            yield address


def _walk(folder: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """The videos below a folder; links to folders are followed, but not in circles."""
    here = folder if is_remote(folder) else os.path.realpath(folder)
    if here in above:
        return
    try:
        folders, files = _entries(folder)
    except OSError:
        yield folder  # it cannot be listed, which is then told like any other failure
        return
    if RESULT_FILES <= {posixpath.basename(file) for file in files}:
        return
    if _only_images(folders, files):
        yield folder
        return
    yield from sorted((file for file in files if _has_suffix(file, VIDEO_SUFFIXES)), key=_natural)
    for inner in sorted(folders, key=_natural):
        yield from _walk(inner, above | {here})


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """The visible folders and files in a folder, as addresses."""
    if is_remote(folder):
        found = _remote_entries(folder)
    else:
        with os.scandir(folder) as entries:
            found = [(entry.path, entry.is_dir()) for entry in entries]
    visible = [(address, is_folder) for address, is_folder in found if not _is_hidden(posixpath.basename(address))]
    return [a for a, is_folder in visible if is_folder], [a for a, is_folder in visible if not is_folder]


def _remote_entries(folder: str) -> list[tuple[str, bool]]:
    system, path = file_system(folder)
    try:
        listed = {entry["name"].rstrip("/"): entry["type"] == "directory" for entry in system.ls(path, detail=True)}
    except Exception as error:  # each file system raises its own
        raise OSError(why(error)) from error
    listed.pop(path.rstrip("/"), None)  # some object stores list the folder in itself
    return [(address_of(name, like=folder), is_folder) for name, is_folder in listed.items()]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def _is_image_folder(folder: str) -> bool:
    return _only_images(*_entries(folder))


def _only_images(folders: Sequence[str], files: Sequence[str]) -> bool:
    images = bool(files) and all(_has_suffix(file, IMAGE_SUFFIXES) for file in files)
    return images and all(map(_is_data_set, folders))  # those of a scan that was sent into its own source


def _is_data_set(folder: str) -> bool:
    folders, files = _entries(folder)
    inside = {posixpath.basename(address) for address in (*folders, *files)}
    return DATA_SET_FILES <= inside


def _has_suffix(address: str, suffixes: frozenset[str]) -> bool:
    return posixpath.splitext(address)[1].lower() in suffixes


def _natural(address: str) -> tuple[list, str]:
    """`2.mp4` before `10.mp4`."""
    parts = re.split(r"(\d+)", address.casefold())  # text, number, text, ...
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], address
