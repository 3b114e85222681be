"""A scan: list the videos, leave out those that are finished, score the others, and say what failed."""

from __future__ import annotations

import logging
import math
import os
import platform
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lavida import __version__, parallel
from lavida.detector import DEFAULT_THRESHOLD, check_categories, check_settings
from lavida.errors import InputError
from lavida.files import EMBEDDED, fingerprint
from lavida.live.profile import Profile
from lavida.loading import exported_folder, model_folder
from lavida.parallel import Failure
from lavida.scan.addresses import absolute, partition, printable
from lavida.scan.dataset import DataSet
from lavida.scan.resume import CrashLedger, claim, unfinished
from lavida.scan.videos import Listing, Video, left_out_in_words, list_videos
from lavida.scan.worker import Deferred, Scored, StartScanWorker
from lavida.terminal import said_log
from lavida.timing import Progress, peak_memory_mb, untold

_log = logging.getLogger(__name__)

SETTLE_S = 10.0  # recorders write at least that often
LONGEST_NOTE = 40  # characters


@dataclass(kw_only=True)
class ScanReport:
    """What a scan did."""

    out: str  # address of the data set
    videos: int  # how many were listed
    finished: int  # how many of them have results, from this run or an earlier one
    scored: int = 0  # how many were scored now
    frames: int = 0  # of the videos scored now
    events: int = 0  # in the videos scored now
    seconds: float = 0.0  # this run took
    failures: dict[str, str] = field(default_factory=dict)  # reason by name, of what could not be scored
    left: dict[str, str] = field(default_factory=dict)  # the same of what is still growing: for the next run
    left_out: dict[str, int] = field(default_factory=dict)  # how many were passed over, by reason; see `Listing`


def scan(
    sources: Sequence[str],
    anomalies: Sequence[str],
    *,
    out: str,
    model: str = "nano",
    stride: int | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    device: str = "auto",
    runtime: str = "auto",
    workers: int | None = None,
    ray: str | None = None,
    overwrite: bool = False,
    settle: float = SETTLE_S,
    profile: Profile | None = None,
    progress: Progress = untold,
    say: Callable[[str], object] | None = None,
) -> ScanReport:
    """Score any number of videos into one Parquet data set; memory does not grow with their number.

    Run again after an interruption of any kind, it leaves out what is finished and has not changed since; videos that
    failed or were growing are tried again.

    Args:
        sources: folders, globs, manifests or files, here or at any address of fsspec; see `list_videos`.
        anomalies: what counts as abnormal.
        out: address of the data set; see `DataSet`.
        model: as `lavida.load` takes it, like `device` and `runtime`.
        stride: as `Detector.detect` takes it, like `threshold`.
        threshold: see `stride`.
        device: see `model`.
        runtime: see `model`.
        workers: processes that score, on `ray`; see `parallel.run`.
        ray: see `workers`.
        overwrite: begin again, removing the results in `out`.
        settle: seconds: a video that changed more lately is growing and left for the next run; 0: none is, but those
            that change while they are scored.
        profile: what `lavida calibrate` has learnt of the camera; the threshold is then one on its scales.
        progress: is told of every video that is done; what else is worth knowing is logged.
        say: takes each line of the log; deprecated, as `logging` does that.

    Raises:
        InputError: nothing to scan, a setting out of range, results of another scan in `out`, or it cannot be written.
    """
    started = time.perf_counter()
    if say is not None:
        told = "lavida logs what it has to say: add a handler to logging.getLogger('lavida')"
        warnings.warn(f"scan(say=) is deprecated; {told}", DeprecationWarning, stacklevel=2)
    categories = check_categories(anomalies)
    check_settings(stride=stride, threshold=threshold)
    _check_settle(settle)
    parallel.check_workers(workers)
    on_ray = ray is not None or (workers or 1) > 1
    folder = Path(os.path.abspath(model_folder(model)))
    exported = exported_folder(folder, name=model, runtime=runtime, device=device) is not None
    if not exported:
        _check_device(device, on_ray=on_ray)
    data = DataSet(absolute(str(out), base=os.getcwd()))
    listing = list_videos([str(source) for source in sources])
    named = model if folder == EMBEDDED else str(folder)
    identity: dict[str, Any] = {"root": printable(listing.root), "model": named, "model_sha256": fingerprint(folder)}
    identity |= {"categories": list(categories), "settings": _settings(stride, threshold, profile, categories)}
    start = StartScanWorker(data.store.address, named, categories, stride, threshold, device, runtime, settle, profile)
    with data.store.claimed(), nullcontext() if say is None else said_log("lavida.scan", say):
        claim(data, identity, overwrite=overwrite)
        work = _Scan(data, listing, identity, ledger=None if on_ray else CrashLedger(data.store))
        with work.recorded(started):
            gpu = False if exported else {"cpu": False, "auto": None}.get(device, True)
            work.go(lambda todo: parallel.run(todo, start, workers=workers, ray=ray, gpu=gpu), progress)
    return work.report


