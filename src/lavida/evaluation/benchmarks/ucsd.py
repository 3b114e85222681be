"""UCSD Ped1 and Ped2: a campus walkway, frames in `Test/`, masks beside them (Mahadevan et al., CVPR 2010)."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import (
    FROM_ONE_INCLUSIVE,
    Benchmark,
    Expected,
    Interval,
    Listed,
    Video,
    check_length,
)
from lavida.evaluation.benchmarks.places import first_folder, homes, images, numbered_lines

CATEGORIES = ("bicycle", "cart", "car", "skateboard", "wheelchair")

_FRAMES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
_MASKS = {".bmp"}
_ENTRY = re.compile(r"\.gt_frame\s*=\s*\[([^\]]*)\]")
_RANGE = re.compile(r"(\d+)\s*(?::\s*(\d+))?")


class UcsdPedestrians(Benchmark):
    """A campus walkway; everything but pedestrians is abnormal. Frames are `Test/Test001/*.tif`, masks `Test001_gt`.

    A subset of the official videos, or of a video's frames, is allowed; `notes` then says so.

    Args:
        root: the folder `UCSD_Anomaly_Dataset.v1p2`, the one of this half in it, or a folder that holds the former.

    Raises:
        InputError: no test videos there, or another data set.
    """

    categories = CATEGORIES
    folder: ClassVar[str]  # of this half
    official_frames: ClassVar[dict[str, int]]

    def _list(self, root: Path) -> list[Listed]:
        names = {self.folder.lower(), "ucsdanomalydataset", "ucsdanomalydatasetv1p2"}
        test = first_folder(homes(root, names), ["Test"])
        if test is None:
            raise self._not_here(root, "folder Test")
        self._test = test
        there = {p.name for p in test.glob("Test[0-9][0-9][0-9]") if p.is_dir()}
        if not there and not any(self._annotation(name).exists() for name in self.official_frames):
            raise InputError(f"no {self.title} videos: {test} has no folder Test001; unpack the data set there")
        for name in sorted(there):
            frames, official = len(images(test / name, _FRAMES)), self.official_frames.get(name, 0)
            if frames > official:
                raise InputError(
                    f"not {self.title}: {test / name} has {frames} frames where {self.title} has {official}; "
                    f"give the folder {self.folder}"
                )
            if not frames:
                raise InputError(f"no frames in {test / name}; unpack the data set again")
        return [
            Listed(
                name=name,
                source=test / name,
                frames=len(images(self._mask_folder(name), _MASKS)) if self._has_masks(name) else None,
                official_frames=official,
                lacks=() if self._annotation(name).exists() else (self._annotation(name),),
            )
            for name, official in self.official_frames.items()
        ]

    def _annotation(self, name: str) -> Path:
        """What says which frames of a video are abnormal."""
        raise NotImplementedError

    def _mask_folder(self, name: str) -> Path:
        return self._test / f"{name}_gt"

    def _has_masks(self, name: str) -> bool:
        return self._mask_folder(name).is_dir()

    def _label_files(self, name: str) -> Iterable[Path]:
        return self._annotation(name), self._mask_folder(name)

    def _masks(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        return self._read_masks(video.name)

    def _read_masks(self, name: str) -> Iterator[NDArray[np.bool_]]:
        """Raises InputError for a mask that cannot be read."""
        for path in images(self._mask_folder(name), _MASKS):
            try:
                with Image.open(path) as image:
                    mask = np.asarray(image.convert("L")) > 0
            except OSError as error:
                raise InputError(f"unreadable mask: {path}; unpack the data set again") from error
            yield mask


class UcsdPed1(UcsdPedestrians):
    """UCSD Ped1, people coming along; abnormal frames are those of `Test/UCSDped1.m`. See `UcsdPedestrians`.

    The MATLAB file counts frames from 1 and its ranges include their ends. Pixel masks came later and for a part of
    the videos (10 in release v1p2): pixel labels are theirs alone, and `notes` says how many they are.
    """

    name = "ucsd-ped1"
    title = "UCSD Ped1"
    folder = "UCSDped1"
    layout = "UCSDped1/Test/Test001/*.tif, UCSDped1/Test/UCSDped1.m and, for a part, Test003_gt/*.bmp"
    expected = Expected(videos=36, frames=7200)
    interval_rule = FROM_ONE_INCLUSIVE
    official_frames = {f"Test{number:03d}": 200 for number in range(1, 37)}

    def _list(self, root: Path) -> list[Listed]:
        listed = super()._list(root)
        path = self._annotation("")
        self._abnormal = read_annotation(path) if path.exists() else {}
        return listed

    def _annotation(self, name: str) -> Path:  # one file for all videos
        return self._test / "UCSDped1.m"

    def _intervals(self, name: str) -> tuple[Interval, ...]:
        return self._abnormal[name]


class UcsdPed2(UcsdPedestrians):
    """UCSD Ped2, seen from the side; a frame is abnormal where its mask has a pixel. See `UcsdPedestrians`."""

    name = "ucsd-ped2"
    title = "UCSD Ped2"
    folder = "UCSDped2"
    layout = "UCSDped2/Test/Test001/*.tif and Test001_gt/*.bmp"
    expected = Expected(videos=12, frames=2010, abnormal_frames=1648)
    official_frames = {
        "Test001": 180, "Test002": 180, "Test003": 150, "Test004": 180, "Test005": 150, "Test006": 180,
        "Test007": 180, "Test008": 180, "Test009": 120, "Test010": 150, "Test011": 180, "Test012": 180,
    }  # fmt: skip

    def _annotation(self, name: str) -> Path:
        return self._mask_folder(name)

    def labels(self, name: str, frames: int | None = None) -> NDArray[np.uint8]:
        """See `Benchmark.labels`."""
        labels = np.array([mask.any() for mask in self._read_masks(name)], dtype=np.uint8)
        check_length(name, frames, len(labels), where=self._mask_folder(name))
        return labels


def read_annotation(path: Path) -> dict[str, tuple[Interval, ...]]:
    """The abnormal stretches of Ped1's videos, from lines such as `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];`.

    Raises:
        InputError: the file is not in this format, or has not one entry for each of the 36 videos.
    """
    lines = [line.partition("%")[0] for _, line in numbered_lines(path)]
    entries = [entry for line in lines for entry in _ENTRY.findall(line)]
    videos = UcsdPed1.official_frames
    if len(entries) != len(videos):
        raise InputError(f"{len(entries)} videos in {path}, not {len(videos)}; restore the official file")
    return {
        name: tuple(_interval(part.strip(), path) for part in entry.split(",") if part.strip())
        for name, entry in zip(videos, entries, strict=True)
    }


def _interval(text: str, path: Path) -> Interval:
    match = _RANGE.fullmatch(text)
    start, end = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
    if not 1 <= start <= end:
        raise InputError(f"no range of frames: [{text}] in {path}; restore the official file")
    return Interval(start, end)
