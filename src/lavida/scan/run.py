"""A scan: list the videos, leave out those that are finished, score the others, and say what failed."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lavida import __version__, engine
from lavida.detector import DEFAULT_THRESHOLD, EMBEDDED, check_categories, check_settings, model_folder
from lavida.device import choose_device
from lavida.engine import Failure
from lavida.errors import InputError
from lavida.model.saved import fingerprint
from lavida.progress import progress_bar
from lavida.scan.addresses import absolute, partition, printable
from lavida.scan.dataset import DataSet
from lavida.scan.deaths import Deaths
from lavida.scan.videos import Listing, Video, list_videos
from lavida.scan.worker import Scored, StartScanWorker
from lavida.stages import peak_memory_mb

# what a second run must share with the first: results of two kinds in one data set would not tell which is which
IDENTITY = {"root": "root", "model_sha256": "model", "categories": "categories", "settings": "settings"}

LONGEST_NOTE, LONGEST_VALUE = 40, 80  # characters


@dataclass(kw_only=True)
class ScanReport:
    """What a scan did.

    Attributes:
        out: address of the data set.
        videos: how many were listed.
        finished: how many of them have results, from this run or an earlier one.
        scored: how many were scored now.
        frames: of the videos scored now.
        events: in the videos scored now.
        seconds: this run took.
        failures: reason by name, of every video without results.
    """

    out: str
    videos: int
    finished: int
    scored: int = 0
    frames: int = 0
    events: int = 0
    seconds: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)


def scan(
    sources: Sequence[str],
    anomalies: Sequence[str],
    *,
    out: str,
    model: str = "nano",
    stride: int | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    device: str = "auto",
    workers: int | None = None,
    ray: str | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> ScanReport:
    """Score any number of videos into one Parquet data set; memory does not grow with their number.

    Run again after an interruption of any kind, it leaves out what is finished; videos that failed are tried again.

    Args:
        sources: folders, globs, manifests or files, here or at any address of fsspec; see `list_videos`.
        anomalies: what counts as abnormal.
        out: address of the data set; see `DataSet`.
        model: as `lavida.load` takes it.
        stride: as `Detector.detect` takes it.
        threshold: as `Detector.detect` takes it.
        device: as `lavida.load` takes it.
        workers: processes that score; see `engine.run`.
        ray: see `engine.run`.
        overwrite: begin again, removing the results in `out`.
        say: takes a line for people, for example on how many videos are finished, and one for every failed video.

    Raises:
        InputError: nothing to scan, a setting out of range, results of another scan in `out`, or `out` cannot be
            written; what is finished stays.
    """
    started = time.perf_counter()
    categories = check_categories(anomalies)
    check_settings(stride=stride, threshold=threshold)
    engine.check_workers(workers)
    on_ray = ray is not None or (workers or 1) > 1
    _check_device(device, on_ray=on_ray)
    folder = Path(os.path.abspath(model_folder(model)))
    data = DataSet(absolute(str(out), base=os.getcwd()))
    listing = list_videos([str(source) for source in sources])
    identity = {
        "root": printable(listing.root),
        "model": model if folder == EMBEDDED else str(folder),
        "model_sha256": fingerprint(folder),
        "categories": list(categories),
        "settings": {"stride": stride, "threshold": threshold},
    }
    start = StartScanWorker(
        out=data.store.address,
        model=identity["model"],
        categories=categories,
        stride=stride,
        threshold=threshold,
        device=device,
    )
    with data.store.claimed():
        _claim(data, identity, overwrite=overwrite)
        work = _Scan(data, listing, identity, say=say, deaths=None if on_ray else Deaths(data.store))
        with work.recorded(started):
            gpu = {"cpu": False, "auto": None}.get(device, True)
            work.go(lambda todo: engine.run(todo, start, workers=workers, ray=ray, gpu=gpu))
    return work.report


class _Scan:
    """One run over the videos that are not finished."""

    def __init__(
        self,
        data: DataSet,
        listing: Listing,
        identity: dict[str, Any],
        *,
        say: Callable[[str], None],
        deaths: Deaths | None,
    ) -> None:
        self._data, self._identity, self._say, self._deaths = data, identity, say, deaths
        finished, failed = data.finished(), data.read_failures()
        self._todo = [video for video in listing.videos if partition(video.name) not in finished]
        self.report = ScanReport(
            out=data.store.address, videos=len(listing.videos), finished=len(listing.videos) - len(self._todo)
        )
        for video in self._todo:  # tried again, but not forgotten if this run ends before
            if reason := failed.get(printable(video.name)):
                self.report.failures[video.name] = reason
        self._devices: set[str] = set()
        self._defect: str | None = None

    def go(self, run: Callable[[Iterable[Video]], Iterator[tuple[Video, Scored | Failure]]]) -> None:
        """Score what is not finished."""
        report = self.report
        self._say(f"{report.videos} videos, {report.finished} of them finished before")
        todo, deadly = (self._todo, {}) if self._deaths is None else self._deaths.sort(self._todo)
        report.failures |= deadly
        with ExitStack() as open_now:
            bar = progress_bar("scanning", total=report.videos, done=report.finished + len(deadly))
            advance = open_now.enter_context(bar)
            watched = todo if self._deaths is None else open_now.enter_context(closing(self._deaths.watch(todo)))
            for video, answer in open_now.enter_context(closing(run(watched))):
                self._take(video, answer)
                advance(1, note=printable(video.name)[-LONGEST_NOTE:])
        self._check_arrived()

    def _take(self, video: Video, answer: Scored | Failure) -> None:
        if isinstance(answer, Failure):
            self.report.failures[video.name] = answer.reason
            self._defect = self._defect or answer.defect
            return
        self.report.failures.pop(video.name, None)
        self.report.finished += 1
        self.report.scored += 1
        self.report.frames += answer.frames
        self.report.events += answer.events
        self._devices.add(answer.device)
        for warning in answer.warnings:
            self._say(f"warning: {warning}")

    def _check_arrived(self) -> None:
        """Workers on other machines may have written to disks of their own."""
        finished = self._data.finished()
        for video in self._todo:
            if partition(video.name) not in finished and video.name not in self.report.failures:
                reason = "scored, but its result is not in the data set; --out must be a place that all machines share"
                self.report.failures[video.name] = reason
                self.report.finished -= 1

    @contextmanager
    def recorded(self, started: float) -> Iterator[None]:
        """Write `run.json` and the failures and name these, whatever ends the block."""
        self._write_run(complete=False)
        complete = False
        try:
            yield
            complete = True
        finally:
            self.report.seconds = round(time.perf_counter() - started, 3)
            for name, reason in self.report.failures.items():
                self._say(f"failed: {printable(name)}: {printable(reason)}")
            try:
                self._data.write_failures(self.report.failures)
                self._write_run(complete=complete)
                self._data.store.tidy()
            except InputError:
                if complete:  # else what ended the block is the better message
                    raise

    def _write_run(self, *, complete: bool) -> None:
        report = self.report
        this_run = {
            "scored": report.scored,
            "frames": report.frames,
            "events": report.events,
            "seconds": report.seconds,
            "frames_per_second": round(report.frames / max(report.seconds, 1e-9), 2),
            "devices": sorted(self._devices),
            "peak_memory_mb": peak_memory_mb(),
        }
        counts = {"videos": report.videos, "finished": report.finished, "failed": len(report.failures)}
        versions = {"lavida": __version__, "torch": torch.__version__, "python": platform.python_version()}
        self._data.write_run(
            {"command": "scan", **self._identity, "versions": versions, "complete": complete, **counts}
            | {"last_run": this_run}
            | ({"defect": self._defect} if self._defect else {})
        )


def _claim(data: DataSet, identity: dict[str, Any], *, overwrite: bool) -> None:
    """Refuse a data set of another scan; begin again if asked to."""
    before = data.read_run()
    if before is None:
        if not data.store.is_empty():
            raise InputError(f"the folder holds no scan: {data.store.address}; empty it or choose another --out")
        return
    if overwrite:
        data.clear()
        return
    for name, shown in IDENTITY.items():
        if before.get(name) != identity[name]:
            was, now = _shown(before.get(shown)), _shown(identity[shown])
            change = f"{was}, now {now}" if was != now else f"{now} has changed"
            raise InputError(
                f"{data.store.address} holds a scan with other {shown} ({change}); "
                "choose another --out, or --overwrite to begin again"
            )
    data.store.tidy()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {'default' if part is None else part}" for name, part in value.items())
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _check_device(device: str, *, on_ray: bool) -> None:
    if not on_ray:
        choose_device(device)
    elif device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {device} cannot be used with several workers: give auto, cpu or cuda")
