"""The folder that `lavida eval` wrote, read back."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from lavida.errors import InputError

_NEEDED = ("benchmark", "protocol", "model", "videos", "frames", "settings")


@dataclass(frozen=True)
class ScoredVideo:
    """One video of a result.

    Attributes:
        name: the official one.
        scores: float32 `[frames]`, as they were measured.
        labels: uint8 `[frames]`, 1 where abnormal.
    """

    name: str
    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]

    @property
    def auc(self) -> float | None:
        """Frame AUC of this video alone; None where all its frames are of one class."""
        return float(roc_auc_score(self.labels, self.scores)) if len(np.unique(self.labels)) == 2 else None


@dataclass(frozen=True)
class Result:
    """What an evaluation has measured.

    Attributes:
        folder: where it lies.
        metrics: the content of `metrics.json`.
        videos: in the order in which they were measured.
    """

    folder: Path
    metrics: dict[str, Any]
    videos: list[ScoredVideo]

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
    path = folder / "metrics.json"
    if not path.is_file():
        raise InputError(f"no result in {folder}: metrics.json is missing; run lavida eval ... --out {folder} first")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        settings = metrics["settings"]
        complete = all(key in metrics for key in _NEEDED) and isinstance(settings["protocol"], dict)
        names = settings.get("video_names") or sorted(file.stem for file in (folder / "scores").glob("*.npz"))
        if not complete or "scorer" not in settings or not names:
            raise KeyError
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not the result of a benchmark: {path}; run lavida eval again") from error
    return Result(folder, metrics, [_read_scores(folder, name) for name in names])


def _read_scores(folder: Path, name: str) -> ScoredVideo:
    path = folder / "scores" / f"{name}.npz"
    try:
        with np.load(path) as arrays:
            scores, labels = arrays["score"], arrays["label"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"scores missing or damaged: {path}; run lavida eval again") from error
    if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
        raise InputError(f"{len(scores)} scores for {len(labels)} labels: {path}; run lavida eval again")
    return ScoredVideo(name, scores, labels)
