"""What all benchmarks share: the official list of videos, those of them that are there, and their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Expected, Interval, IntervalRule, Video
from lavida.evaluation.benchmarks.places import images
from lavida.evaluation.regions import tracks_from_masks
from lavida.video.decode import open_source

RESTORE = "restore the video or its annotation"
_THREADS = 8  # headers wait for the disk, not for the processor


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One test video as the official annotation lists it, whether it is there or not."""

    name: str  # the official name
    source: Path  # the video file or folder of frames: where it is, or where it belongs
    frames: int | None = None  # how many frames are labelled; None where only the video tells
    official_frames: int | None = None  # how many frames the original has, where that is known
    abnormal: bool | None = None  # whether it has abnormal frames, where the list itself says so
    lacks: tuple[Path, ...] = ()  # files of its annotation that are not there

    @cached_property
    def found(self) -> bool:
        return self.source.exists()

    @property
    def annotated(self) -> bool:
        """Whether the annotation says anything of it."""
        return not self.lacks or self.abnormal is not None

    def length(self) -> int:
        """How many frames are labelled, else how many there are: image files, or what the video's header announces."""
        if self.frames is not None:
            return self.frames
        if self.source.is_dir():
            return len(images(self.source))
        source = open_source(self.source)
        announced = source.info.frames_hint
        return sum(1 for _ in source.read(stride=2**31)) if announced is None else announced


class OfficialBenchmark:
    """A benchmark read from its official files; see `contract.Benchmark`.

    Constructing one reads the lists of the annotation and nothing else, so that `check` can say what is missing.
    `lavida.evaluation.open_benchmark` also demands that there is something to evaluate.

    A subclass lists the videos and gives their labels, as frames or as intervals.

    Args:
        root: the data set's folder or one that holds it; see `places.homes`.

    Raises:
        InputError: nothing of the benchmark is there, or its lists are not in the official format.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    layout: ClassVar[str]
    categories: ClassVar[tuple[str, ...]]
    expected: ClassVar[Expected]
    interval_rule: ClassVar[IntervalRule | None] = None
    annotation_apart: ClassVar[bool] = False  # from the videos, in another download

    def __init__(self, root: Path | str) -> None:
        self.listed: list[Listed] = self._list(Path(root))

    def _list(self, root: Path) -> list[Listed]:
        """All videos that the annotation lists or the folder holds, in official order."""
        raise NotImplementedError

    def labels(self, name: str, frames: int | None = None) -> NDArray[np.uint8]:
        """Labels `[frames]` of the video of this name, which need not be there; 1 where abnormal.

        Args:
            name: the official name.
            frames: the length of the video; None is as far as the annotation reaches.

        Raises:
            InputError: the annotation has another number of frames, or cannot be read.
        """
        if self.interval_rule is None:
            raise NotImplementedError
        return self.interval_rule.labels(self._intervals(name), frames)

    def _intervals(self, name: str) -> tuple[Interval, ...]:
        raise NotImplementedError

    def _masks(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """One mask `[H, W]` for each frame; asked only where `_has_masks`."""
        raise NotImplementedError

    def _has_masks(self, name: str) -> bool:
        return False

    def remarks(self) -> list[str]:
        """What a reader of the counts should know of the annotation, one line each."""
        return []

    @property
    def official_videos(self) -> int:
        return self.expected.videos

    @cached_property
    def videos(self) -> list[Video]:
        found = [listed for listed in self.listed if listed.found]
        with ThreadPoolExecutor(_THREADS) as threads:
            lengths = threads.map(Listed.length, found)
            return [
                Video(name=listed.name, source=listed.source, frames=frames, categories=self.categories)
                for listed, frames in zip(found, lengths, strict=True)
            ]

    @cached_property
    def masked(self) -> frozenset[str]:
        """The names of the videos that are there and have pixel labels."""
        return frozenset(listed.name for listed in self.listed if listed.found and self._has_masks(listed.name))

    @property
    def has_pixel_labels(self) -> bool:
        return bool(self.masked)

    @property
    def notes(self) -> list[str]:
        notes = []
        if len(self.videos) != self.official_videos:
            notes.append(f"{len(self.videos)} of {self.official_videos} official videos")
        official = {listed.name: listed.official_frames for listed in self.listed}
        for video in self.videos:
            if official[video.name] not in (None, video.frames):
                notes.append(f"{video.name}: {video.frames} of {official[video.name]} official frames")
        if self.masked and len(self.masked) < len(self.videos):
            notes.append(f"pixel labels of {len(self.masked)} of {len(self.videos)} videos")
        return notes

    def require_usable(self) -> None:
        """Raises InputError unless there is a video, and each one that is there has its annotation."""
        if not any(listed.found for listed in self.listed):
            first = f", for example {self.listed[0].source}" if self.listed else ""
            raise InputError(f"no videos of {self.title}: none of {len(self.listed)} is there{first}; {self._advice}")
        for listed in (listed for listed in self.listed if listed.found):
            if listed.lacks:
                raise InputError(f"no annotation for {listed.name}: {listed.lacks[0]} is missing; {self._advice}")
            there = len(images(listed.source)) if listed.source.is_dir() else None
            if there is not None and listed.frames not in (None, there):
                raise InputError(f"{wrong_length(listed.name, there, listed.frames)} in {listed.source}; {RESTORE}")

    @property
    def _advice(self) -> str:
        return f"give the folder of {self.title}, which holds {self.layout}"

    def frame_labels(self, video: Video, frames: int | None = None) -> NDArray[np.uint8]:
        """See `contract.Benchmark.frame_labels`."""
        return self.labels(video.name, video.frames if frames is None else frames)

    def intervals(self, video: Video) -> tuple[Interval, ...] | None:
        """See `contract.Benchmark.intervals`."""
        return None if self.interval_rule is None else self._intervals(video.name)

    def pixel_labels(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """See `contract.Benchmark.pixel_labels`."""
        return self._masks(video) if video.name in self.masked else iter(())

    def tracks(self, video: Video) -> Iterator[NDArray[np.integer]]:
        """See `contract.Benchmark.tracks`; here what touches from one frame to the next is one track."""
        return tracks_from_masks(self.pixel_labels(video))


def of_length(labels: NDArray[np.uint8], frames: int | None, *, where: Path, name: str) -> NDArray[np.uint8]:
    """`labels` if there is one for each of `frames`, any number if that is None. Raises InputError if not."""
    if frames is not None and frames != len(labels):
        raise InputError(f"{wrong_length(name, frames, len(labels))} in {where}; {RESTORE}")
    return labels


def wrong_length(name: str, frames: int, labels: int) -> str:
    """What to say of a video that is shorter or longer than its annotation."""
    return f"{name}: {frames} frames but {labels} labels"


def not_here(benchmark: OfficialBenchmark, root: Path, looked_for: Sequence[str]) -> InputError:
    """The error for a folder that holds nothing of the benchmark."""
    return InputError(f"no {benchmark.title} here: {root} has no {' and no '.join(looked_for)}; {benchmark._advice}")
