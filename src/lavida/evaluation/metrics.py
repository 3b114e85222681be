"""Frame-level and pixel-level detection metrics, fed one video or one map at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lavida.errors import InputError

METRICS = {
    "frame_auc_micro": "frame AUC, micro",
    "frame_auc_macro": "frame AUC, macro",
    "frame_ap": "frame AP",
    "pixel_auc": "pixel AUC",
    "pixel_ap": "pixel AP",
    "rbdc": "RBDC",
    "tbdc": "TBDC",
}
"""Every metric of a result: key of `metrics.json` -> what tables and pages call it."""

_SMALLEST, _LARGEST = 2.0**-24, 2.0**16  # the least float16 above zero; the first power of two beyond float16
_DROPPED_BITS = 10  # of float32's 24 significant bits
_FIRST, _LAST = (int(np.float32(x).view(np.int32)) >> _DROPPED_BITS for x in (_SMALLEST, _LARGEST))
_STEPS = _LAST - _FIRST + 1  # bins on either side of zero


class FrameMetrics:
    """Frame ROC AUC, micro (all frames in one list) and macro (mean over videos), and frame AP.

    The arguments are the choices of these names in a `Protocol`.
    """

    def __init__(
        self, *, average_precision: str = "step-wise", auc_padding: str = "none", macro_padding: str = "extremes"
    ) -> None:
        self._average_precision, self._auc_padding, self._macro_padding = average_precision, auc_padding, macro_padding
        self._scores: list[NDArray[np.float64]] = []
        self._labels: list[NDArray[np.uint8]] = []

    def update(self, video: str, scores: ArrayLike, labels: ArrayLike) -> None:
        """Adds one video: scores `[frames]`, any real numbers, and labels `[frames]`, 0 or 1.

        Raises:
            InputError: the lengths differ, the video is empty, a score is not finite, a label is not 0 or 1.
        """
        score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels)
        check_scores(video, score, label)
        self._scores.append(score)
        self._labels.append(label.astype(np.uint8))

    def compute(self) -> dict[str, float | None]:
        """The three metrics in [0, 1]; each is None while all frames are of one class."""
        labels = np.concatenate(self._labels) if self._labels else np.zeros(0, dtype=np.uint8)
        if len(np.unique(labels)) < 2:
            return {"frame_auc_micro": None, "frame_auc_macro": None, "frame_ap": None}
        from sklearn.metrics import roc_auc_score  # here and below: slow to import, and of no use to a training

        scores, labels = _padded(np.concatenate(self._scores), labels, self._auc_padding)
        return {
            "frame_auc_micro": float(roc_auc_score(labels, scores)),
            "frame_auc_macro": self._macro(),
            "frame_ap": self._ap(scores, labels),
        }

    def _ap(self, scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
        from sklearn.metrics import auc, average_precision_score, precision_recall_curve

        if self._average_precision == "step-wise":
            return float(average_precision_score(labels, scores))
        precision, recall, _ = precision_recall_curve(labels, scores)
        return float(auc(recall, precision))

    def _macro(self) -> float | None:
        from sklearn.metrics import roc_auc_score

        padded = [_padded(s, y, self._macro_padding) for s, y in zip(self._scores, self._labels, strict=True)]
        per_video = [roc_auc_score(labels, scores) for scores, labels in padded if len(np.unique(labels)) == 2]
        return float(np.mean(per_video)) if per_video else None


def check_scores(video: str, scores: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
    """Raises InputError, which names the video, unless every frame has a finite score and a label 0 or 1."""
    if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
        raise InputError(
            f"{video}: {scores.size} scores for {labels.size} labels; every labelled frame needs one score"
        )
    if not np.isfinite(scores).all():
        at = int(np.argmin(np.isfinite(scores)))
        raise InputError(f"{video}: the score of frame {at} is {scores[at]}; check the model's output")
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"{video}: labels other than 0 and 1; check the annotation")


def _padded(
    scores: NDArray[np.float64], labels: NDArray[np.uint8], padding: str
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    if padding == "none":
        return scores, labels
    low, high = (scores.min(), scores.max()) if padding == "extremes" else (0.0, 1.0)
    return np.array([low, *scores, high]), np.array([0, *labels, 1], dtype=np.uint8)


@dataclass(frozen=True)
class PixelCounts:
    """How many pixels fell into which bin, without the empty ones."""

    bins: NDArray[np.int32]  # int32 `[n]`, ascending
    counts: NDArray[np.int64]  # int64 `[2, n]`, normal and abnormal pixels


class PixelMetrics:
    """Pixel ROC AUC and AP over all pixels of all frames, in constant memory (10 MiB).

    Scores are counted in bins, those of one bin as ties. On either side of zero the bins grow with the
    magnitude: 14 significant bits from 2^-24 to 2^16, one bin for all that is smaller and one at each end for
    all that is larger. Every float16 value has a bin of its own, so the float16 logits of
    `Detection.pixel_maps` are measured exactly; others to about 1e-5. Probabilities crowd at 1, where the
    AP can be off by 1e-3: give logits. `average_precision` is that of a `Protocol`.
    """

    def __init__(self, *, average_precision: str = "step-wise") -> None:
        self._average_precision = average_precision
        self._counts = np.zeros((2, 2 * _STEPS + 1), dtype=np.int64)  # [normal / abnormal, score ascending]

    def update(self, score_map: ArrayLike, label: ArrayLike, *, video: str = "pixel map") -> None:
        """Adds the pixels of one or several frames: scores `[H, W]` or `[S, H, W]`, and labels, not 0 where abnormal.

        Raises:
            InputError: the shapes differ, or a score is NaN; it names `video`.
        """
        scores, labels = np.asarray(score_map), np.asarray(label, dtype=bool)
        if scores.shape != labels.shape:
            raise InputError(f"{video}: a score map of {scores.shape} for labels of {labels.shape}")
        if np.isnan(scores).any():
            raise InputError(f"{video}: NaN in the score map; check the model's output")
        np.add.at(self._counts, (labels.astype(np.intp), _bins(scores)), 1)

    def counts(self) -> PixelCounts:
        """What has been counted so far, small enough to send."""
        filled = np.flatnonzero(self._counts.any(axis=0))
        return PixelCounts(filled.astype(np.int32), self._counts[:, filled])

    def merge(self, counts: PixelCounts) -> None:
        """Adds what was counted elsewhere."""
        self._counts[:, counts.bins] += counts.counts

    def compute(self) -> dict[str, float | None]:
        """The two metrics in [0, 1]; both None while all pixels are of one class."""
        filled = self._counts.any(axis=0)
        normal, abnormal = self._counts[:, filled][:, ::-1]  # from the highest score down
        if not normal.any() or not abnormal.any():
            return {"pixel_auc": None, "pixel_ap": None}
        true, false = np.cumsum(abnormal), np.cumsum(normal)
        # Pairs in which the abnormal pixel ranks above the normal one; a tie is half a win.
        wins = (normal * (true - abnormal / 2)).sum()
        precision, gained = true / (true + false), abnormal / true[-1]
        if self._average_precision == "trapezoid":
            precision = (np.concatenate([[1.0], precision[:-1]]) + precision) / 2
        return {"pixel_auc": float(wins / true[-1] / false[-1]), "pixel_ap": float((gained * precision).sum())}


def _bins(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Bins in order of value. The bit pattern of a positive float grows with it, an octave at a time."""
    magnitude = np.abs(scores.astype(np.float64))  # the largest bin lies beyond float16
    bits = np.clip(magnitude, _SMALLEST, _LARGEST).astype(np.float32).view(np.int32).astype(np.int64)
    steps = np.where(magnitude < _SMALLEST, 0, (bits >> _DROPPED_BITS) - _FIRST + 1)
    return _STEPS + np.where(scores < 0, -steps, steps)
