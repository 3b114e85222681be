"""Trivial baselines that a trained system has to beat: what moves, what was not there before, and chance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.evaluation.scoring import ScoredFrame
from lavida.video.decode import open_source
from lavida.video.flow import FlowSettings, gaussian_blur, optical_flow

_FLOW = FlowSettings(window=3.0, smoothing=2.0, rest=20.0)  # the strongest of the variants in docs/decisions.md
_MAX_HEIGHT = 240  # pixels; larger frames are shrunk, which bounds the cost of a frame
_BLUR = 3.0  # pixels, sigma
_BACKGROUND_FRAMES = 64
_NO_PICTURE = 2**31  # a stride that reads the first and the last picture only


class BackgroundBaseline:
    """Absolute difference to the video's median frame, blurred; in gray levels. For a fixed camera.

    The median is taken over at most 64 evenly spaced frames of the whole video: an offline method.
    """

    name = "background-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One frame after the other: map `[h, w]` float32, at most 240 high, and its maximum as the score."""
        background = _median_frame(source)
        for frame in _gray_frames(source):
            yield _scored(np.abs(frame - background))


class MotionBaseline:
    """Magnitude of the optical flow to the next frame, blurred; in pixels. The last frame looks back."""

    name = "motion-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One frame after the other: map `[h, w]` float32, at most 240 high, and its maximum as the score."""
        before = frame = None
        for following in _gray_frames(source):
            if frame is not None:
                yield _scored(_speed(frame, following))
            before, frame = frame, following
        if frame is not None:
            yield _scored(_speed(frame, frame if before is None else before))


class RandomBaseline:
    """Uniform noise in [0, 1], scores and maps apart; the same in every run for a video of this name and size."""

    name = "random-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One frame after the other: a score, and a map `[h, w]` float32 that is at most 240 high."""
        random = np.random.default_rng(crc32(Path(source).name.encode()))
        video = open_source(source)
        height, width = _shrunk_size(video.info.height, video.info.width)
        for _ in video.read(stride=_NO_PICTURE):
            yield ScoredFrame(float(random.random()), random.random((height, width), dtype=np.float32))


BASELINES = {"motion": MotionBaseline, "background": BackgroundBaseline, "random": RandomBaseline}


def _speed(frame: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.linalg.norm(optical_flow(frame, other, _FLOW), axis=0)


def _scored(raw: NDArray[np.float32]) -> ScoredFrame:
    smooth = gaussian_blur(raw, _BLUR)
    return ScoredFrame(float(smooth.max()), smooth)


def _gray_frames(source: Path) -> Iterator[NDArray[np.float32]]:
    """Every frame as gray `[h, w]` float32, 0 to 255, at most 240 high; its neighbour for a damaged one."""
    damaged_before, gray = 0, None
    for frame in open_source(source).read(stride=1):
        if frame.image is not None:
            gray = _shrunk_gray(frame.image)
        if gray is None:
            damaged_before += 1
            continue
        yield from repeat(gray, damaged_before + 1)
        damaged_before = 0


def _shrunk_gray(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)  # [H, W]
    height, width = _shrunk_size(*gray.shape)
    if (height, width) == gray.shape:
        return gray
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)


def _shrunk_size(height: int, width: int) -> tuple[int, int]:
    if height <= _MAX_HEIGHT:
        return height, width
    return _MAX_HEIGHT, max(1, round(width * _MAX_HEIGHT / height))


def _median_frame(source: Path) -> NDArray[np.float32]:
    """Median over 33 to 64 evenly spaced frames (all of a shorter video).

    Announced frame counts are not to be trusted, so the spacing doubles whenever too many frames are kept.
    """
    kept: list[NDArray[np.float32]] = []
    spacing = 1
    for index, frame in enumerate(_gray_frames(source)):
        if index % spacing:
            continue
        kept.append(frame)
        if len(kept) > _BACKGROUND_FRAMES:
            kept, spacing = kept[::2], spacing * 2
    return np.median(np.stack(kept), axis=0)  # [h, w]
