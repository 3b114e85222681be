"""From the scores of the analysed frames to one score for every frame, as the protocol says."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from lavida.evaluation.protocols import Protocol

_KERNEL_REACH = 4.0  # sigmas on either side


def frame_scores(
    scores: NDArray[np.float64], sampled: NDArray[np.int64], *, frames: int, logits: bool, protocol: Protocol
) -> NDArray[np.float32]:
    """Scale, fill, smooth and normalise the scores of one video, in this order.

    Args:
        scores: `[S]`, of the analysed frames.
        sampled: `[S]`, their indices, ascending, at least one.
        frames: N, how many frames get a score.
        logits: whether `scores` are logits, so that they have a probability.
        protocol: which of the steps are done, and how.

    Returns:
        float32 `[N]`, the precision in which scores are saved and measured. Probabilities of logits above 16.7 are
        then all 1; the protocol's scale `logit` tells such frames apart.
    """
    if logits and protocol.scale == "probability":
        scores = expit(scores)
    filled = _filled(scores, sampled, frames=frames, how=protocol.fill)
    if protocol.smoothing is not None:
        filled = smoothed(filled, sigma=protocol.smoothing)
    if protocol.normalisation is not None:
        filled = _min_max(filled)
    return filled.astype(np.float32)


def smoothed(scores: NDArray[np.float64], *, sigma: float) -> NDArray[np.float64]:
    """Gaussian over the frames `[N]`, sigma in frames, cut off at 4 sigma; the first and last score go on outside."""
    reach = int(_KERNEL_REACH * sigma + 0.5)
    kernel = cv2.getGaussianKernel(2 * reach + 1, sigma, cv2.CV_64F)[:, 0]
    return np.convolve(np.pad(scores, reach, mode="edge"), kernel, mode="valid")


def _filled(scores: NDArray[np.float64], sampled: NDArray[np.int64], *, frames: int, how: str) -> NDArray[np.float64]:
    every = np.arange(frames)
    if how == "linear":
        return np.interp(every, sampled, scores)
    before = np.maximum(np.searchsorted(sampled, every, side="right") - 1, 0)
    if how == "hold":
        return scores[before]
    after = np.minimum(before + 1, len(sampled) - 1)
    closer = np.abs(sampled[after] - every) < np.abs(every - sampled[before])  # the earlier one at half-way
    return scores[np.where(closer, after, before)]


def _min_max(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """To [0, 1]; zeros for constant scores."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
