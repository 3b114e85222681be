"""Clips: what the model sees at once. They cover every selected frame, the tail and short videos included."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.video.decode import Frame


@dataclass(frozen=True, slots=True)
class Clip:
    """Up to `length` selected frames of one video, in presentation order.

    Attributes:
        frames: uint8 `[T, 3, H, W]`, RGB.
        indices: int64 `[T]`, each frame's index in the video.
        times: float64 `[T]`, seconds since the video's first frame.
        motion: float16 `[T, 4, H/4, W/4]` (`motion_field`), None where the frames came without theirs.
    """

    frames: NDArray[np.uint8]
    indices: NDArray[np.int64]
    times: NDArray[np.float64]
    motion: NDArray[np.float16] | None = None

    def part(self, some: slice) -> "Clip":
        """Some of the frames."""
        motion = None if self.motion is None else self.motion[some]
        return Clip(self.frames[some], self.indices[some], self.times[some], motion)


def clips(frames: Iterable[Frame], *, length: int) -> Iterator[Clip]:
    """Group the frames that carry an image into clips of `length`, no frame twice; the last may be shorter.

    Raises:
        ValueError: `length` is less than 1.
    """
    if length < 1:
        raise ValueError(f"a clip holds at least one frame, not {length}")
    selected: list[Frame] = []
    for frame in frames:
        if frame.image is None:
            continue
        selected.append(frame)
        if len(selected) == length:
            yield _clip(selected)
    if selected:
        yield _clip(selected)


def _clip(selected: list[Frame]) -> Clip:
    """Empties the list, so that no picture is held twice: each goes as soon as it is part of the clip."""
    images = deque(frame.image for frame in selected if frame.image is not None)
    fields = [frame.motion for frame in selected if frame.motion is not None]
    indices, times = zip(*((frame.index, frame.time_s) for frame in selected), strict=True)
    motion = np.stack(fields) if len(fields) == len(selected) else None
    selected.clear()
    frames = np.empty((len(images), 3, *images[0].shape[:2]), np.uint8)
    for planes in frames:
        cv2.split(images.popleft(), list(planes))
    return Clip(frames, np.array(indices, np.int64), np.array(times, np.float64), motion)


def analysis_size(width: int, height: int, *, long_side: int, multiple: int) -> tuple[int, int]:
    """The size at which frames are analysed, as `(height, width)`.

    The longer side becomes `long_side`, the other one keeps the aspect ratio; both are rounded to the nearest
    multiple of `multiple`, at least one of it.
    """
    scale = long_side / max(width, height)

    def rounded(side: int) -> int:
        return max(1, round(side * scale / multiple)) * multiple

    return rounded(height), rounded(width)
