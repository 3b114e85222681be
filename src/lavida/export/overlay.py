"""`overlay.mp4`: the video with masks and score drawn on it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from lavida.errors import InputError, reason
from lavida.export.drawing import Label, MaskLayer, colours, draw_score_bar
from lavida.export.film import encoder
from lavida.video.decode import decoded_ahead
from lavida.video.source import Source

if TYPE_CHECKING:
    from lavida.detection import Detection, Mask

MAX_WIDTH, MAX_HEIGHT = 1280, 8192  # of a folder of long scans; H.264 has no more than 16,384


def write_overlay(
    detection: Detection,
    path: Path,
    *,
    source: Source | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Read the source a second time and write it with masks, score bar and label, every frame once.

    Args:
        detection: the result to draw.
        path: the MP4 file to write: H.264, each frame at its own time, even sides, at most 1280 pixels wide.
        source: where to read it; that of the detection if None, else the file it came from.
        progress: called with the number of frames done.

    Raises:
        InputError: the source cannot be read again, or the video cannot be encoded.
    """
    size = overlay_size(height=detection.info.height, width=detection.info.width)
    painter = OverlayPainter(detection, size=size)
    try:
        with (
            decoded_ahead(source or detection.source or detection.info.path) as footage,
            encoder(path, size=size, fps=detection.info.fps, times=detection.times, end_s=detection.end_s) as encode,
        ):
            # a stretch of a source begins later than the file
            frames = dropwhile(lambda frame: frame.time_s < detection.times[0], footage.read(stride=1, size=size))
            picture = np.zeros((*size, 3), dtype=np.uint8)
            for done, frame in enumerate(islice(frames, len(detection.times)), start=1):
                if frame.image is not None:  # a damaged one shows the picture before it
                    picture = frame.image
                image = picture.copy()
                painter.draw(image, done - 1)
                encode(image)
                if progress is not None:
                    progress(done)
    except (av.error.ExternalError, av.error.PatchWelcomeError, av.error.ArgumentError) as error:
        what = f"the overlay of {detection.info.path} cannot be encoded ({reason(error)})"
        raise InputError(f"{what}; leave it out with --no-overlay (overlay=False)") from error


def overlay_size(*, height: int, width: int) -> tuple[int, int]:
    """Even (height, width) of the overlay of a video with these displayed sides."""
    scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / height)
    even_height, even_width = (max(2, int(side * scale) // 2 * 2) for side in (height, width))
    return even_height, even_width


class OverlayPainter:
    """Draws a detection on frames that come in order."""

    def __init__(self, detection: Detection, *, size: tuple[int, int]) -> None:
        self.size = size
        self.times, self.scores, self.threshold = detection.times, detection.scores, detection.threshold
        self.sampled = detection.sampled
        self.colours = colours(detection.categories)
        self.label = Label(size)
        self.category_at = _event_categories(detection)
        self.masks_at: dict[int, list[Mask]] = {}
        for mask in detection.masks:
            self.masks_at.setdefault(mask.frame, []).append(mask)
        self._held: tuple[int, MaskLayer | None] = (-1, None)

    def draw(self, image: np.ndarray, frame: int) -> None:
        """Draw on one frame, uint8 RGB `[h, w, 3]`, in place. Outside events only the gray bar is drawn."""
        category, colour = self.category_at[frame], None
        if category is not None:
            colour = self.colours[category]
            if (layer := self._layer(frame)) is not None:
                layer.draw(image)
            rest = f"{self.scores[frame]:.2f} | {self.times[frame]:.1f} s"
            self.label.draw(image, category=category, rest=rest, colour=colour)
        draw_score_bar(image, score=float(self.scores[frame]), threshold=self.threshold, colour=colour)

    def _layer(self, frame: int) -> MaskLayer | None:
        before = int(np.searchsorted(self.sampled, frame, side="right")) - 1
        analysed = int(self.sampled[max(before, 0)])  # the first frames may be damaged
        if self._held[0] != analysed:
            masks = self.masks_at.get(analysed, [])
            self._held = (analysed, MaskLayer.of(masks, colours=self.colours, size=self.size))
        return self._held[1]


def _event_categories(detection: Detection) -> list[str | None]:
    at: list[str | None] = [None] * len(detection.times)
    for event in detection.events():
        first, stop = np.searchsorted(detection.times, [event.start_s, event.end_s])
        at[first:stop] = [event.category] * int(stop - first)
    return at
