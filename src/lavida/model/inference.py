"""Moved to lavida.model.predictor; this path goes with its last import."""

from lavida.model.predictor import Predictor as Answer
from lavida.model.predictor import Predictor as prepared_for_inference

__all__ = ["Answer", "prepared_for_inference"]
