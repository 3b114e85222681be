"""The one form in which an evaluation takes scores, whatever gave them: a stream of frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lavida.evaluation.benchmarks.contract import Video
from lavida.evaluation.protocols import Protocol as Choices


class ScoredFrame(NamedTuple):
    """One frame as a scorer saw it.

    Attributes:
        score: any real number, higher is more abnormal, of a detector the logit; nothing where `analysed` is false.
        pixel_map: `[H, W]` logits or any real numbers; None where there is none.
        analysed: false where the scorer did not look; the score is then filled in from other frames.
        seconds: how long it took to read and score the frame, its share of the clip where several go together.
    """

    score: float
    pixel_map: NDArray[np.floating] | None
    analysed: bool = True
    seconds: float = 0.0


class Baseline(Protocol):
    """A trivial method: it knows no categories and was trained on nothing."""

    name: str

    def score(self, source: Path) -> Iterator[ScoredFrame]:
        """One `ScoredFrame` for each frame of the source, in order."""
        ...


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
        """Clips in order, each with `indices`, `frame_logits` and `pixel_map(t)`, as `lavida.scored_clip.ScoredClip`.

        `templates` is given only where the protocol asks for random prompts; `progress` takes the number of frames
        read so far, at the end of all.
        """
        ...


Scorer = Baseline | DetectorLike


class ScorerRecord(NamedTuple):
    """What is written about a scorer.

    Attributes:
        name: as it calls itself.
        kind: `detector` or `baseline`.
        motion: whether a detector sees what moves; None where that is no question.
    """

    name: str
    kind: str
    motion: bool | None


def record_of(scorer: Scorer) -> ScorerRecord:
    """What is written about this scorer."""
    kind = "detector" if hasattr(scorer, "stream") else "baseline"
    return ScorerRecord(scorer.name, kind, getattr(scorer, "motion", None))


def scored_frames(
    scorer: Scorer, video: Video, *, protocol: Choices, maps: bool, progress: Callable[[int], None]
) -> Iterator[ScoredFrame]:
    """One `ScoredFrame` for each frame of the video, in order.

    Args:
        scorer: a detector (it has `stream`) or a baseline.
        video: what is scored.
        protocol: says the stride and the prompts of a detector.
        maps: whether a detector's maps are wanted.
        progress: called with the number of frames done so far.
    """
    if record_of(scorer).kind == "detector":
        return _detector_frames(scorer, video, protocol=protocol, maps=maps, progress=progress)
    return _baseline_frames(scorer, video, progress=progress)


def _baseline_frames(baseline: Baseline, video: Video, *, progress: Callable[[int], None]) -> Iterator[ScoredFrame]:
    started = time.perf_counter()
    for done, frame in enumerate(baseline.score(video.source), start=1):
        yield frame._replace(seconds=time.perf_counter() - started)
        progress(done)
        started = time.perf_counter()


def _detector_frames(
    detector: DetectorLike, video: Video, *, protocol: Choices, maps: bool, progress: Callable[[int], None]
) -> Iterator[ScoredFrame]:
    between = ScoredFrame(float("nan"), None, analysed=False)
    read = _Latest(progress)
    prompts = {"templates": random_templates(video.name)} if protocol.prompt_template == "random" else {}
    clips = detector.stream(video.source, list(video.categories), stride=protocol.stride, progress=read.note, **prompts)
    done, started = 0, time.perf_counter()
    for clip in clips:
        seconds = (time.perf_counter() - started) / len(clip.indices)
        for t, index in enumerate(clip.indices.tolist()):
            yield from (between for _ in range(done, index))
            yield ScoredFrame(float(clip.frame_logits[t]), clip.pixel_map(t) if maps else None, seconds=seconds)
            done = index + 1
        started = time.perf_counter()
    yield from (between for _ in range(done, read.value))


def random_templates(video: str) -> Iterator[int]:
    """For each clip of a video one of the training templates, the same ones in every run."""
    from lavida.model.prompt import TEMPLATES  # brings the language model's libraries, which baselines do without

    random = np.random.default_rng(crc32(video.encode()))
    while True:
        yield int(random.integers(len(TEMPLATES)))


class _Latest:
    """Keeps the last number that was passed on."""

    def __init__(self, passed_on: Callable[[int], None]) -> None:
        self.value, self._passed_on = 0, passed_on

    def note(self, value: int) -> None:
        self.value = value
        self._passed_on(value)
