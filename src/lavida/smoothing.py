"""Temporal smoothing: neighbours in time have a say in a frame's scores, as far as the scene stands still.

The network scores frames one by one, so that on a steady scene its noise is another one in each. Two frames of one
scene with next to nothing between them are two looks at the same thing; a cut, a pan or another picture is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lavida.builder import ScoredClip

NEIGHBOUR = 1 / 3  # weight of a frame that looks the same, beside 1 of the frame itself: 1, 3, 1 within a steady scene
FARTHEST_S = 0.5  # from a frame to a neighbour that has a say
CHANGED = 16.0  # gray levels by which two looks differ on average, from which on it is another scene
MOST = 3.0  # logits by which a neighbour may differ with more effect: what is sure of one frame alone stays
SIDE = 16  # cells of a look


def looks(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is enough of frames uint8 `[T, 3, H, W]` to tell scenes apart: the green of 16x16 cells, `[T, 16, 16]`."""
    green = [cv2.resize(frame[1], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.array(green, np.float32)


def smoothed(clips: Iterable[ScoredClip], *, told_each: int | None = None) -> Iterator[ScoredClip]:
    """The same clips of one video, in order, each as soon as the one after it is there.

    Logits of categories become the mean of a frame's and its two neighbours', weighted by `NEIGHBOUR`, the steadiness
    of the scene and `FARTHEST_S`; differences count as no more than `MOST`. A frame has its strongest category's.

    Args:
        clips: or parts of them.
        told_each: after so many frames nothing waits for the next one, which a live source may not have yet.
    """
    before: _Edge | None = None
    held: ScoredClip | None = None
    count = 0
    for clip in clips:
        if held is not None:
            yield _among(held, before, _Edge.of(clip, 0))
            before = _Edge.of(held, -1)
        held, count = clip, count + len(clip.times)
        if told_each is not None and count % told_each == 0:
            yield _among(held, before, None)
            before, held = _Edge.of(held, -1), None
    if held is not None:
        yield _among(held, before, None)


@dataclass(frozen=True, slots=True)
class _Edge:
    """The frame next to a clip, as the network scored it."""

    time_s: float
    look: NDArray[np.float32]  # [SIDE, SIDE]
    logits: NDArray[np.float32]  # [K]

    @classmethod
    def of(cls, clip: ScoredClip, t: int) -> _Edge:
        return cls(float(clip.times[t]), clip.looks[t], clip.answer.category_logits[t])


def _among(clip: ScoredClip, before: _Edge | None, after: _Edge | None) -> ScoredClip:
    """A clip whose frames have heard their neighbours, those outside of the clip included; None: there is none."""
    rows = [_Edge.of(clip, t) for t in range(len(clip.times))]
    rows = [before or rows[0], *rows, after or rows[-1]]
    times, seen, logits = (np.stack([getattr(row, name) for row in rows]) for name in ("time_s", "look", "logits"))
    changed = np.abs(np.diff(seen, axis=0)).mean((1, 2))  # [T + 1], from each frame to the next one
    weights = NEIGHBOUR * np.clip(1 - changed / CHANGED, 0, 1) * (np.abs(np.diff(times)) <= FARTHEST_S)
    weights[0] *= before is not None
    weights[-1] *= after is not None
    towards = weights[:, None] * np.clip(np.diff(logits, axis=0), -MOST, MOST)  # [T + 1, K]
    heard = (towards[1:] - towards[:-1]) / (1 + weights[1:] + weights[:-1])[:, None]
    category_logits = (clip.answer.category_logits + heard).astype(np.float32)
    answer = replace(clip.answer, frame_logits=category_logits.max(-1), category_logits=category_logits)
    return replace(clip, answer=answer)
