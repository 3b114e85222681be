"""The folder of one evaluation, written and read back: `metrics.json`, `scores/<video>.npz`, `maps/` if asked for."""

import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError, writing_to
from lavida.evaluation.measure import MASK_SUFFIX, VideoMeasure
from lavida.evaluation.metrics import PixelCounts
from lavida.evaluation.regions import RegionCounts
from lavida.evaluation.scorers import ScorerRecord
from lavida.files import atomic_file, locked

RESULT, UNFINISHED = "metrics.json", ".unfinished"
SCORES, MAPS = "scores", "maps"
MEASURE_FORMAT = 2  # raised when measures change, so that those of an older version are not gone on with
_METRICS, _SETTINGS = {"benchmark", "protocol", "model", "videos", "frames"}, {"scorer", "official_videos", "notes"}
_WORDS = ("video", "scorer", "skipped", "read", "analysed", "pixel_frames")  # fields of a measure beside its arrays
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class ResultFolder:
    """Collects a result out of sight and shows it only when it is whole.

    A context manager. Until `publish`, an earlier result in the folder stays as it is. `metrics.json` is then
    removed first and written last: where it exists, the scores beside it are its own. Other files stay, since
    this folder, unlike that of a detection, may hold the folders of other results: of what lies in `scores/` and
    `maps/` only the files of videos that the earlier result lists are removed.

    What was measured before an interruption lies in `.unfinished/<hash of key>/` and is given back by `finished` to an
    evaluation of the same key, which is everything that the measures depend on; without one (None) an interrupted
    evaluation leaves nothing. InputError is raised where the folder cannot be written, the disk is full, another
    evaluation of the same key is at work, or files of these names are there that are no result, nor what an
    interrupted evaluation has left.
    """

    def __init__(self, out: Path, *, key: str | None = None, measure_format: int = MEASURE_FORMAT) -> None:
        self._out, self._resumable = out, key is not None
        name = uuid.uuid4().hex if key is None else sha256(f"{measure_format} {key}".encode()).hexdigest()
        self._staging = out / UNFINISHED / name[:16]
        self._scores, self.maps = self._staging / SCORES, self._staging / MAPS
        self._held, self._half_published = ExitStack(), False
        self._further: list[str] = []

    def __enter__(self) -> "ResultFolder":
        _earlier_names(self._out)
        with writing_to(self._out), ExitStack() as held:
            if not held.enter_context(locked(_lock(self._staging), wait=False)):
                raise InputError(f"another process is measuring the same into {self._out}; wait until it has ended")
            self._staging.mkdir(exist_ok=True)
            self._held = held.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        if not (self._resumable or self._half_published):  # a half is known by its staging
            shutil.rmtree(self._staging, ignore_errors=True)
        self._held.close()
        for folder in (self._staging, self._staging.parent):  # those that hold nothing
            with suppress(OSError):
                folder.rmdir()

    def add(self, measure: VideoMeasure) -> None:
        """Stages what one video gave, in one step."""
        with atomic_file(self._measure_path(measure.video)) as path:
            np.savez(path, **_arrays(measure))

    def finished(self, video: str) -> VideoMeasure | None:
        """What an interrupted evaluation of the same key measured; None where it did not get so far."""
        try:
            with np.load(self._measure_path(video)) as arrays:
                return _measure(dict(arrays))
        except (*_UNREADABLE, TypeError):
            return None

    def _measure_path(self, video: str) -> Path:
        return self._staging / f"{video}.measure.npz"

    def write_scores(self, video: str, *, scores: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
        """Stages `scores/<video>.npz` with `score` float32 `[frames]` and `label` uint8 `[frames]`."""
        with writing_to(self._out):
            self._scores.mkdir(exist_ok=True)
            np.savez(self._scores / f"{video}.npz", score=scores.astype(np.float32), label=labels.astype(np.uint8))

    def add_file(self, name: str, write: Callable[[Path], object]) -> None:
        """Stages a further file of the result; `write` is given the path to write to."""
        with atomic_file(self._staging / name) as path:
            write(path)
        self._further.append(name)

    def publish(self, metrics: dict[str, Any]) -> None:
        """Puts the staged scores, maps, further files and `metrics.json` in place of an earlier result."""
        with atomic_file(self._staging / RESULT) as path:  # on the disk in full before the earlier one goes
            path.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
        earlier = _earlier_names(self._out)
        with writing_to(self._out):
            self._half_published = True
            (self._out / RESULT).unlink(missing_ok=True)
            _replace_files(self._scores, self._out / SCORES, {f"{name}.npz" for name in earlier})
            maps = {f"{name}{suffix}" for name in earlier for suffix in (".npy", MASK_SUFFIX)}
            _replace_files(self.maps, self._out / MAPS, maps)
            for name in (*self._further, RESULT):
                os.replace(self._staging / name, self._out / name)
            self._half_published = False
        shutil.rmtree(self._staging, ignore_errors=True)
        with suppress(OSError):
            _remove_abandoned(self._out / UNFINISHED)


def _remove_abandoned(unfinished: Path) -> None:
    """What interrupted evaluations have left; not what others are measuring now."""
    for staging in [path for path in unfinished.iterdir() if path.is_dir()]:
        with locked(_lock(staging), wait=False) as abandoned:
            if abandoned:
                shutil.rmtree(staging, ignore_errors=True)


def _lock(staging: Path) -> Path:
    return staging.with_name(f"{staging.name}.lock")


def _earlier_names(out: Path) -> set[str]:
    """The files, without their suffixes, that the result in a folder has for its videos; none where there is none.

    Raises:
        InputError: something of a result's names is there that is none.
    """
    if os.path.lexists(out / RESULT):
        if (names := _listed(_read_json(out / RESULT))) is None:
            raise InputError(f"no result of lavida eval: {out / RESULT}; choose another folder for --out")
        return names
    # an evaluation that was killed while it published has left its staging
    if not (out / UNFINISHED).is_dir() and (other := next((n for n in (SCORES, MAPS) if (out / n).exists()), None)):
        raise InputError(f"{other} is there, but no result of lavida eval: {out}; choose another folder for --out")
    return set()


def _listed(metrics: Any) -> set[str] | None:
    """The names that a result of a benchmark or of the held-out test lists; None where it is no result."""
    if _of_benchmark(metrics):
        settings = metrics["settings"]
        return {*settings.get("video_names", ()), *settings.get("skipped_videos", ())}
    match metrics:
        case {"benchmark": _, "model": _, "sets": dict(rows), "settings": {"scorer": _}}:
            return {file_name(row) for row in rows}
    return None


def _of_benchmark(metrics: Any) -> bool:
    match metrics:
        case {"settings": dict(settings)}:
            return metrics.keys() >= _METRICS and settings.keys() >= _SETTINGS
    return False


def file_name(row: str) -> str:
    """The name of the scores of a row of the held-out test."""
    return row.replace(" ", "-")


def _replace_files(new: Path, shown: Path, stale: Collection[str]) -> None:
    """Puts the files of `new` into `shown`, from which the `stale` ones go; leaves no empty folder."""
    if new.is_dir():
        shown.mkdir(exist_ok=True)
    for path in shown.iterdir() if shown.is_dir() else ():
        if path.name in stale:
            path.unlink()
    for path in new.iterdir() if new.is_dir() else ():
        os.replace(path, shown / path.name)
    with suppress(OSError):  # it is not empty, or not there
        shown.rmdir()


def _arrays(measure: VideoMeasure) -> dict[str, Any]:
    """The measure as arrays that `np.savez` takes."""
    words: dict[str, Any] = {name: getattr(measure, name) for name in _WORDS}
    arrays = {"scores": measure.scores, "labels": measure.labels, "latencies": measure.latencies}
    if measure.pixels is not None:
        arrays |= {"bins": measure.pixels.bins, "counts": measure.pixels.counts}
    if (regions := measure.regions) is not None:
        words["regions"] = [regions.frames, regions.regions, regions.tracks]
        arrays["by_threshold"] = np.stack([regions.false_positives, regions.detected_regions, regions.detected_tracks])
    return {"words": np.array(json.dumps(words)), **arrays}


def _measure(arrays: dict[str, Any]) -> VideoMeasure:
    words = json.loads(str(arrays.pop("words")))
    words["scorer"] = ScorerRecord(*words["scorer"])
    if "bins" in arrays:
        words["pixels"] = PixelCounts(arrays.pop("bins"), arrays.pop("counts"))
    if "by_threshold" in arrays:
        words["regions"] = RegionCounts(*words["regions"], *arrays.pop("by_threshold"))
    return VideoMeasure(**words, **arrays)


@dataclass(frozen=True)
class ScoredVideo:
    """One video of a result."""

    name: str  # the official one
    scores: NDArray[np.float32]  # float32 `[frames]`, as they were measured
    labels: NDArray[np.uint8]  # uint8 `[frames]`, 1 where abnormal

    @property
    def auc(self) -> float | None:
        """Frame AUC of this video alone; None where all its frames are of one class."""
        from sklearn.metrics import roc_auc_score  # slow to import

        return float(roc_auc_score(self.labels, self.scores)) if len(np.unique(self.labels)) == 2 else None


@dataclass(frozen=True)
class Result:
    """What an evaluation has measured."""

    folder: Path  # where it lies
    metrics: dict[str, Any]  # the content of `metrics.json`
    videos: list[ScoredVideo]  # in the order in which they were measured

    @property
    def settings(self) -> dict[str, Any]:
        return self.metrics["settings"]

    @property
    def protocol(self) -> dict[str, Any]:
        """Every choice between scores and numbers, by name."""
        return self.settings["protocol"]

    @property
    def of_detector(self) -> bool:
        """Whether a model was measured; else a trivial baseline."""
        return self.settings["scorer"] == "detector"

    @property
    def threshold(self) -> float | None:
        """The score that means "more likely than not"; None for baselines, whose scores mean nothing by themselves."""
        if not self.of_detector:
            return None
        return 0.0 if self.protocol.get("scale") == "logit" else 0.5


def read_result(folder: Path) -> Result:
    """Read a finished evaluation.

    Raises:
        InputError: there is none, or its files are damaged or do not belong to a benchmark.
    """
    path = folder / RESULT
    if not path.is_file():
        raise InputError(f"no result in {folder}: metrics.json is missing; run lavida eval ... --out {folder} first")
    metrics = read_metrics(path)
    settings = {} if metrics is None else metrics["settings"]
    names = settings.get("video_names") or sorted(file.stem for file in (folder / "scores").glob("*.npz"))
    if metrics is None or not isinstance(settings.get("protocol"), dict) or not names:
        raise InputError(f"not the result of a benchmark: {path}; run lavida eval again")
    return Result(folder, metrics, [_read_scores(folder / "scores" / f"{name}.npz", name) for name in names])


def read_metrics(path: Path) -> dict[str, Any] | None:
    """What a `metrics.json` holds; None where it is not that of a benchmark."""
    metrics = _read_json(Path(path))
    return metrics if _of_benchmark(metrics) else None


def _read_json(path: Path) -> Any:
    """What a JSON file holds; None where it holds none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _read_scores(path: Path, name: str) -> ScoredVideo:
    try:
        with np.load(path) as arrays:
            scores, labels = arrays["score"], arrays["label"]
    except _UNREADABLE as error:
        raise InputError(f"scores missing or damaged: {path}; run lavida eval again") from error
    if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
        raise InputError(f"{len(scores)} scores for {len(labels)} labels: {path}; run lavida eval again")
    return ScoredVideo(name, scores, labels)
