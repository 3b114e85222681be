"""`lavida figure`: the paper's pictures of any video, or of a benchmark's with its truth."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lavida.console import complain, tell
from lavida.detector import DEFAULT_THRESHOLD, Detector, check_categories, check_settings, load
from lavida.errors import InputError
from lavida.evaluation import open_benchmark
from lavida.evaluation.benchmarks.contract import Truth, find_video
from lavida.export.moments import nearest_frame, telling_moments
from lavida.paper.figures.masks import draw_masks
from lavida.paper.figures.scores import draw_scores
from lavida.paper.figures.sheet import Case, Sheet, check_out
from lavida.paper.figures.tokens import draw_tokens, look
from lavida.progress import progress_bar
from lavida.video.decode import default_stride, open_source
from lavida.video.excerpt import Stretch
from lavida.video.source import Source

KINDS = ("scores", "masks", "tokens")


@dataclass(frozen=True)
class _Wanted:
    """One video to be shown."""

    title: str
    source: Source
    categories: tuple[str, ...]
    truth: Truth | None


@dataclass(frozen=True, kw_only=True)
class FigureCommand:
    """The options of `lavida figure`; None stands for the default."""

    anomalies: Sequence[str]
    out: Path
    model: str
    stride: int | None
    threshold: float | None
    moments: int | None
    at: Sequence[float]
    start: float
    end: float | None
    benchmark: str | None
    root: Path | None
    videos: Sequence[str]
    device: str

    def run(self, kind: str, sources: Sequence[str]) -> None:
        """Draw the figure and say where it is. Raises InputError for what cannot be drawn."""
        self._check(kind, sources)
        wanted = list(self._wanted(sources))
        if kind != "tokens":
            for video in wanted:
                check_categories(video.categories)
        detector = load(self.model, device=self.device)
        draw: dict[str, Callable[[], Sheet]] = {
            "scores": lambda: draw_scores(self._cases(detector, wanted), moments=self.moments or 5, at=self.at),
            "masks": lambda: draw_masks(self._cases(detector, wanted), at=self.at),
            "tokens": lambda: self._tokens(detector, wanted),
        }
        draw[kind]().save(self.out)
        tell(f"figure drawn in {self.out}")

    def _check(self, kind: str, sources: Sequence[str]) -> None:
        if kind not in KINDS:
            raise InputError(f"unknown figure {kind}: choose {', '.join(KINDS)}")
        check_out(self.out)
        check_settings(stride=self.stride, threshold=self._threshold)
        if self.moments is not None and self.moments < 1:
            raise InputError(f"--moments is {self.moments}; give 1 or more")
        if self.benchmark is None:
            if self.root is not None or self.videos:
                raise InputError("--root and --video need --benchmark NAME; give it, or a video file without them")
            if not sources:
                raise InputError("no video: give a video file or a folder of images, or --benchmark with --root")
        elif sources:
            raise InputError(f"{sources[0]}: with --benchmark the videos are chosen by --video; leave it out")
        elif self.root is None or not self.videos:
            raise InputError(f"--benchmark {self.benchmark} needs --root DIR and at least one --video NAME")

    @property
    def _threshold(self) -> float:
        return DEFAULT_THRESHOLD if self.threshold is None else self.threshold

    def _wanted(self, sources: Sequence[str]) -> Iterator[_Wanted]:
        own = tuple(self.anomalies)
        if self.benchmark is None:
            for path in sources:
                source = self._cut(open_source(path))
                yield _Wanted(source.info.path.name, source, own, None)
            return
        benchmark = open_benchmark(self.benchmark, self.root or Path())
        for name in self.videos:
            video = find_video(benchmark, name)
            title = f"{benchmark.name} {video.name}"
            yield _Wanted(title, self._cut(open_source(video.source)), own or video.categories, Truth(benchmark, video))

    def _cut(self, source: Source) -> Source:
        if self.start == 0 and self.end is None:
            return source
        return Stretch(source, start_s=self.start, end_s=math.inf if self.end is None else self.end)

    def _cases(self, detector: Detector, wanted: Sequence[_Wanted]) -> list[Case]:
        return [self._case(detector, video) for video in wanted]

    def _case(self, detector: Detector, video: _Wanted) -> Case:
        with progress_bar(f"{video.title}: looking", total=video.source.info.frames_hint) as advance:
            detection = detector.detect(
                video.source, video.categories, stride=self.stride, threshold=self._threshold, progress=advance.to
            )
        for warning in detection.run["warnings"]:
            complain(f"warning: {warning}")
        first = video.source.first if isinstance(video.source, Stretch) else 0
        return Case(title=video.title, source=video.source, detection=detection, truth=video.truth, first=first)

    def _tokens(self, detector: Detector, wanted: Sequence[_Wanted]) -> Sheet:
        rows = []
        for video in wanted:
            stride = self.stride or default_stride(video.source.info.fps)
            frames = self._token_frames(detector, video, stride)
            rows += look(detector, video.source, frames, title=video.title, stride=stride)
        return draw_tokens(rows)

    def _token_frames(self, detector: Detector, video: _Wanted, stride: int) -> list[int]:
        """Those of `--at`; where something is looked for, the telling ones; else some spread over the video."""
        count = self.moments or 3
        if video.categories and not self.at:
            case = self._case(detector, video)
            return telling_moments(case.detection, case.labels(), count=count)
        times = np.array([frame.time_s for frame in video.source.read(stride=stride, size=(32, 32))])
        seconds = self.at or (np.arange(count) + 0.5) / count * (times[-1] - times[0]) + times[0]
        return sorted({nearest_frame(times, float(second)) // stride * stride for second in seconds})
