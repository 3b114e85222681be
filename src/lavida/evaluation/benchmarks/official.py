"""What all benchmarks share: the official list of videos, those of them that are there, and their labels."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.evaluation.benchmarks.places import images
from lavida.evaluation.regions import tracks_from_masks
from lavida.files import file_state
from lavida.video.decode import open_source

RESTORE = "restore the video or its annotation"
COUNT_ONLY = 2**31  # a stride at which frames are counted, not converted
_THREADS = 8  # headers wait for the disk, not for the processor


class Interval(NamedTuple):
    """Abnormal frames in the numbers of the official file; what they count, an `IntervalRule` says."""

    start: int
    end: int


def paired(fields: Sequence[str]) -> tuple[Interval, ...]:
    """Intervals from the fields `start end start end ...` of a line; a pair of -1 stands for none.

    Raises:
        ValueError: they are no such numbers; the message says so in a few words.
    """
    try:
        numbers = [int(field) for field in fields]
    except ValueError:
        raise ValueError("frame numbers that are none") from None
    if not numbers or len(numbers) % 2:
        raise ValueError("frame numbers that do not pair up")
    intervals = [Interval(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair != (-1, -1)]
    if any(not 0 <= start <= end for start, end in intervals):
        raise ValueError("a stretch that ends before it starts")
    return tuple(intervals)


@dataclass(frozen=True, kw_only=True)
class IntervalRule:
    """How the numbers of an interval name frames."""

    first_number: int  # the number of a video's first frame, 0 or 1
    end_inclusive: bool  # whether the frame of the end number is abnormal itself

    def labels(self, intervals: Iterable[Interval], frames: int | None = None) -> NDArray[np.uint8]:
        """Labels `[frames]`, 1 within the intervals, which may overlap; what lies beyond the video is cut off.

        `frames` is the length of the video; None is as far as the intervals reach.
        """
        spans = [self.span(interval) for interval in intervals]
        labels = np.zeros(max((end for _, end in spans), default=0) if frames is None else frames, dtype=np.uint8)
        for start, end in spans:
            labels[start:end] = 1
        return labels

    def span(self, interval: Interval) -> tuple[int, int]:
        """The interval as an index of its first frame, from 0, and one behind its last."""
        # number 0 where counting starts at 1 means the first frame, as in the official UCF-Crime script
        return max(0, interval.start - self.first_number), interval.end - self.first_number + self.end_inclusive


FROM_ONE_INCLUSIVE = IntervalRule(first_number=1, end_inclusive=True)
FROM_ZERO_INCLUSIVE = IntervalRule(first_number=0, end_inclusive=True)
FROM_ZERO_EXCLUSIVE = IntervalRule(first_number=0, end_inclusive=False)


@dataclass(frozen=True)
class Video:
    """One test video that is there."""

    name: str  # the official name; `scores/<name>.npz` is named after it
    source: Path  # a video file or a folder of frames, as `lavida.video.decode.open_source` takes it
    # how many labelled frames it has; where the annotation does not tell (UBnormal, UCF-Crime, XD-Violence), the
    # number that the video's header announces, which can be off by a few
    frames: int
    categories: tuple[str, ...]  # what counts as abnormal in it, in plain words


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the complete test set consists of, as the literature reports it; None where nobody is sure."""

    videos: int
    frames: int | None = None
    abnormal_frames: int | None = None
    abnormal_videos: int | None = None


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
        return sum(1 for _ in source.read(stride=COUNT_ONLY)) if announced is None else announced


