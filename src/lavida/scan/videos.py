"""Which videos a scan is about: a folder, a glob, a manifest or a file, here or on any file system of fsspec."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from lavida.errors import InputError, reason
from lavida.files import natural_order
from lavida.scan import media
from lavida.scan.addresses import absolute, address_of, file_system, is_remote, parent, relative
from lavida.scan.entries import (
    MANIFEST_SUFFIXES,
    Entry,
    entries,
    folders_of_copies,
    is_frame_folder,
    is_hidden,
    is_litter,
    is_result,
    local_entry,
    read_manifest,
    state_of_frames,
)
from lavida.scan.state import SPECIAL, State, listed_state, refuse_special

WILDCARDS = re.compile(r"[*?\[]")
RESULTS, HIDDEN, UNREADABLE = "made by lavida", "hidden", "unreadable"
NO_SUFFIX, OTHER_SUFFIXES = "without a suffix", "with other suffixes"
ORDINARY_SUFFIX = re.compile(r"\.(?=.*[a-z])[a-z0-9_-]{1,9}")
MOST_REASONS = 8  # in a line


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a scan."""

    name: str  # unique: its path relative to the root of the scan; its whole address if it lies elsewhere
    address: str  # an absolute local path or a URL
    state: State | None = field(default=None, compare=False)  # what a listing told of it; None if nothing did
    outdated: bool = field(default=False, compare=False)  # the data set has results of it, but of another content


@dataclass(frozen=True, slots=True)
class Listing:
    """The videos of a scan, each once."""

    # what the names are relative to: the folder that was given, the fixed part of a glob, the folder of a manifest or
    # file; of several sources the folder they share. Empty if they share none
    root: str
    videos: list[Video]  # in natural order of each source, manifests in their own order
    left_out: dict[str, int]  # how many files and folders were passed over, by reason: a suffix, or a few words


def list_videos(sources: Sequence[str]) -> Listing:
    """Find the videos.

    In a folder these are the files with the suffix of a video, whatever their depth, those whose suffix says nothing
    but whose first bytes are a video's, and folders of images (`is_frame_folder`); what else there is is counted. A
    glob gives files and folders; only a pattern that names a suffix gives files without the suffix of a video. A
    manifest is a text file with one address a line, or a CSV or Parquet file with a column `video`.

    Raises:
        InputError: a source does not exist, can be read only once or not at all, or there is no video.
    """
    if not sources or "" in sources:  # an unset variable of a script, not the current folder
        raise InputError("no source: give a folder with videos, a glob or a manifest")
    search = _Search()
    roots = [search.add(absolute(text, base=os.getcwd()), text) for text in sources]
    root = roots[0] if len(roots) == 1 else _shared(roots)
    left_out = search.left_out()
    if not search.found:
        passed_over = f"; {line}" if (line := left_out_in_words(left_out)) else ""
        hint = "give a folder with videos, a glob or a manifest"
        raise InputError(f"no videos in {', '.join(sources)}{passed_over}; {hint}")
    videos = [Video(relative(address, root=root), address, state) for address, state in search.found.items()]
    return Listing(root, videos, left_out)


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """One line on what was passed over, the most frequent first; empty if nothing was."""
    if not left_out:
        return ""
    most = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    plural = {reason: f"{reason}s" for reason, count in most if reason in SPECIAL and count > 1}
    shown = [f"{count} {plural.get(reason, reason)}" for reason, count in most[:MOST_REASONS]]
    if rest := sum(count for _, count in most[MOST_REASONS:]):
        shown.append(f"{rest} more")
    once = "; what can be read only once has to be saved to a file first" if SPECIAL.keys() & left_out.keys() else ""
    return f"left out: {', '.join(shown)}{once}"


