"""Exposures without a data set."""

import numpy as np
from tiny import CATEGORIES

from lavida.exposure.sample import ExposedSample


def exposure(
    length: int = 1,
    *,
    seed: int = 0,
    categories: tuple[str, ...] = CATEGORIES[:3],
    true: int | None = None,
    size: tuple[int, int] = (64, 96),
    ignored_rows: int = 0,
) -> ExposedSample:
    """Noise; category `true` is a bright square in its middle, None makes a normal sample."""
    frames = np.random.default_rng(seed).integers(0, 120, (length, *size, 3)).astype(np.uint8)
    mask, ignore = np.zeros((length, *size), dtype=bool), np.zeros((length, *size), dtype=bool)
    ignore[:, :ignored_rows] = True
    if true is not None:
        mask[:, 16:48, 32:64] = True
        frames[mask] = 250
    return ExposedSample(
        frames=frames,
        categories=categories,
        frame_labels=mask.any((1, 2)).astype(np.float32),
        pixel_labels=mask,
        category_masks={} if true is None else {true: mask},
        ignore=ignore if ignored_rows else None,
        dataset="toy",
        key=str(seed),
    )


def draw(length: int, rng: np.random.Generator) -> ExposedSample:
    """As an `ExposureStream` draws: everything from the generator."""
    count = int(rng.integers(1, len(CATEGORIES) + 1))
    true = int(rng.integers(count)) if rng.random() < 0.5 else None
    return exposure(length, seed=int(rng.integers(1 << 30)), categories=CATEGORIES[:count], true=true)