def _check_settle(settle: float) -> None:
    if not (math.isfinite(settle) and settle >= 0):
        raise InputError(f"--settle {settle:g} is out of range: choose 0 or more seconds")


def _settings(
    stride: int | None, threshold: float, profile: Profile | None, categories: tuple[str, ...]
) -> dict[str, Any]:
    """What a scan that goes on has to share; without a profile as ever.

    One that began before scores were smoothed is another one: its data set would hold both kinds.
    """
    settings: dict[str, Any] = {"stride": stride, "threshold": threshold, "smoothing": True}
    if profile is not None:
        profile.chosen(categories)
        settings["profile"] = profile.fingerprint
    return settings


class _Scan:
    """One run over the videos that are not finished, or have changed since."""

    def __init__(
        self, data: DataSet, listing: Listing, identity: dict[str, Any], *, ledger: CrashLedger | None
    ) -> None:
        self._data, self._identity, self._ledger = data, identity, ledger
        failed = data.read_failures()
        self._todo = unfinished(data, listing.videos)
        self._outdated = {video.name for video in self._todo if video.outdated}
        self.report = ScanReport(
            out=data.store.address,
            videos=len(listing.videos),
            finished=len(listing.videos) - len(self._todo),
            left_out=listing.left_out,
        )
        for video in self._todo:  # tried again, but not forgotten if this run ends before
            if reason := failed.get(printable(video.name)):
                self.report.failures[video.name] = reason
        self._tokens: dict[str, str] = {}  # of the videos scored now
        self._devices: set[str] = set()
        self._versions: dict[str, str] = {}  # of what scores in this run: not every machine has PyTorch
        self._defect: str | None = None

    def go(
        self, run: Callable[[Iterable[Video]], Generator[tuple[Video, Scored | Deferred | Failure]]], progress: Progress
    ) -> None:
        """Score what is not finished."""
        report = self.report
        changed = f", {len(self._outdated)} changed since they were scored" if self._outdated else ""
        _log.info("%d videos, %d of them finished before%s", report.videos, report.finished, changed)
        if passed_over := left_out_in_words(report.left_out):
            _log.info("%s", passed_over)
        todo, deadly = (self._todo, {}) if self._ledger is None else self._ledger.sort(self._todo)
        for name, reason in deadly.items():
            self._give_up(name, reason, among=report.failures)
        before = report.finished + len(deadly)
        # closed from the inside: the ledger is to know what was not to blame
        with (
            closing((video for video in todo) if self._ledger is None else self._ledger.watch(todo)) as watched,
            closing(run(watched)) as answers,
        ):
            for done, (video, answer) in enumerate(answers, start=before + 1):
                self._take(video, answer)
                progress("scanning", done, report.videos, printable(video.name)[-LONGEST_NOTE:])
        self._check_arrived()

    def _take(self, video: Video, answer: Scored | Deferred | Failure) -> None:
        if isinstance(answer, Failure):
            self._give_up(video.name, answer.reason, among=self.report.failures)
            self._defect = self._defect or answer.defect
            return
        self.report.failures.pop(video.name, None)
        if isinstance(answer, Deferred):
            self._give_up(video.name, answer.reason, among=self.report.left)
            return
        self._tokens[video.name] = answer.token
        self.report.finished += 1
        self.report.scored += 1
        self.report.frames += answer.frames
        self.report.events += answer.events
        self._devices.add(answer.device)
        self._versions |= answer.versions
        for warning in answer.warnings:
            _log.warning("warning: %s", warning)

    def _give_up(self, name: str, reason: str, *, among: dict[str, str]) -> None:
        """Name a video that has no results of what it is now; those of what it was must not pass for them."""
        among[name] = reason
        if name in self._outdated:
            self._data.remove_video(name)

    def _check_arrived(self) -> None:
        """Workers on other machines may have written to disks of their own."""
        results = self._data.results() if self._tokens else {}
        for name, token in self._tokens.items():
            result = results.get(partition(name))
            if result is None or token not in result.tokens:
                reason = "scored, but its result is not in the data set; --out must be a place that all machines share"
                self._give_up(name, reason, among=self.report.failures)
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
                _log.warning("failed: %s: %s", printable(name), printable(reason))
            for name, reason in self.report.left.items():
                _log.info("left for the next run: %s: %s", printable(name), printable(reason))
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
        counts = {
            "videos": report.videos,
            "finished": report.finished,
            "failed": len(report.failures),
            "left_for_the_next_run": len(report.left),
            "left_out": report.left_out,
        }
        versions = {"lavida": __version__, **self._versions, "python": platform.python_version()}
        self._data.write_run(
            {"command": "scan", **self._identity, "versions": versions, "complete": complete, **counts}
            | {"last_run": this_run}
            | ({"defect": self._defect} if self._defect else {})
        )


def _check_device(device: str, *, on_ray: bool) -> None:
    if not on_ray:
        from lavida.device import choose_device  # brings PyTorch

        choose_device(device)
    elif device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {device} cannot be used with several workers: give auto, cpu or cuda")
