"""UCSD Ped1: a campus walkway that people come along; 36 test videos, only some of them with pixel masks."""

from __future__ import annotations

import re
from pathlib import Path

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Expected
from lavida.evaluation.benchmarks.intervals import FROM_ONE_INCLUSIVE, Interval
from lavida.evaluation.benchmarks.official import Listed
from lavida.evaluation.benchmarks.places import numbered_lines
from lavida.evaluation.benchmarks.ucsd import UcsdPedestrians

OFFICIAL_FRAMES = {f"Test{number:03d}": 200 for number in range(1, 37)}
ANNOTATION = "UCSDped1.m"

_ENTRY = re.compile(r"\.gt_frame\s*=\s*\[([^\]]*)\]")
_RANGE = re.compile(r"(\d+)\s*(?::\s*(\d+))?")


class UcsdPed1(UcsdPedestrians):
    """UCSD Ped1; abnormal frames are those of the official `Test/UCSDped1.m`. See `UcsdPedestrians`.

    The MATLAB file counts frames from 1 and its ranges include their ends. Pixel masks came later and for a part of
    the videos (10 in release v1p2): pixel labels are theirs alone, and `notes` says how many they are.
    """

    name = "ucsd-ped1"
    title = "UCSD Ped1"
    folder = "UCSDped1"
    layout = "UCSDped1/Test/Test001/*.tif, UCSDped1/Test/UCSDped1.m and, for a part, Test003_gt/*.bmp"
    expected = Expected(videos=36, frames=7200)
    interval_rule = FROM_ONE_INCLUSIVE
    official_frames = OFFICIAL_FRAMES

    def _annotated(self) -> bool:
        return self._annotation.is_file()

    @property
    def _annotation(self) -> Path:
        return self._test / ANNOTATION

    def _list(self, root: Path) -> list[Listed]:
        self._stretches: dict[str, tuple[Interval, ...]] = {}
        listed = super()._list(root)
        if self._annotated():
            self._stretches = read_annotation(self._annotation)
        return listed

    def _listed(self, name: str) -> Listed:
        lacks = () if self._annotated() else (self._annotation,)
        masks = len(self._mask_files(name)) if self._has_masks(name) else None
        return Listed(
            name=name,
            source=self._source(name),
            frames=masks,
            official_frames=OFFICIAL_FRAMES[name],
            lacks=lacks,
        )

    def _intervals(self, name: str) -> tuple[Interval, ...]:
        return self._stretches[name]


def read_annotation(path: Path) -> dict[str, tuple[Interval, ...]]:
    """The abnormal stretches of each test video, from lines such as `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];`.

    Raises:
        InputError: the file is not in this format, or has not one entry for each of the 36 videos.
    """
    lines = [line.partition("%")[0] for _, line in numbered_lines(path)]
    entries = [entry for line in lines for entry in _ENTRY.findall(line)]
    if len(entries) != len(OFFICIAL_FRAMES):
        raise InputError(f"{len(entries)} videos in {path}, not {len(OFFICIAL_FRAMES)}; restore the official file")
    return {
        name: tuple(_interval(part.strip(), path) for part in entry.split(",") if part.strip())
        for name, entry in zip(OFFICIAL_FRAMES, entries, strict=True)
    }


def _interval(text: str, path: Path) -> Interval:
    match = _RANGE.fullmatch(text)
    start, end = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
    if not 1 <= start <= end:
        raise InputError(f"no range of frames: [{text}] in {path}; restore the official file")
    return Interval(start, end)
