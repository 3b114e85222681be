"""What one worker of a scan does with one video: fetch it, look for the anomalies, write both tables."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fsspec import AbstractFileSystem

from lavida.detection import Detection
from lavida.detector import Detector
from lavida.errors import InputError, reason
from lavida.live.profile import Profile
from lavida.loading import load
from lavida.parallel import AbortRun
from lavida.scan.addresses import file_system, is_remote
from lavida.scan.dataset import DataSet
from lavida.scan.state import UNKNOWN, is_frame, refuse_special, state_of
from lavida.scan.videos import Video

LONGEST_SUFFIX = 10


@dataclass(frozen=True, slots=True)
class Scored:
    """What the report of a scan needs of a finished video; the rest is on disk."""

    frames: int
    events: int
    device: str
    versions: dict[str, str]  # of what ran the model
    warnings: tuple[str, ...]
    token: str  # of the state that the source was in


@dataclass(frozen=True, slots=True)
class Deferred:
    """A video that is still growing: nothing is kept of it, and the next run looks at it again."""

    reason: str


CHANGING = Deferred("changed while it was scored, it may still be growing")


@dataclass(frozen=True, slots=True)
class StartScanWorker:
    """Makes a worker of a scan; small, so that it can be sent anywhere."""

    out: str  # address of the data set
    model: str  # `nano` or the absolute path of a model
    categories: tuple[str, ...]
    stride: int | None
    threshold: float
    device: str
    runtime: str
    settle: float  # a source that changed less than this many seconds ago is still growing
    profile: Profile | None = None  # what `lavida calibrate` has learnt of the camera of all of them

    def __call__(self) -> ScanWorker:
        return ScanWorker(load(self.model, device=self.device, runtime=self.runtime), self)


class ScanWorker:
    """Video -> Scored or Deferred. Raises InputError where it cannot be scored, AbortRun where none can be written."""

    def __init__(self, detector: Detector, settings: StartScanWorker) -> None:
        self._detector, self._settings = detector, settings
        self._data = DataSet(settings.out)

    def __call__(self, video: Video) -> Scored | Deferred:
        if not is_remote(video.address):
            refuse_special(video.address)
        before = state_of(video.address)
        age_s = before.recent(self._settings.settle)
        if age_s is not None:
            return Deferred(f"changed {age_s:.0f} s ago, it may still be growing (--settle {self._settings.settle:g})")
        try:
            detection = self._detect(video)
        except AbortRun:
            raise
        except InputError:
            after = state_of(video.address)
            if after == UNKNOWN or after.token == before.token:
                raise
            return CHANGING  # half a file is not a broken one
        if state_of(video.address).token != before.token:
            return CHANGING
        self._data.write_video(video, detection, before)
        return Scored(
            frames=len(detection.times),
            events=len(detection.events()),
            device=str(self._detector.device),
            versions=detection.run["versions"],
            warnings=tuple(detection.run["warnings"]),
            token=before.token,
        )

    def _detect(self, video: Video) -> Detection:
        with fetched(video.address) as path:
            try:
                asked = self._settings
                detect = self._detector.detect
                ask = detect if asked.profile is None else partial(asked.profile.ask, detect)
                detection = ask(path, anomalies=asked.categories, stride=asked.stride, threshold=asked.threshold)
            except InputError as error:
                # a copy has a name that means nothing to the user
                raise InputError(str(error).replace(str(path), video.address)) from error
            for told in ("warnings", "notes"):
                detection.run[told] = [line.replace(str(path), video.address) for line in detection.run[told]]
        return detection


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """A local path of the video: its own, or a copy that is removed after the block.

    Raises:
        InputError: it cannot be fetched.
        AbortRun: there is no room for the copy.
    """
    if not is_remote(address):
        yield Path(address)
        return
    system, path = file_system(address)
    try:
        folder = TemporaryDirectory(prefix="lavida-", ignore_cleanup_errors=True)
    except OSError as error:
        raise AbortRun(f"no place for a copy of a video: {reason(error)}; set TMPDIR to a folder with room") from error
    with folder as place:
        try:
            copy = _copy(system, path, Path(place))
        except FileNotFoundError as error:
            raise InputError(f"no such file: {address}; it may have been removed meanwhile") from error
        except Exception as error:  # each file system raises its own
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise AbortRun(
                    f"no room for a copy of {address}: {reason(error)}; set TMPDIR to a folder with room"
                ) from error
            raise InputError(f"cannot fetch {address}: {reason(error)}; check your access to it") from error
        yield copy


def _copy(system: AbstractFileSystem, path: str, place: Path) -> Path:
    """Of a video file, or of the images in a folder."""
    copy = place / f"video{posixpath.splitext(path)[1][:LONGEST_SUFFIX]}"
    # not isdir first: over HTTP it would read the whole video to look for links
    if system.isfile(path) or not system.isdir(path):
        system.get_file(path, str(copy))
        return copy
    copy.mkdir()
    for file in system.ls(path, detail=False):
        if is_frame(posixpath.basename(file)):
            system.get_file(file, str(copy / posixpath.basename(file)))
    return copy
