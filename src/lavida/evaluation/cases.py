"""What a report shows of a result: score curves, and pictures of the false alarms, misses and hits worth looking at."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.builder import MASK_LOGIT
from lavida.detection import Mask
from lavida.detector import Detector
from lavida.evaluation.benchmarks.official import Benchmark, Truth, Video
from lavida.evaluation.results import Result, ScoredVideo
from lavida.export.drawing import Colour, paint
from lavida.export.moments import stretches
from lavida.export.timeline_layout import thin
from lavida.video.decode import open_source
from lavida.video.excerpt import Excerpt, analysed_frames, read_frames, whole_clips
from lavida.video.source import Source

WIDTH, HEIGHT = 640, 96  # units of the drawing of a curve
FOUND: Colour = (25, 224, 150)
_MOST_POINTS = 480
_LEAST_GAP = 25  # frames between two cases of one video; neighbours look alike
_GAP_SHARE = 0.2  # of the video
_PICTURE_WIDTH, _QUALITY = 480, 82  # pixels, for small frames too, so that outlines stay thin; of JPEG
_KINDS = (  # title, explanation, label of the frames, and whether high (1) or low scores (-1) tell
    ("False alarms", "Normal frames with the highest scores.", 0, 1),
    ("Misses", "Abnormal frames with the lowest scores.", 1, -1),
    ("Hits", "Abnormal frames with the highest scores.", 1, 1),
)


class Case(NamedTuple):
    """One frame of a video, by the video's official name and the frame's number, and its score as measured."""

    video: str
    frame: int
    score: float


class CaseGroup(NamedTuple):
    """Cases of one kind, the most telling first."""

    title: str
    explanation: str
    cases: list[Case]


def choose_cases(result: Result, *, count: int = 4) -> list[CaseGroup]:
    """The highest-scored normal frames, the lowest-scored abnormal ones and the highest-scored abnormal ones.

    Only frames that were analysed, not interpolated; of one video only frames that lie well apart, and those of other
    videos first. At most `count` of a kind.
    """
    groups = (
        CaseGroup(title, explanation, _most_extreme(result, label=label, sign=sign, count=count))
        for title, explanation, label, sign in _KINDS
    )
    return [group for group in groups if group.cases]


def _most_extreme(result: Result, *, label: int, sign: int, count: int) -> list[Case]:
    ranked = [
        (place, case)
        for video in result.videos
        for place, case in enumerate(_apart(video, result, label=label, sign=sign, count=count))
    ]
    ranked.sort(key=lambda each: (each[0], -sign * each[1].score))  # the first of every video, then the second
    return sorted((case for _, case in ranked[:count]), key=lambda case: -sign * case.score)


def _apart(video: ScoredVideo, result: Result, *, label: int, sign: int, count: int) -> list[Case]:
    """The most extreme of the frames whose scores come from the scorer itself, none near another."""
    frames = np.arange(0, len(video.scores), int(result.protocol.get("stride", 1)))
    if result.protocol.get("tails", "kept") == "kept":
        frames = np.union1d(frames, [len(video.scores) - 1])
    frames = frames[video.labels[frames] == label]
    gap = max(_LEAST_GAP, round(_GAP_SHARE * len(video.scores)))
    chosen: list[int] = []
    while len(frames) and len(chosen) < count:
        best = int(frames[(sign * video.scores[frames]).argmax()])
        chosen.append(best)
        frames = frames[np.abs(frames - best) >= gap]
    return [Case(video.name, frame, float(video.scores[frame])) for frame in chosen]


def score_range(result: Result) -> tuple[float, float]:
    """Lowest and highest value of the score axis: 0 and 1 for probabilities, else what occurs in the result."""
    low = min(float(video.scores.min()) for video in result.videos)
    high = max(float(video.scores.max()) for video in result.videos)
    if result.threshold == 0.5:
        return min(0.0, low), max(1.0, high)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def curve(video: ScoredVideo, *, low: float, high: float, threshold: float | None) -> dict[str, Any]:
    """The scores of a video between the ends of the score axis, as the numbers of an inline SVG drawing, y downwards.

    These are the `path` of the score line; `truth`, (x, width) of the abnormal stretches; the y of the `threshold`.
    """
    frames = len(video.scores)
    step = WIDTH / frames

    def y(score: float) -> float:
        return round(HEIGHT * (1 - (score - low) / (high - low)), 1)

    xs, scores = thin((np.arange(frames) + 0.5) * step, video.scores, most=_MOST_POINTS)
    points = [f"{x:.1f} {y(score)}" for x, score in zip(xs, scores, strict=True)]
    truth = [(round(first * step, 1), round((stop - first) * step, 1)) for first, stop in stretches(video.labels)]
    line = y(threshold) if threshold is not None and low <= threshold <= high else None
    return {"path": "M" + "L".join(points), "truth": truth, "threshold": line}


@dataclass(frozen=True)
class Picture:
    """A picture for the page."""

    uri: str  # JPEG as a `data:` address
    size: tuple[int, int]  # (height, width) in pixels
    category: str | None  # which one the model answers to; None without a model
    annotated: bool  # whether annotated pixels are outlined
    marked: bool  # whether the model's are


def draw_frames(
    benchmark: Benchmark, video: Video, frames: Sequence[int], *, detector: Detector | None, stride: int
) -> dict[int, Picture]:
    """Pictures of some frames of a video by their number, without those that cannot be read.

    The detector looks at these frames again, in the clips in which it saw them before, for the categories that were
    looked for (`video`) and with the stride of the evaluation; None: no model's outlines.

    Raises:
        InputError: the video or its annotation cannot be read.
    """
    source = open_source(video.source)
    true = Truth(benchmark, video).masks(frames)
    found = {} if detector is None else _detect_again(detector, source, video, frames, stride=stride)
    size = max(1, round(source.info.height * _PICTURE_WIDTH / source.info.width)), _PICTURE_WIDTH
    pictures = read_frames(source, frames, size=size)
    return {frame: _picture(image, found=found.get(frame), true=true.get(frame)) for frame, image in pictures.items()}


def _detect_again(
    detector: Detector, source: Source, video: Video, frames: Iterable[int], *, stride: int
) -> dict[int, Mask]:
    """What the model marks in each frame, under the category with the highest score there."""
    wanted = set(frames)
    analysed = analysed_frames(video.frames, stride=stride)
    clips = whole_clips(wanted, analysed=analysed, length=detector.clip_length)
    found = {}
    for clip in detector.stream(Excerpt(source, clips), video.categories, stride=stride):
        for t, frame in enumerate(clip.indices.tolist()):
            if frame in wanted:
                best = int(clip.category_scores[t].argmax())
                score = float(clip.category_scores[t, best])
                pixels = clip.pixel_map(t) >= MASK_LOGIT
                found[frame] = Mask.from_pixels(pixels, frame=frame, category=video.categories[best], score=score)
    return found


def _picture(image: NDArray[np.uint8], *, found: Mask | None, true: NDArray[np.bool_] | None) -> Picture:
    marks = [] if found is None else [found]
    painted = paint(image, found=marks, colours={mask.category: FOUND for mask in marks}, true=true)
    file = io.BytesIO()
    Image.fromarray(painted).save(file, format="JPEG", quality=_QUALITY, optimize=True)
    return Picture(
        uri="data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii"),
        size=(painted.shape[0], painted.shape[1]),
        category=None if found is None else found.category,
        annotated=true is not None and bool(true.any()),
        marked=found is not None and found.box is not None,
    )
