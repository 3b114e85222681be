"""What a model says of one clip, as arrays: the same from PyTorch and from an exported model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of T frames and K categories.

    Attributes:
        frame_logits: `[T]`, calibrated.
        scores: `[T]` in [0, 1], their sigmoid.
        category_scores: `[T, K]` in [0, 1].
        pixel_logits: `[T, H/4, W/4]`.
        pixel_maps: Gives `[T, H/4, W/4]`, logits by which pixels of different frames are compared.
        strongest: Gives for frame t the category with the most evidence at each place, `[H/8, W/8]`; None for a model
            that cannot tell them apart.
        clean_masks: Whether masks lose specks and holes (`lavida.masks`).
    """

    frame_logits: Floats
    scores: Floats
    category_scores: Floats
    pixel_logits: Floats
    pixel_maps: Callable[[], Floats]
    strongest: Callable[[int], NDArray[np.uint8]] | None
    clean_masks: bool


def sigmoid(logits: Floats) -> Floats:
    """Without overflow at either end."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)