class _Search:
    """Collects the videos of all sources, and why the other files are none."""

    def __init__(self) -> None:
        self.found: dict[str, State | None] = {}
        self._left: dict[str, str] = {}

    def left_out(self) -> dict[str, int]:
        """How many were passed over for each reason; not the frames of a folder that was taken."""
        left = {address: reason for address, reason in self._left.items() if address not in self.found}
        # what is left for its suffix alone; a pipe among the frames is none of them
        ordinary = (a for a, reason in left.items() if media.is_picture(a) and reason == _suffix_as_reason(a))
        frames = {address for address in ordinary if parent(address) in self.found}
        return dict(sorted(Counter(reason for address, reason in left.items() if address not in frames).items()))

    def add(self, address: str, text: str) -> str:
        """Find the videos of one source, given as `text`; its root."""
        system, path = file_system(address)
        try:
            if system.isfile(path):
                is_manifest = PurePath(path).suffix.lower() in MANIFEST_SUFFIXES
                for video in read_manifest(address) if is_manifest else [address]:
                    self._take(video)
                return parent(address)
            if system.isdir(path):
                return self._add_folder(address)
            if not is_remote(address):
                refuse_special(address)
            if WILDCARDS.search(address):
                self._add_matches(address)
                return parent(WILDCARDS.split(address, maxsplit=1)[0] + "x")
        except InputError:
            raise
        except Exception as error:  # each file system raises its own
            line = f"cannot read {address}: {reason(error)}; check the address and your access to it"
            raise InputError(line) from error
        raise InputError(f"no such file or folder: {text}; give a folder with videos, a glob or a manifest")

    def _add_folder(self, folder: str) -> str:
        inside, known = entries(folder), len(self.found)
        self._walk(folder, inside)
        files = [e for e in inside if not (e.is_folder or e.special or is_hidden(e.name))]
        if len(self.found) == known and any(media.is_picture(file.address) for file in files):
            self._take(folder, state_of_frames(files))  # whoever names it means its images, whatever lies beside them
        return parent(folder) if folder in self.found else folder

    def _take(self, address: str, state: State | None = None) -> None:
        self.found.setdefault(address, state)

    def _walk(self, folder: str, inside: Sequence[Entry] | None = None, above: frozenset[str] = frozenset()) -> None:
        """The videos below a folder; links to folders are followed, but not in circles."""
        here = folder if is_remote(folder) else os.path.realpath(folder)
        if here in above:
            return
        try:
            inside = entries(folder) if inside is None else inside
        except OSError:
            self._take(folder)  # it cannot be listed, which is then told like any other failure
            return
        if is_result(folder, inside):
            self._left[folder] = RESULTS
            return
        visible = self._visible(inside)
        folders, files = [e for e in visible if e.is_folder], [e for e in visible if not e.is_folder]
        videos = self._videos(files)
        if is_frame_folder(files, videos, folders):
            self._take(folder, state_of_frames(files))
            return
        for video in sorted(videos, key=_natural):
            self._take(video.address, video.state)
        for inner in sorted(folders, key=_natural):
            self._walk(inner.address, above=above | {here})

    def _visible(self, inside: Sequence[Entry]) -> list[Entry]:
        visible, copies = [], folders_of_copies(inside)
        for entry in inside:
            if is_hidden(entry.name):
                self._left[entry.address] = HIDDEN
            elif entry.is_folder and entry.address in copies:
                self._left[entry.address] = RESULTS
            elif entry.special:
                self._left[entry.address] = entry.special
            else:
                visible.append(entry)
        return visible

    def _videos(self, files: Sequence[Entry]) -> list[Entry]:
        """Those that are videos; the others are noted."""
        by_name = {file: media.is_video_by_name(file.address) for file in files}
        unclear = [file for file, is_video in by_name.items() if is_video is None]
        seen = dict(media.look_into([file.address for file in unclear if file.state is None or file.state.bytes != 0]))
        videos = []
        for file, is_video in by_name.items():
            if is_video or seen.get(file.address):
                videos.append(file)
            elif file.address in seen and seen[file.address] is None:
                self._left[file.address] = UNREADABLE
            else:
                self._left[file.address] = _suffix_as_reason(file.address)
        return videos

    def _add_matches(self, pattern: str) -> None:
        """What a glob stands for."""
        ending = PurePath(pattern).suffix
        any_file = bool(ending) and not WILDCARDS.search(ending)
        found = sorted(_matches(pattern), key=_natural)
        files = [entry for entry in self._visible(found) if not entry.is_folder]
        videos, copies = set(files if any_file else self._videos(files)), folders_of_copies(found)
        for entry in found:
            if entry.is_folder and entry.address not in copies:
                self._walk(entry.address.rstrip("/"))
            elif entry in videos:
                self._take(entry.address, entry.state)


def _matches(pattern: str) -> list[Entry]:
    if is_remote(pattern):
        system, path = file_system(pattern)
        listed = system.glob(path, detail=True).items()
        found = [
            Entry(address_of(name, like=pattern), info["type"] == "directory", state=listed_state(info))
            for name, info in listed
        ]
    else:
        found = [local_entry(path) for path in glob.glob(pattern, recursive=True)]
    return [entry for entry in found if not is_litter(entry.name)]


def _suffix_as_reason(address: str) -> str:
    kind = media.suffix(address)
    if not kind:
        return NO_SUFFIX
    return kind if ORDINARY_SUFFIX.fullmatch(kind) else OTHER_SUFFIXES


def _shared(roots: Iterable[str]) -> str:
    """The deepest folder above all of them; empty if there is none."""
    parts = [root.split("/") for root in roots]
    common = os.path.commonprefix(parts)  # noqa: RUF071 - of lists of parts
    scheme = "://" in "/".join(common) or not is_remote("/".join(parts[0]))
    return ("/".join(common) or "/") if common and scheme else ""


def _natural(entry: Entry) -> tuple[list[str | int], str]:
    return natural_order(entry.address)
