"""Made score series of a normal camera: noise that wanders, and bursts in which something looks like the anomaly."""

import numpy as np

from lavida.live.calibration import Footage

STEP_S = 0.5


def series(
    rng: np.random.Generator,
    hours: float,
    *,
    bursts_per_hour: float = 12.0,
    burst_s: float = 15.0,
    flicker: float = 0.15,
) -> Footage:
    """Scores of one word: an autoregressive floor about 0.1, and bursts at random times with random heights.

    Args:
        rng: draws everything.
        hours: how long it is.
        bursts_per_hour: of a Poisson process.
        burst_s: mean of their exponential length.
        flicker: how much a score trembles within a burst.
    """
    count = int(hours * 3600 / STEP_S)
    noise = np.convolve(rng.normal(0, 0.02, count + 20), 0.9 ** np.arange(21), mode="valid")[:count]
    scores = 0.1 + noise
    for _ in range(rng.poisson(bursts_per_hour * hours)):
        start = int(rng.integers(count))
        length = 1 + int(rng.exponential(burst_s) / STEP_S)
        height = rng.beta(2, 3)
        stop = min(count, start + length)
        scores[start:stop] = np.maximum(scores[start:stop], height + rng.normal(0, flicker, stop - start))
    times = STEP_S * np.arange(count)
    return Footage(times, np.clip(scores, 0, 0.999).astype(np.float32), count * STEP_S)


KINDS: dict[str, dict[str, float]] = {
    "15 s, 12 an hour": {},
    "3 s, 60 an hour": {"burst_s": 3.0, "bursts_per_hour": 60.0},
    "5 s, 12 an hour": {"burst_s": 5.0},
    "120 s, 6 an hour": {"burst_s": 120.0, "bursts_per_hour": 6.0},
    "600 s, 1 an hour": {"burst_s": 600.0, "bursts_per_hour": 1.0},
}
