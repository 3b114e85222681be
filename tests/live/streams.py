"""Videos whose scores the tests know, and a scorer that answers at once."""

import time
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lavida.detection import Mask
from lavida.live.scorer import ClipScores
from lavida.video.source import Frame

CATEGORIES = ("fire", "smoke")


def clip(path: Path, levels: Sequence[int], *, fps: int = 25, width: int = 64, height: int = 48, **options) -> Path:
    """A video whose frame i is gray of `levels[i]`."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 5
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class BrightScorer:
    """A frame's score for "fire" is its brightness, for "smoke" half of it; each call may take some time."""

    def __init__(self, *, clip_length: int = 4, takes_s: float = 0.0, motion: bool = False) -> None:
        self.clip_length, self.takes_s, self.motion = clip_length, takes_s, motion
        self.clips: list[list[int]] = []
        self.asked = Counter[tuple[str, ...]]()  # clips by their words

    def analysed_size(self, width: int, height: int) -> tuple[int, int]:
        return 32, 32

    def score(
        self, frames: Sequence[Frame], categories: Sequence[str], *, size: tuple[int, int], floor: float
    ) -> ClipScores:
        time.sleep(self.takes_s)
        self.clips.append([frame.index for frame in frames])
        self.asked[tuple(categories)] += 1
        scores = np.array([frame.image.mean() / 255 for frame in frames if frame.image is not None], np.float32)
        per_category = np.stack([scores, *[scores / 2] * (len(categories) - 1)], axis=1)
        pixels = np.zeros(size, bool)
        pixels[5:10, 20:30] = True
        masks = [
            [Mask.from_pixels(pixels, frame=frame.index, category=categories[0], score=score)] if score >= floor else []
            for frame, score in zip(frames, scores, strict=True)
        ]
        return ClipScores(scores, per_category, masks)
