"""What a figure shows of one video: its frames, what was found, and what is true where that is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lavida.detection import Detection, Mask
from lavida.evaluation.truth import Truth
from lavida.video.excerpt import read_frames
from lavida.video.source import Source, SourceInfo

PICTURE_WIDTH = 640  # pixels of a frame in a figure, at most


@dataclass(frozen=True, kw_only=True)
class Case:
    """One video of a figure.

    Attributes:
        title: what it is called.
        source: its frames, numbered as in `detection`.
        detection: what was found.
        truth: its annotation, None where there is none.
        first: number in the annotation of frame 0 of `source`, which may be a stretch of the video.
    """

    title: str
    source: Source
    detection: Detection
    truth: Truth | None = None
    first: int = 0

    def labels(self) -> NDArray[np.uint8] | None:
        """`[frames]`, 1 where abnormal; None without an annotation.

        Raises:
            InputError: the annotation is shorter than the video.
        """
        if self.truth is None:
            return None
        labels, frames = self.truth.labels(), self.first + len(self.detection.times)
        if len(labels) < frames:  # headers announce a few frames less than there are
            labels = self.truth.labels(frames)
        return labels[self.first : frames]

    def true_masks(self, frames: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
        """Annotated pixels `[H, W]` by frame; empty where nothing is annotated."""
        if self.truth is None:
            return {}
        masks = self.truth.masks(frame + self.first for frame in frames)
        return {frame - self.first: mask for frame, mask in masks.items()}

    def found_masks(self, frame: int) -> list[Mask]:
        """The masks found in one analysed frame."""
        return [mask for mask in self.detection.masks if mask.frame == frame]

    def pictures(self, frames: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
        """Pictures `[h, w, 3]` by frame, at most 640 pixels wide; black where a frame cannot be read."""
        wanted = list(frames)
        size = picture_size(self.source.info)
        read = read_frames(self.source, wanted, size=size)
        return {frame: read.get(frame, np.zeros((*size, 3), np.uint8)) for frame in wanted}


def picture_size(info: SourceInfo, *, width: int = PICTURE_WIDTH) -> tuple[int, int]:
    """(height, width) of a frame in a figure: its own, or less to be at most `width` wide."""
    scale = min(1.0, width / info.width)
    return max(1, round(info.height * scale)), max(1, round(info.width * scale))