class Benchmark:
    """A labelled set of test videos, read from its official files; labels are streamed.

    Constructing one reads the lists of the annotation and nothing else, so that `check` can say what is missing, from
    the data set's folder or one that holds it (see `places.homes`). It raises InputError if nothing of the benchmark is
    there, or its lists are not in the official format. `open_benchmark` also demands that there is something to
    evaluate.

    A subclass lists the videos (`_list`) and gives their labels, as frames (`labels`) or as intervals (`_intervals`),
    and their masks where it has any (`_has_masks`, `_masks`, `_label_files`).
    """

    name: ClassVar[str]  # on the command line, such as `ucsd-ped2`
    title: ClassVar[str]  # for people
    layout: ClassVar[str]  # what its folder holds, on one line
    categories: ClassVar[tuple[str, ...]]  # what counts as abnormal, in plain words
    expected: ClassVar[Expected]
    interval_rule: ClassVar[IntervalRule | None] = None  # None where labels are given frame by frame
    annotation_apart: ClassVar[bool] = False  # from the videos, in another download

    def __init__(self, root: Path | str) -> None:
        self.listed: list[Listed] = self._list(Path(root))

    def _list(self, root: Path) -> list[Listed]:
        """All videos that the annotation lists or the folder holds, in official order."""
        raise NotImplementedError

    def labels(self, name: str, frames: int | None = None) -> NDArray[np.uint8]:
        """Labels `[frames]` of the video of this name, which need not be there; 1 where abnormal.

        `frames` is the length of the video; None is as far as the annotation reaches.

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

    def _label_files(self, name: str) -> Iterable[Path]:
        """The files and folders of files that tell the labels and masks of a video, where they are too large to ask."""
        return ()

    def remarks(self) -> list[str]:
        """What a reader of the counts should know of the annotation, one line each."""
        return []

    @property
    def official_videos(self) -> int:
        """How many test videos the full benchmark has."""
        return self.expected.videos

    @cached_property
    def videos(self) -> list[Video]:
        """The test videos that are there, in official order."""
        found = [listed for listed in self.listed if listed.found]
        with ThreadPoolExecutor(_THREADS) as threads:
            lengths = threads.map(Listed.length, found)
            return [Video(each.name, each.source, n, self.categories) for each, n in zip(found, lengths, strict=True)]

    @cached_property
    def masked(self) -> frozenset[str]:
        """The names of the videos that are there and have pixel labels."""
        return frozenset(listed.name for listed in self.listed if listed.found and self._has_masks(listed.name))

    @property
    def has_pixel_labels(self) -> bool:
        return bool(self.masked)

    @property
    def notes(self) -> list[str]:
        """One line for each way in which the files deviate from the full benchmark."""
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
        found = [listed for listed in self.listed if listed.found]
        if not found:
            first = f", for example {self.listed[0].source}" if self.listed else ""
            raise InputError(f"no videos of {self.title}: none of {len(self.listed)} is there{first}; {self._advice}")
        for listed in found:
            if listed.lacks:
                raise InputError(f"no annotation for {listed.name}: {listed.lacks[0]} is missing; {self._advice}")
            if listed.frames is not None and listed.source.is_dir():
                check_length(listed.name, len(images(listed.source)), listed.frames, where=listed.source)

    @property
    def _advice(self) -> str:
        return f"give the folder of {self.title}, which holds {self.layout}"

    def _not_here(self, root: Path, *looked_for: str) -> InputError:
        """The error for a folder that holds nothing of the benchmark."""
        return InputError(f"no {self.title} here: {root} has no {' and no '.join(looked_for)}; {self._advice}")

    def frame_labels(self, video: Video, frames: int | None = None) -> NDArray[np.uint8]:
        """As `labels`, of one of `videos`; `frames` is how many were decoded, None is `video.frames`."""
        return self.labels(video.name, video.frames if frames is None else frames)

    def intervals(self, video: Video) -> tuple[Interval, ...] | None:
        """The abnormal intervals as the official file writes them; None where labels are given frame by frame."""
        return None if self.interval_rule is None else self._intervals(video.name)

    def state(self, video: Video) -> list[Any]:
        """What differs once a video or its annotation does: sizes and times of files, else the labels themselves."""
        files = list(self._label_files(video.name))
        told = [file_state(path) for path in files] if files else sha256(self.labels(video.name).tobytes()).hexdigest()
        return [file_state(video.source), video.name in self.masked, told]

    def pixel_labels(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """One mask `[H, W]` for each frame in order, true where abnormal; nothing for a video without masks."""
        return self._masks(video) if video.name in self.masked else iter(())

    def tracks(self, video: Video) -> Iterator[NDArray[np.integer]]:
        """One map `[H, W]` for each frame in order: 0 is normal, n the n-th anomalous track; nothing without masks.

        Unless the annotation tells its tracks, what touches from one frame to the next is one track.
        """
        return tracks_from_masks(self.pixel_labels(video))


class Truth(NamedTuple):
    """The annotation of one video, read when asked for."""

    benchmark: Benchmark
    video: Video

    def labels(self, frames: int | None = None) -> NDArray[np.uint8]:
        """As `Benchmark.frame_labels`."""
        return self.benchmark.frame_labels(self.video, frames)

    def masks(self, frames: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
        """Abnormal pixels `[H, W]` of some frames by their number; empty where the benchmark has no pixel labels."""
        wanted = set(frames)
        if not wanted or not self.benchmark.has_pixel_labels:
            return {}
        masks = zip(range(max(wanted) + 1), self.benchmark.pixel_labels(self.video), strict=False)
        return {frame: mask for frame, mask in masks if frame in wanted}


def find_video(benchmark: Benchmark, name: str) -> Video:
    """The video of this official name. Raises InputError where the benchmark's folder has none."""
    for video in benchmark.videos:
        if video.name == name:
            return video
    raise InputError(f"no video {name} in {benchmark.name}; it has {some_names(benchmark)}")


def some_names(benchmark: Benchmark) -> str:
    """The first videos that are there, for a message."""
    names = [video.name for video in benchmark.videos]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") or "none"


def check_length(name: str, frames: int | None, labels: int, *, where: Path) -> None:
    """Raises InputError for a video that is shorter or longer than its annotation, if its length is known."""
    if frames not in (None, labels):
        raise InputError(f"{name}: {frames} frames but {labels} labels in {where}; {RESTORE}")
