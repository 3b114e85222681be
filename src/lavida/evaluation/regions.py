"""Region-based and track-based detection (RBDC, TBDC; Ramachandra and Jones, Street Scene, WACV 2020), own code.

A detected region is a connected component of a score map that is cut off at a threshold; an annotated region is one
track's pixels in one frame. A region is detected where its intersection over union with some detected region is at
least `region_iou`, a track where at least `track_overlap` of its regions are; a detected region that has that overlap
with no annotated one is a false positive. Each criterion is the area under the curve of the detection rate over false
positives a frame, from none to one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lavida.errors import InputError

_LEAST_OCTAVE, _MOST_OCTAVE = -6, 10  # thresholds from 2^-6 to 2^10 on either side of zero
_NEIGHBOURS = 8


@dataclass(frozen=True)
class RegionCounts:
    """What was counted in some videos. T thresholds, descending; counts of it add up."""

    frames: int  # how many frames had a map
    regions: int  # how many annotated regions they have
    tracks: int  # how many annotated tracks
    false_positives: NDArray[np.int64]  # int64 `[T]`
    detected_regions: NDArray[np.int64]  # int64 `[T]`
    detected_tracks: NDArray[np.int64]  # int64 `[T]`

    def __add__(self, other: "RegionCounts") -> "RegionCounts":
        return RegionCounts(*(getattr(self, name) + getattr(other, name) for name in RegionCounts.__dataclass_fields__))


class RegionMetrics:
    """Counts the regions of one video, frame by frame; memory grows with its tracks only.

    Maps are cut at fixed thresholds, `steps` an octave from 2^-6 to 2^10 on either side of zero, and at zero. They are
    the same for every video and every scorer, and so fine that the scale of the scores hardly matters: logits, gray
    levels and pixels a frame will do. Probabilities crowd at 1: give logits. `region_iou` and `track_overlap` are
    those of a `Protocol`.
    """

    def __init__(self, *, steps: int = 4, region_iou: float = 0.1, track_overlap: float = 0.1) -> None:
        self._ascending = thresholds(steps)
        self._region_iou, self._track_overlap = region_iou, track_overlap
        self._frames = 0
        self._false_positives = np.zeros(len(self._ascending), dtype=np.int64)
        self._lengths: dict[int, int] = {}
        self._detected: dict[int, NDArray[np.int64]] = {}

    def update(self, score_map: ArrayLike, tracks: ArrayLike, *, video: str = "pixel map") -> None:
        """Adds one frame: scores `[H, W]`, and its tracks `[H, W]`: 0 is normal, n is track n of this video.

        Raises:
            InputError: the shapes differ, or a score is NaN; it names `video`.
        """
        scores, tracks = np.asarray(score_map), np.asarray(tracks)
        if scores.shape != tracks.shape or scores.ndim != 2:
            raise InputError(f"{video}: a score map of {scores.shape} for tracks of {tracks.shape}")
        if np.isnan(scores).any():
            raise InputError(f"{video}: NaN in the score map; check the model's output")
        self._frames += 1
        names, areas = np.unique(tracks[tracks > 0], return_counts=True)
        for name in names.tolist():
            self._lengths[name] = self._lengths.get(name, 0) + 1
            self._detected.setdefault(name, np.zeros_like(self._false_positives))
        levels = np.searchsorted(self._ascending, scores, side="right")  # thresholds that a pixel reaches
        reached = np.bincount(levels.ravel(), minlength=len(self._ascending) + 1)
        occupied = np.flatnonzero(reached[1:])  # between two of these the regions do not change
        annotated = np.searchsorted(names, tracks) + 1  # where tracks > 0: 1, 2, ... in the order of names
        annotated[tracks == 0] = 0
        first = 0
        for last in occupied.tolist():
            hit, false = _compare((levels > last).astype(np.uint8), annotated, areas, self._region_iou)
            same = slice(first, last + 1)
            self._false_positives[same] += false
            for name, found in zip(names.tolist(), hit.tolist(), strict=True):
                self._detected[name][same] += found
            first = last + 1

    def counts(self) -> RegionCounts:
        """What has been counted so far."""
        nothing = np.zeros_like(self._false_positives)
        tracks = nothing.copy()
        for name, detected in self._detected.items():
            # 0.1 of 30 regions is 3 of them, which 0.1 * 30 exceeds by a rounding error
            tracks += detected >= self._track_overlap * self._lengths[name] - 1e-9
        return RegionCounts(
            frames=self._frames,
            regions=sum(self._lengths.values()),
            tracks=len(self._lengths),
            false_positives=self._false_positives[::-1].copy(),
            detected_regions=sum(self._detected.values(), nothing)[::-1].copy(),
            detected_tracks=tracks[::-1].copy(),
        )


def thresholds(steps: int) -> NDArray[np.float64]:
    """The thresholds at which maps are cut, ascending."""
    above = 2.0 ** (np.arange(_LEAST_OCTAVE * steps, _MOST_OCTAVE * steps + 1) / steps)
    return np.concatenate([-above[::-1], [0.0], above])


def region_metrics(counts: RegionCounts | None) -> dict[str, float | None]:
    """`rbdc` and `tbdc` in [0, 1]; both None without an annotated region."""
    if counts is None or not counts.regions:
        return {"rbdc": None, "tbdc": None}
    false = counts.false_positives / counts.frames
    return {
        "rbdc": area_up_to_one(false, counts.detected_regions / counts.regions),
        "tbdc": area_up_to_one(false, counts.detected_tracks / counts.tracks),
    }


def area_up_to_one(false_positives: NDArray[np.float64], rate: NDArray[np.float64]) -> float:
    """Area under the detection rate over false positives a frame, from 0 to 1.

    The curve follows falling thresholds from (0, 0), by straight lines, until false positives first exceed one a
    frame; if they never do, the last rate goes on. Regions grow together as the threshold falls, so either value may
    also fall: neither is taken back, which would let one region as large as the picture count as a detection. Both are
    `[T]`, thresholds descending, the rate in [0, 1].
    """
    x = np.maximum.accumulate(np.concatenate([[0.0], false_positives]))
    y = np.maximum.accumulate(np.concatenate([[0.0], rate]))
    inside = x <= 1
    x_end, y_end = 1.0, y[inside][-1]
    if not inside.all():
        beyond = int(np.argmin(inside))
        y_end = np.interp(1.0, x[beyond - 1 : beyond + 1], y[beyond - 1 : beyond + 1])
    return float(np.trapezoid(np.append(y[inside], y_end), np.append(x[inside], x_end)))


def tracks_from_masks(masks: Iterable[NDArray[np.bool_]]) -> Iterator[NDArray[np.int32]]:
    """Tracks `[H, W]` from masks `[H, W]` that do not tell one thing from another: components, linked over frames.

    A component continues the track of the frame before with which it shares most pixels; without any it begins one.
    Parts that come from one track keep its number and are one region; where tracks meet, the larger share wins. In the
    maps that are yielded 0 is normal, n is track n, from 1.
    """
    before, started = None, 0
    for mask in masks:
        count, parts = cv2.connectedComponents(np.asarray(mask, dtype=np.uint8), connectivity=_NEIGHBOURS)
        names = np.zeros(count, dtype=np.int32)
        for part in range(1, count):
            shared = np.zeros(1, dtype=np.int64) if before is None else np.bincount(before[parts == part])
            shared[0] = 0
            if shared.any():
                names[part] = shared.argmax()
            else:
                started += 1
                names[part] = started
        before = names[parts]
        yield before


def _compare(
    cut: NDArray[np.uint8], annotated: NDArray[np.int64], areas: NDArray[np.int64], region_iou: float
) -> tuple[NDArray[np.bool_], int]:
    """Which of the A annotated regions are detected `[A]`, and how many detected regions are false positives."""
    count, parts = cv2.connectedComponents(cut, connectivity=_NEIGHBOURS)
    if not len(areas):
        return np.zeros(0, dtype=bool), count - 1
    pairs = parts.ravel() * (len(areas) + 1) + annotated.ravel()
    shared = np.bincount(pairs, minlength=count * (len(areas) + 1)).reshape(count, -1)  # [parts, 1 + A]
    own = shared[1:].sum(axis=1)  # pixels of each detected region
    overlap = shared[1:, 1:]
    enough = overlap >= region_iou * (own[:, None] + areas - overlap) - 1e-9
    return enough.any(axis=0), int((~enough.any(axis=1)).sum())
