"""Calibration: the scale and zero point that turn frame logits into probabilities (Platt, 1999).

Fitted on held-out exposure data only: half of the pictures (every other one); the other half measures it.
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from lavida.detector import Detector
from lavida.evaluation.exposure import Answer, exposure_answers


def calibrate(detector: Detector, root: Path) -> None:
    """Set the calibration of the detector's model from the held-out sets below `root`."""
    temperature, bias = fit([answers for _, answers in exposure_answers(detector, root, calibrating=True)])
    detector.model.config.calibration_temperature = temperature
    detector.model.config.calibration_bias = bias


def fit(sets: list[list[Answer]]) -> tuple[float, float]:
    """Temperature and bias such that sigmoid((logit - bias) / temperature) is the share of positives.

    Every set weighs the same, whatever its size, and so do positives and negatives in it. A model that ranks no
    better than chance cannot be calibrated and keeps its logits: temperature 1, bias 0.
    """
    logits, labels, weights = [], [], []
    for answers in sets:
        used = [a for a in answers if a.calibrates]
        for positive in (True, False):
            group = [a.logit for a in used if a.positive == positive]
            logits += group
            labels += [positive] * len(group)
            weights += [1 / len(group)] * len(group)
    scale = len(weights) / sum(weights)
    model = LogisticRegression(C=1e6)
    model.fit(np.array(logits)[:, None], labels, sample_weight=np.array(weights) * scale)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (1 / slope, -intercept / slope) if slope > 1e-3 else (1.0, 0.0)
