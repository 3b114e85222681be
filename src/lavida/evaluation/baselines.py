"""Trivial baselines that a trained system has to beat: what moves, and what was not there before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lavida.evaluation.flow import gaussian_blur, optical_flow
from lavida.evaluation.scoring import ScoredFrame
from lavida.video.decode import open_source

_LUMA = (0.299, 0.587, 0.114)
_MAX_HEIGHT = 240  # pixels; larger frames are shrunk, which bounds the cost of a frame
_BLUR = 3.0  # pixels, sigma
_BACKGROUND_FRAMES = 64


class BackgroundBaseline:
    """Absolute difference to the video's median frame, blurred; in gray levels. For a fixed camera.

    The median is taken over at most 64 evenly spaced frames of the whole video: an offline method.
    """

    name = "background-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One frame after the other: map `[h, w]` float32, at most 240 high, and its maximum as the score."""
        background = _median_frame(source)
        for frame in _gray_frames(source):
            yield _scored((frame - background).abs())


class MotionBaseline:
    """Magnitude of the optical flow to the next frame, blurred; in pixels. The last frame looks back."""

    name = "motion-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One frame after the other: map `[h, w]` float32, at most 240 high, and its maximum as the score."""
        before = frame = None
        for following in _gray_frames(source):
            if frame is not None:
                yield _scored(optical_flow(frame, following).norm(dim=0))
            before, frame = frame, following
        if frame is not None:
            yield _scored(optical_flow(frame, frame if before is None else before).norm(dim=0))


BASELINES = {"motion": MotionBaseline, "background": BackgroundBaseline}


def _scored(raw: Tensor) -> ScoredFrame:
    smooth = gaussian_blur(raw[None, None], _BLUR)[0, 0]
    return ScoredFrame(float(smooth.max()), smooth.numpy())


def _gray_frames(source: Path) -> Iterator[Tensor]:
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


def _shrunk_gray(image: NDArray[np.uint8]) -> Tensor:
    gray = torch.from_numpy(np.ascontiguousarray(image)).float() @ torch.tensor(_LUMA)  # [H, W]
    height, width = gray.shape
    if height <= _MAX_HEIGHT:
        return gray
    size = (_MAX_HEIGHT, max(1, round(width * _MAX_HEIGHT / height)))
    return F.interpolate(gray[None, None], size=size, mode="area")[0, 0]


def _median_frame(source: Path) -> Tensor:
    """Median over 33 to 64 evenly spaced frames (all of a shorter video).

    Announced frame counts are not to be trusted, so the spacing doubles whenever too many frames are kept.
    """
    kept: list[Tensor] = []
    spacing = 1
    for index, frame in enumerate(_gray_frames(source)):
        if index % spacing:
            continue
        kept.append(frame)
        if len(kept) > _BACKGROUND_FRAMES:
            kept, spacing = kept[::2], spacing * 2
    return torch.from_numpy(np.median(torch.stack(kept).numpy(), axis=0))  # [h, w]
