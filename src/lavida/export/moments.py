"""Which frames of a video tell the most about what was found in it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from lavida.detection import Detection
from lavida.errors import InputError


def telling_moments(detection: Detection, labels: NDArray[np.uint8] | None, *, count: int) -> list[int]:
    """Up to `count` analysed frames in order of time.

    The peaks of the events come first, the strongest before the others, and of each annotated stretch the frame with
    the highest score, found or missed. At least one place is left for the quietest frame; what remains goes where
    nothing has been shown yet.

    Args:
        detection: what was found.
        labels: `[frames]`, 1 where abnormal; None if that is not known.
        count: at least 1.
    """
    times, sampled = detection.times, detection.sampled
    near = (times[-1] - times[0]) / (2 * count)
    strongest = sorted(detection.events(), key=lambda event: -event.peak_score)
    found = [int(sampled[np.abs(times[sampled] - event.peak_s).argmin()]) for event in strongest]
    peaks = chain.from_iterable(zip_longest(found, _true_peaks(detection, labels)))
    chosen: list[int] = []
    for frame in peaks:
        if frame is None or len(chosen) == max(1, count - 1):
            continue
        if all(abs(times[frame] - times[other]) >= near for other in chosen):
            chosen.append(frame)
    if len(chosen) < count:
        chosen.append(_quietest(detection, labels))
    while len(chosen) < min(count, len(sampled)):
        distance = np.min([np.abs(times[sampled] - times[other]) for other in chosen], axis=0)
        distance[np.isin(sampled, chosen)] = -1
        chosen.append(int(sampled[distance.argmax()]))
    return sorted(set(chosen))


def frames_at(detection: Detection, seconds: Iterable[float]) -> list[int]:
    """The analysed frames nearest to some times, each once, in order.

    Raises:
        InputError: a time lies outside the video.
    """
    times = detection.times[detection.sampled]
    whole = detection.times
    return sorted({int(detection.sampled[nearest_frame(times, second, within=whole)]) for second in seconds})


def nearest_frame(times: NDArray[np.float64], second: float, *, within: NDArray[np.float64] | None = None) -> int:
    """Index of the time nearest to `second`, which must lie within the times, or within those of `within`.

    Raises:
        InputError: it does not.
    """
    whole = times if within is None else within
    if not whole[0] - 0.05 <= second <= whole[-1] + 0.05:
        raise InputError(f"--at {second:g}: the video goes from {whole[0]:.2f} s to {whole[-1]:.2f} s; choose between")
    return int(np.abs(times - second).argmin())


def _true_peaks(detection: Detection, labels: NDArray[np.uint8] | None) -> list[int]:
    if labels is None:
        return []
    peaks = []
    for first, stop in stretches(labels):
        inside = np.flatnonzero((detection.sampled >= first) & (detection.sampled < stop))
        if len(inside):
            peaks.append(int(detection.sampled[inside[detection.sampled_scores[inside].argmax()]]))
    return peaks


def stretches(labels: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The abnormal stretches as (first frame, frame after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels != 0, [0]])))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]


def _quietest(detection: Detection, labels: NDArray[np.uint8] | None) -> int:
    """Of the normal frames, where those are known and there are any."""
    sampled, scores = detection.sampled, detection.sampled_scores
    if labels is not None and not labels[sampled].all():
        normal = labels[sampled] == 0
        sampled, scores = sampled[normal], scores[normal]
    return int(sampled[scores.argmin()])
