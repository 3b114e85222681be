"""Frame-level and pixel-level detection metrics, fed one video or one map at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from lavida.errors import InputError

_SMALLEST, _LARGEST = 2.0**-24, 2.0**16  # the least float16 above zero; the first power of two beyond float16
_DROPPED_BITS = 10  # of float32's 24 significant bits
_FIRST, _LAST = (int(np.float32(x).view(np.int32)) >> _DROPPED_BITS for x in (_SMALLEST, _LARGEST))
_STEPS = _LAST - _FIRST + 1  # bins on either side of zero


class FrameMetrics:
    """Frame ROC AUC, micro (all frames in one list) and macro (mean over videos), and frame AP.

    Macro pads each video with (label 0, its lowest score) and (label 1, its highest), so that a video of
    a single class counts. AP is the step-wise one (no interpolation between points).
    """

    def __init__(self) -> None:
        self._scores: list[NDArray[np.float64]] = []
        self._labels: list[NDArray[np.uint8]] = []

    def update(self, video: str, scores: ArrayLike, labels: ArrayLike) -> None:
        """Adds one video: scores `[frames]`, any real numbers, and labels `[frames]`, 0 or 1.

        Raises:
            InputError: the lengths differ, the video is empty, a score is not finite, a label is not 0 or 1.
        """
        score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels)
        if score.ndim != 1 or score.shape != label.shape or not len(score):
            raise InputError(
                f"{video}: {score.size} scores for {label.size} labels; every labelled frame needs one score"
            )
        if not np.isfinite(score).all():
            at = int(np.argmin(np.isfinite(score)))
            raise InputError(f"{video}: the score of frame {at} is {score[at]}; check the model's output")
        if not np.isin(label, (0, 1)).all():
            raise InputError(f"{video}: labels other than 0 and 1; check the annotation")
        self._scores.append(score)
        self._labels.append(label.astype(np.uint8))

    def compute(self) -> dict[str, float | None]:
        """The three metrics in [0, 1]; each is None while all frames are of one class."""
        labels = np.concatenate(self._labels) if self._labels else np.zeros(0, dtype=np.uint8)
        if len(np.unique(labels)) < 2:
            return {"frame_auc_micro": None, "frame_auc_macro": None, "frame_ap": None}
        scores = np.concatenate(self._scores)
        per_video = [_padded_auc(s, y) for s, y in zip(self._scores, self._labels, strict=True)]
        return {
            "frame_auc_micro": float(roc_auc_score(labels, scores)),
            "frame_auc_macro": float(np.mean(per_video)),
            "frame_ap": float(average_precision_score(labels, scores)),
        }


def _padded_auc(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    return float(roc_auc_score([0, *labels, 1], [scores.min(), *scores, scores.max()]))


class PixelMetrics:
    """Pixel ROC AUC and AP over all pixels of all frames, in constant memory (10 MiB).

    Scores are counted in bins, those of one bin as ties. On either side of zero the bins grow with the
    magnitude: 14 significant bits from 2^-24 to 2^16, one bin for all that is smaller and one at each end for
    all that is larger. Every float16 value has a bin of its own, so the float16 logits of
    `Detection.pixel_maps` are measured exactly; others to about 1e-5. Probabilities crowd at 1, where the
    AP can be off by 1e-3: give logits.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, 2 * _STEPS + 1), dtype=np.int64)  # [normal / abnormal, score ascending]

    def update(self, score_map: ArrayLike, label: ArrayLike, *, video: str = "pixel map") -> None:
        """Adds scores `[H, W]` or `[S, H, W]` (logits or any real numbers) and labels of the same shape.

        Args:
            video: named in errors.

        Raises:
            InputError: the shapes differ, or a score is NaN.
        """
        scores, labels = np.asarray(score_map), np.asarray(label, dtype=bool)
        if scores.shape != labels.shape:
            raise InputError(f"{video}: a score map of {scores.shape} for labels of {labels.shape}")
        if np.isnan(scores).any():
            raise InputError(f"{video}: NaN in the score map; check the model's output")
        np.add.at(self._counts, (labels.astype(np.intp), _bins(scores)), 1)

    def compute(self) -> dict[str, float | None]:
        """The two metrics in [0, 1]; both None while all pixels are of one class."""
        normal, abnormal = self._counts[:, ::-1]  # from the highest score down
        if not normal.any() or not abnormal.any():
            return {"pixel_auc": None, "pixel_ap": None}
        true, false = np.cumsum(abnormal), np.cumsum(normal)
        # Pairs in which the abnormal pixel ranks above the normal one; a tie is half a win.
        wins = (normal * (true - abnormal / 2)).sum()
        filled = abnormal > 0
        precision = true[filled] / (true[filled] + false[filled])
        return {
            "pixel_auc": float(wins / true[-1] / false[-1]),
            "pixel_ap": float((abnormal[filled] * precision).sum() / true[-1]),
        }


def _bins(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Bins in order of value. The bit pattern of a positive float grows with it, an octave at a time."""
    magnitude = np.abs(scores.astype(np.float64))  # the largest bin lies beyond float16
    bits = np.clip(magnitude, _SMALLEST, _LARGEST).astype(np.float32).view(np.int32).astype(np.int64)
    steps = np.where(magnitude < _SMALLEST, 0, (bits >> _DROPPED_BITS) - _FIRST + 1)
    return _STEPS + np.where(scores < 0, -steps, steps)
