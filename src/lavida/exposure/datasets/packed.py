"""Reads the sets of a pack, the one file that `lavida data pack` writes (`exposure/packing.py`).

Nothing is kept open: every read opens the file anew and goes straight to its bytes, so that forked workers and threads
may read at once.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.sample import SegmentationSample

FORMAT = "lavida pack 1"
INDEX = "pack.json"
PICTURE, LABELS = "picture", "labels"  # of a sample
NO_LABEL = "ignores"  # whether a sample says which pixels have no label; True where it is not given
LOCAL_HEADER = 30  # bytes before the name of an entry, of which four say how long name and extra field are


def entry_name(number: int, index: int, what: str) -> str:
    """Where a pack has the `PICTURE` or the `LABELS` of sample `index` of its set `number`."""
    return f"{number:02d}/{index:05d}.{what}.webp"


def pack_of(path: Path) -> Path | None:
    """The pack that a folder would lie in: the file among its parents, or itself."""
    return next((each for each in (path, *path.parents) if each.is_file()), None)


@dataclass(frozen=True)
class Pack:
    """An opened pack.

    Attributes:
        path: of the file.
        content: the list in it.
        places: name of an entry -> its offset, length and checksum.
    """

    path: Path
    content: Mapping[str, Any]
    places: Mapping[str, tuple[int, int, int]]

    @classmethod
    def open(cls, path: Path) -> "Pack":
        """Read the list of a pack. Raises InputError where the file is damaged or no pack."""
        return _opened(path.resolve(), path.stat().st_mtime_ns)

    def read(self, name: str) -> bytes:
        """The bytes of an entry. Raises InputError where they are not those that were written."""
        try:
            offset, length, checksum = self.places[name]
            with self.path.open("rb") as file:
                file.seek(offset)
                header = file.read(LOCAL_HEADER)
                file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
                content = file.read(length)
        except (KeyError, OSError):
            content, checksum = b"", -1
        if zlib.crc32(content) != checksum:
            raise _damaged(self.path, name)
        return content

    def find(self, name: str, folder: str, split: str) -> tuple[int, Mapping[str, Any]]:
        """Number and list of a set. Raises InputError where the pack was made without it."""
        sets = self.content["sets"]
        for number, each in enumerate(sets):
            if (each["name"], each["folder"], each["split"]) == (name, folder, split):
                return number, each
        has = ", ".join(dict.fromkeys(f"{each['name']} ({each['split']})" for each in sets))
        wanted = f"{name} (folder {folder!r}, {split})"
        raise InputError(f"no {wanted} in {self.path}, a pack of {has}; pack this recipe with `lavida data pack`")


@lru_cache(maxsize=8)
def _opened(path: Path, _changed: int) -> Pack:
    try:
        with zipfile.ZipFile(path) as file:
            content = json.loads(file.read(INDEX))
            places = {each.filename: (each.header_offset, each.file_size, each.CRC) for each in file.infolist()}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        raise _damaged(path, INDEX) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"not a pack of this version: {path}; make it again with `lavida data pack`")
    return Pack(path, content, places)


def _damaged(path: Path, name: str) -> InputError:
    return InputError(f"not a pack, or a damaged one: {path} ({name}); make it again with `lavida data pack`")


class PackedDataset:
    """One data set of a pack; its samples are those of the data set itself, but for the loss of compression.

    Args:
        pack: the file.
        name: of the reader, as the recipe says it.
        folder: of the data set below the root, likewise.
        split: `train` or `heldout`.
        clip_length: frames a sample, T.

    Raises:
        InputError: the file is damaged, or was made without this set, or without its clips.
    """

    layout: ClassVar[str] = "a file of `lavida data pack`"
    expected: ClassVar[Mapping[str, Mapping[str, int]]] = {}

    def __init__(self, pack: Path, name: str, folder: str, split: str, *, clip_length: int = 1) -> None:
        self._pack = Pack.open(pack)
        self._number, content = self._pack.find(name, folder, split)
        if clip_length > 1 and not content["clips"]:
            raise InputError(f"{name} was packed as single pictures: {pack}; pack a recipe that has its clips")
        self.name: str = content["dataset"]
        self.vocabulary: tuple[str, ...] = tuple(content["vocabulary"])
        self._samples: list[Mapping[str, Any]] = content["samples"]
        self._length = clip_length
        self._starts: list[int] = []
        first = 0
        for index, each in enumerate(self._samples):
            if not each.get("follows"):  # the last frame of its clip, or a single picture
                self._starts += range(first, index + 2 - clip_length)
                first = index + 1
        if not self._starts:
            raise InputError(f"{name} has no clip of {clip_length} frames: {pack}; give shorter clips")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> SegmentationSample:
        start = self._starts[index]
        frames = [self._frame(start + offset) for offset in range(self._length)]
        first = self._samples[start]
        nothing = np.zeros(frames[0][0].shape[:2], bool)
        names = dict.fromkeys(name for _, masks, _ in frames for name in masks)
        known = first.get(NO_LABEL, True)
        return SegmentationSample(
            frames=np.stack([picture for picture, _, _ in frames]),
            masks={name: np.stack([masks.get(name, nothing) for _, masks, _ in frames]) for name in names},
            ignore=np.stack([ignore for _, _, ignore in frames]) if known else None,
            dataset=self.name,
            key=first["key"],
            expressions={name: tuple(texts) for name, texts in first.get("expressions", {}).items()},
            left=frozenset(first.get("left", ())),
            partial=frozenset(first.get("partial", ())),
            counts=first.get("counts", {}) if self._length == 1 else {},
        )

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`."""
        return {"images": len(self._samples)}

    def files(self) -> Iterator[Path]:
        """The one file."""
        yield self._pack.path

    def _frame(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        """Picture [H, W, 3], masks and what is ignored [H, W] of one frame, alone or in a clip."""
        entry = self._samples[index]
        picture = self._decoded(index, PICTURE)
        colours = self._decoded(index, LABELS).astype(np.uint16)
        labels = colours[..., 0] + 256 * colours[..., 1]
        names, in_clips = entry["names"], entry.get("in_clips", ())
        shown = np.zeros((len(entry["values"]), len(names) + len(in_clips) + 1), dtype=bool)
        for value, planes in enumerate(entry["values"]):
            shown[value, planes] = True
        masks = {name: shown[labels, plane] for plane, name in enumerate(names)}
        if self._length > 1:
            masks |= {name: shown[labels, plane] for plane, name in enumerate(in_clips, start=len(names))}
        return picture, masks, shown[labels, -1]

    def _decoded(self, index: int, what: str) -> np.ndarray:
        content = self._pack.read(entry_name(self._number, index, what))
        with Image.open(io.BytesIO(content)) as image:
            return np.array(image.convert("RGB"))


def packed_vocabulary(pack: Path, name: str, folder: str, split: str) -> tuple[str, ...]:
    """The names of a split of a set, whether its pictures were packed or only those of its other split."""
    content = Pack.open(pack).content["sets"]
    for each in (each for each in content if (each["name"], each["folder"]) == (name, folder)):
        return tuple(each["vocabulary" if each["split"] == split else "other_vocabulary"])
    return ()


def check_pack(path: Path, *, max_side: int) -> None:
    """Raise InputError where a pack holds smaller pictures than the recipe has."""
    packed = Pack.open(path).content["max_side"]
    if packed < max_side:
        raise InputError(
            f"{path} was packed with data.max_side={packed}, the recipe has {max_side}; set data.max_side={packed}, "
            "or pack this recipe with `lavida data pack`"
        )
