"""One stretch of gray levels for pictures of 16 bits that use little of their range, as thermal cameras write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FULL = 65535  # the brightest value of 16 bits
MOST_FRAMES = 32  # are enough to know what a source uses
DARK, BRIGHT = 0.001, 0.999  # quantiles: a few dead or hot pixels must not decide
LITTLE = 0.5  # share of the range; a source that uses more is shown as it is


@dataclass(frozen=True, slots=True)
class Contrast:
    """Which values are shown as black and as white; what lies outside is clipped.

    Attributes:
        low: shown as 0.
        high: shown as 255; more than `low`.
    """

    low: int = 0
    high: int = FULL

    @property
    def share(self) -> float:
        """How much of the range of 16 bits it takes, 0 to 1."""
        return (self.high - self.low) / FULL

    @property
    def told(self) -> str:
        """What was done, for people."""
        return f"values from {self.low} to {self.high} are stretched, for all pictures alike"

    def eight_bit(self, values: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Values of any shape as they are shown."""
        scaled = (values.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        return np.round(scaled).clip(0, 255).astype(np.uint8)


def measured(pictures: Iterable[NDArray[np.uint16]]) -> Contrast:
    """The contrast for all pictures of one source: a stretch where they use less than half of the range.

    Args:
        pictures: uint16 of any shape, up to 32 frames of the source; all channels of a colour picture count alike.

    Returns:
        The 0.1 and 99.9 percentiles of all values, or the whole range where these are half of it or more, or equal.
    """
    counts = np.zeros(FULL + 1, np.int64)
    for picture in pictures:
        counts += np.bincount(picture.ravel(), minlength=FULL + 1)
    below = np.cumsum(counts)
    if not below[-1]:
        return Contrast()
    low, high = (int(np.searchsorted(below, quantile * below[-1])) for quantile in (DARK, BRIGHT))
    used = Contrast(low, high)
    return used if 0 < used.share < LITTLE else Contrast()
