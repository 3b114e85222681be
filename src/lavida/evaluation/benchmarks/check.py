"""Checks a copy of a benchmark: is every video there, as long as its annotation, with the counts of the literature?"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lavida.checking import Count
from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import COUNT_ONLY, Benchmark, Listed
from lavida.timing import Progress, untold
from lavida.video.decode import open_source

THREADS = min(4, os.cpu_count() or 1)  # each may hold the masks of a video
CUT_SHORT = 0.9  # of the announced frames; headers that announce a few too many are common
SIZE = (16, 16)  # of the first and the last frame, which are converted all the same


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """What was found out about a copy of a benchmark."""

    benchmark: str
    layout: str
    counts: tuple[Count, ...]  # videos, abnormal videos, frames, abnormal frames
    remarks: tuple[str, ...]  # what a reader of the counts should know
    missing: tuple[Path, ...]  # videos that are not there, then files of the annotation
    faults: tuple[str, ...]  # what is there and cannot be right, one line each that names the video
    damaged: tuple[str, ...]  # videos of which something was lost in decoding, one line each; no reason to fail

    @property
    def problem(self) -> str | None:
        """What is wrong and how to mend it, on one line; None where the copy is complete."""
        parts = []
        if self.missing:
            parts.append(f"{len(self.missing)} missing, first: {self.missing[0]}")
        if self.faults:
            parts.append(f"{len(self.faults)} wrong, first: {self.faults[0].partition('; ')[0]}")
        if not parts:
            parts = [f"{each.found} {each.unit} instead of {each.expected}" for each in self.counts if each.differs]
        return f"{', '.join(parts)}; it should hold {self.layout}" if parts else None


class _Examined(NamedTuple):
    """One video as it was found; all is None or empty for a missing one."""

    annotated: int | None = None
    annotated_abnormal: int | None = None
    frames: int = 0
    abnormal: int = 0
    fault: str | None = None
    damage: tuple[str, ...] = ()
    beyond: int = 0  # frames by which its annotation is longer


def check_benchmark(benchmark: Benchmark, *, progress: Progress = untold) -> BenchmarkReport:
    """Decodes every video that is there to its end and compares it with its annotation.

    Args:
        benchmark: with or without videos.
        progress: told of every listed video.
    """
    listed, examined = benchmark.listed, []
    with ThreadPoolExecutor(THREADS) as threads:
        for each in threads.map(partial(_examine, benchmark), listed):
            examined.append(each)
            progress(f"{benchmark.name}: decoding videos", len(examined), len(listed))
    videos = [one.source for one in listed if not one.found]
    lacks = [path for one in listed if one.found or benchmark.annotation_apart for path in one.lacks]
    return BenchmarkReport(
        benchmark=benchmark.name,
        layout=benchmark.layout,
        counts=tuple(_counts(benchmark, examined)),
        remarks=(*benchmark.remarks(), *_remarks(benchmark, examined)),
        missing=tuple(dict.fromkeys(videos + lacks)),
        faults=tuple(each.fault for each in examined if each.fault),
        damaged=tuple(line for each in examined for line in each.damage),
    )


def _examine(benchmark: Benchmark, listed: Listed) -> _Examined:
    annotated = abnormal = None
    try:
        annotation = None if listed.lacks else benchmark.labels(listed.name)
        # where only the video tells its length, the annotation reaches to the last abnormal frame
        annotated, abnormal = listed.frames, None if annotation is None else int(annotation.sum())
        if not listed.found:
            return _Examined(annotated, abnormal)
        source = open_source(listed.source)
        frames = sum(1 for _ in source.read(stride=COUNT_ONLY, size=SIZE))
    except InputError as error:
        return _Examined(annotated, abnormal, fault=str(error))
    last = 0 if annotation is None else len(annotation)
    fault = None if annotation is None else _wrong_length(listed, frames, last=last)
    if fault is None and frames < CUT_SHORT * (announced := source.info.frames_hint or frames):
        fault = f"{listed.name}: cut short, {frames} of {announced} frames: {listed.source}; get it again"
    labelled = 0 if annotation is None else int(annotation[:frames].sum())
    return _Examined(annotated, abnormal, frames, labelled, fault, tuple(source.warnings), max(0, last - frames))


def _wrong_length(listed: Listed, frames: int, *, last: int) -> str | None:
    if listed.frames not in (None, frames):
        what = f"{frames} frames but {listed.frames} labels"
    elif listed.official_frames not in (None, frames):
        what = f"{frames} of {listed.official_frames} frames"
    elif last and frames < CUT_SHORT * last:
        what = f"{frames} frames, but abnormal up to frame {last}"
    else:
        return None
    return f"{listed.name}: {what}: {listed.source}; restore the video"


def _counts(benchmark: Benchmark, examined: list[_Examined]) -> Iterator[Count]:
    expected, listed = benchmark.expected, benchmark.listed
    annotated = [(one, each) for one, each in zip(listed, examined, strict=True) if one.annotated]
    abnormal = [one for one, each in annotated if (each.annotated_abnormal if one.abnormal is None else one.abnormal)]
    found = sum(one.found for one in listed), sum(one.found for one in abnormal)
    yield Count("test", "videos", found[0], expected.videos, len(annotated))
    yield Count("test", "abnormal videos", found[1], expected.abnormal_videos, len(abnormal))
    known = _sum(each.annotated for _, each in annotated)
    yield Count("test", "frames", sum(each.frames for each in examined), expected.frames, known)
    known = _sum(each.annotated_abnormal for _, each in annotated)
    yield Count("test", "abnormal frames", sum(each.abnormal for each in examined), expected.abnormal_frames, known)


def _sum(counts: Iterable[int | None]) -> int | None:
    """None where any of them is unknown."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _remarks(benchmark: Benchmark, examined: list[_Examined]) -> Iterator[str]:
    if longer := [each.beyond for each in examined if each.beyond and each.fault is None]:
        by = f"by up to {max(longer)} frames"
        yield f"annotations that end behind their video: {len(longer)}, {by}; they are cut there"
    there = sum(one.found for one in benchmark.listed)
    if not any(each.fault for each in examined) and 0 < len(benchmark.masked) < there:
        yield f"pixel labels of {len(benchmark.masked)} of {there} videos"
