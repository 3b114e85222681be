"""Frames for the page: what the model marks and what is annotated, as pictures that lie in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.builder import MASK_LOGIT
from lavida.detection import Mask
from lavida.detector import Detector
from lavida.evaluation.benchmarks import Benchmark, Video
from lavida.evaluation.benchmarks.contract import Truth
from lavida.export.drawing import Colour, paint
from lavida.video.decode import open_source
from lavida.video.excerpt import Excerpt, analysed_frames, read_frames, whole_clips
from lavida.video.source import Source

FOUND: Colour = (25, 224, 150)
_WIDTH, _QUALITY = 480, 82  # pixels, for small frames too, so that outlines stay thin; of JPEG


@dataclass(frozen=True)
class Shown:
    """A picture for the page."""

    uri: str  # JPEG as a `data:` address
    size: tuple[int, int]  # (height, width) in pixels
    category: str | None  # which one the model answers to; None without a model
    annotated: bool  # whether annotated pixels are outlined
    marked: bool  # whether the model's are


def show(
    benchmark: Benchmark,
    video: Video,
    frames: Sequence[int],
    *,
    detector: Detector | None,
    stride: int,
) -> dict[int, Shown]:
    """Pictures of some frames of a video by their number, without those that cannot be read.

    Args:
        benchmark: for the annotated pixels.
        video: with the categories that were looked for and the number of frames that were decoded.
        frames: their numbers, all analysed with `stride`.
        detector: looks at these frames again, in the clips in which it saw them before; None: no model's outlines.
        stride: of the evaluation.

    Raises:
        InputError: the video or its annotation cannot be read.
    """
    source = open_source(video.source)
    true = Truth(benchmark, video).masks(frames)
    found = {} if detector is None else _look_again(detector, source, video, frames, stride=stride)
    info = source.info
    size = max(1, round(info.height * _WIDTH / info.width)), _WIDTH
    pictures = read_frames(source, frames, size=size)
    return {frame: _shown(picture, found=found.get(frame), true=true.get(frame)) for frame, picture in pictures.items()}


def _look_again(
    detector: Detector, source: Source, video: Video, frames: Iterable[int], *, stride: int
) -> dict[int, Mask]:
    """What the model marks in each frame, under the category with the highest score there."""
    wanted = set(frames)
    analysed = analysed_frames(video.frames, stride=stride)
    clips = whole_clips(wanted, analysed=analysed, length=detector.model.config.clip_length)
    found = {}
    for clip in detector.stream(Excerpt(source, clips), video.categories, stride=stride):
        for t, frame in enumerate(clip.indices.tolist()):
            if frame in wanted:
                best = int(clip.category_scores[t].argmax())
                score = float(clip.category_scores[t, best])
                pixels = clip.pixel_map(t) >= MASK_LOGIT
                found[frame] = Mask.from_pixels(pixels, frame=frame, category=video.categories[best], score=score)
    return found


def _shown(picture: NDArray[np.uint8], *, found: Mask | None, true: NDArray[np.bool_] | None) -> Shown:
    marks = [] if found is None else [found]
    painted = paint(picture, found=marks, colours={mask.category: FOUND for mask in marks}, true=true)
    file = io.BytesIO()
    Image.fromarray(painted).save(file, format="JPEG", quality=_QUALITY, optimize=True)
    return Shown(
        uri="data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii"),
        size=(painted.shape[0], painted.shape[1]),
        category=None if found is None else found.category,
        annotated=true is not None and bool(true.any()),
        marked=found is not None and found.box is not None,
    )
