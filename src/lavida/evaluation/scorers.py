"""What gives scores, a detector or a trivial baseline that it has to beat: a stream of frames in one form."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.evaluation.benchmarks.official import Video
from lavida.evaluation.protocols import Protocol as Choices
from lavida.video.decode import open_source
from lavida.video.motion import FlowSettings, gaussian_blur, optical_flow
from lavida.video.sampling import with_next

# the strongest of eleven that were tried on UCSD Ped2's development split, labels in view (docs/decisions.md)
_FLOW = FlowSettings(window=3.0, smoothing=2.0, rest=20.0)
_MAX_HEIGHT = 240  # pixels; larger frames are shrunk, which bounds the cost of a frame
_BLUR = 3.0  # pixels, sigma
_BACKGROUND_FRAMES = 64
_NO_PICTURE = 2**31  # a stride that reads the first and the last picture only


class ScoredFrame(NamedTuple):
    """One frame as a scorer saw it."""

    score: float  # any real number, higher is more abnormal, of a detector the logit; nothing where `analysed` is false
    pixel_map: NDArray[np.floating] | None  # `[H, W]` logits or any real numbers; None where there is none
    analysed: bool = True  # false where the scorer did not look; the score is then filled in from other frames
    # how long it took to read and score the frame, its share of the clip where several go together
    seconds: float = 0.0


class Baseline(Protocol):
    """A trivial method: it knows no categories and was trained on nothing.

    Those below give maps `[h, w]` float32, at most 240 high, and but for the random one their maximum as the score.
    """

    name: str

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One `ScoredFrame` for each frame of the source, in order."""
        ...


@runtime_checkable
class DetectorLike(Protocol):
    """The part of `lavida.Detector` that an evaluation needs."""

    name: str

    def stream(
        self,
        source: Path,
        anomalies: Sequence[str],
        *,
        stride: int,
        templates: Iterable[int] | None = None,
        progress: Callable[[int], None],
    ) -> Iterator[Any]:
        """Clips in order, each with `indices`, `frame_logits` and `pixel_map(t)`, as `lavida.Detector.stream`.

        `templates` is given only where the protocol asks for random prompts; `progress` takes the number of frames
        read so far, at the end of all.
        """
        ...


Scorer = Baseline | DetectorLike


class ScorerRecord(NamedTuple):
    """What is written about a scorer."""

    name: str  # as it calls itself
    kind: str  # `detector` or `baseline`
    motion: bool | None  # whether a detector sees what moves; None where that is no question


def record_of(scorer: Scorer) -> ScorerRecord:
    """What is written about it."""
    kind = "detector" if isinstance(scorer, DetectorLike) else "baseline"
    return ScorerRecord(scorer.name, kind, getattr(scorer, "motion", None))


def scored_frames(
    scorer: Scorer, video: Video, *, protocol: Choices, maps: bool, progress: Callable[[int], object]
) -> Iterator[ScoredFrame]:
    """One `ScoredFrame` for each frame of the video, in order; of a detector with maps where they are wanted.

    The protocol says the stride and the prompts of a detector; `progress` is called with the number of frames done.
    """
    if isinstance(scorer, DetectorLike):
        yield from _detector_frames(scorer, video, protocol=protocol, maps=maps, progress=progress)
        return
    started = time.perf_counter()
    for done, frame in enumerate(scorer.score(video.source), start=1):
        yield frame._replace(seconds=time.perf_counter() - started)
        progress(done)
        started = time.perf_counter()


def _detector_frames(
    detector: DetectorLike, video: Video, *, protocol: Choices, maps: bool, progress: Callable[[int], object]
) -> Iterator[ScoredFrame]:
    between = ScoredFrame(float("nan"), None, analysed=False)
    read = 0

    def told(frames: int) -> None:
        nonlocal read
        read = frames
        progress(frames)

    prompts = {"templates": random_templates(video.name)} if protocol.prompt_template == "random" else {}
    clips = detector.stream(video.source, list(video.categories), stride=protocol.stride, progress=told, **prompts)
    done, started = 0, time.perf_counter()
    for clip in clips:
        seconds = (time.perf_counter() - started) / len(clip.indices)
        for t, index in enumerate(clip.indices.tolist()):
            yield from repeat(between, index - done)
            logit = float(clip.frame_logits[t])
            yield ScoredFrame(logit, protocol.gated(clip.pixel_map(t), logit=logit) if maps else None, seconds=seconds)
            done = index + 1
        started = time.perf_counter()
    yield from repeat(between, read - done)


def random_templates(video: str) -> Iterator[int]:
    """For each clip of a video one of the training templates, the same ones in every run."""
    from lavida.model.wording import TEMPLATES  # brings tokenizers, which baselines do without

    random = np.random.default_rng(crc32(video.encode()))
    while True:
        yield int(random.integers(len(TEMPLATES)))


class BackgroundBaseline:
    """Absolute difference to the video's median frame, blurred; in gray levels. For a fixed camera.

    The median is taken over at most 64 evenly spaced frames of the whole video: an offline method.
    """

    name = "background-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """See `Scorer`; the source is read twice."""
        background = _median_frame(source)
        return (_blurred(np.abs(frame - background)) for frame in _gray_frames(source))


class MotionBaseline:
    """Magnitude of the optical flow to the next frame, blurred; in pixels. The last frame looks back."""

    name = "motion-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """See `Scorer`."""
        before = None
        for frame, following in with_next(_gray_frames(source)):
            other = following if following is not None else frame if before is None else before
            yield _blurred(np.linalg.norm(optical_flow(frame, other, _FLOW), axis=0))
            before = frame


class RandomBaseline:
    """Uniform noise in [0, 1], scores and maps apart; the same in every run for a video of this name and size."""

    name = "random-baseline"

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """See `Scorer`."""
        random = np.random.default_rng(crc32(Path(source).name.encode()))
        video = open_source(source)
        size = _shrunk_size(video.info.height, video.info.width)
        for _ in video.read(stride=_NO_PICTURE):
            yield ScoredFrame(float(random.random()), random.random(size, dtype=np.float32))


BASELINES: dict[str, Callable[[], Baseline]] = {
    "motion": MotionBaseline,
    "background": BackgroundBaseline,
    "random": RandomBaseline,
}


def _blurred(raw: NDArray[np.float32]) -> ScoredFrame:
    smooth = gaussian_blur(raw, _BLUR)
    return ScoredFrame(float(smooth.max()), smooth)


def _gray_frames(source: Path) -> Iterator[NDArray[np.float32]]:
    """Every frame as gray `[h, w]` float32, 0 to 255, at most 240 high; its neighbour for a damaged one."""
    damaged_before = 0
    gray: NDArray[np.float32] | None = None
    for frame in open_source(source).read(stride=1):
        if frame.image is not None:
            gray = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY).astype(np.float32)  # [H, W]
            height, width = _shrunk_size(*gray.shape)
            if (height, width) != gray.shape:
                gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
        if gray is None:
            damaged_before += 1
            continue
        yield from repeat(gray, damaged_before + 1)
        damaged_before = 0


def _shrunk_size(height: int, width: int) -> tuple[int, int]:
    return (height, width) if height <= _MAX_HEIGHT else (_MAX_HEIGHT, max(1, round(width * _MAX_HEIGHT / height)))


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
