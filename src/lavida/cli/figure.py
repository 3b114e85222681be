"""`lavida figure`: the paper's pictures of any video, or of a benchmark's with its truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavida.cli.options import BenchmarkRoot, DeviceOption, ModelOption, StrideOption, ThresholdOption, refuse
from lavida.errors import InputError, unknown
from lavida.terminal import print_message, print_result, progress_bars

if TYPE_CHECKING:
    from lavida.detector import Detector
    from lavida.evaluation.benchmarks.official import Truth
    from lavida.paper.figures.sheet import Case, Sheet
    from lavida.video.source import Source

KINDS = ("scores", "masks", "tokens")


@dataclass(frozen=True)
class _Wanted:
    """One video to be shown."""

    title: str
    source: Source
    categories: tuple[str, ...]
    truth: Truth | None


def figure(
    kind: Annotated[str, typer.Argument(help="scores (Figure 4), masks (Figure 5) or tokens (Figure 6).")],
    sources: Annotated[list[str] | None, typer.Argument(help="Video files or folders of images.")] = None,
    anomalies: Annotated[
        list[str] | None, typer.Option("--anomaly", "-a", help="What counts as abnormal, in words; repeat for more.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture: PNG, PDF or SVG.")] = Path("figure.png"),
    model: ModelOption = "nano",
    stride: StrideOption = None,
    threshold: ThresholdOption = None,
    moments: Annotated[int | None, typer.Option(help="Frames shown of each video; default: 5, 3 for tokens.")] = None,
    at: Annotated[list[float] | None, typer.Option(help="Show the frame at this second; repeat for more.")] = None,
    start: Annotated[float, typer.Option(help="Second from which a video is shown.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Second up to which a video is shown.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Show videos of this benchmark, with their truth.")] = None,
    root: BenchmarkRoot = None,
    videos: Annotated[list[str] | None, typer.Option("--video", help="A video of it; repeat for more.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw what was found in videos as the paper's Figures 4, 5 and 6."""
    from lavida.detector import DEFAULT_THRESHOLD, check_categories, check_settings
    from lavida.loading import load
    from lavida.paper.figures.sheet import check_out
    from lavida.video.decode import open_source
    from lavida.video.excerpt import Stretch

    if kind not in KINDS:
        raise unknown("figure", kind, KINDS)
    check_out(out)
    at_least = DEFAULT_THRESHOLD if threshold is None else threshold
    check_settings(stride=stride, threshold=at_least)
    settings = {"stride": stride, "threshold": at_least}
    if moments is not None and moments < 1:
        raise InputError(f"--moments is {moments}; give 1 or more")
    _refuse_unused(kind, moments=moments, at=at, threshold=threshold, looks_for=bool(anomalies or benchmark))
    if benchmark is None:
        if root is not None or videos:
            raise InputError("--root and --video need --benchmark NAME; give it, or a video file without them")
        if not sources:
            raise InputError("no video: give a video file or a folder of images, or --benchmark with --root")
        opened = [open_source(path) for path in sources]
        found = [_Wanted(source.info.path.name, source, tuple(anomalies or ()), None) for source in opened]
    elif sources:
        raise InputError(f"{sources[0]}: with --benchmark the videos are chosen by --video; leave it out")
    elif root is None or not videos:
        raise InputError(f"--benchmark {benchmark} needs --root DIR and at least one --video NAME")
    else:
        found = list(_from_benchmark(benchmark, root, videos, tuple(anomalies or ())))
    if start != 0 or end is not None:
        end = math.inf if end is None else end
        found = [replace(video, source=Stretch(video.source, start_s=start, end_s=end)) for video in found]
    if kind != "tokens":
        for video in found:
            check_categories(video.categories)
    _draw(kind, load(model, device=device, runtime="torch"), found, settings, moments, at or []).save(out)
    print_result(f"figure drawn in {out}")


def _refuse_unused(
    kind: str, *, moments: int | None, at: list[float] | None, threshold: float | None, looks_for: bool
) -> None:
    if kind == "masks":
        refuse({"--moments": moments}, "masks are shown where a category is surest, or --at a second")
    if at:
        refuse({"--moments": moments}, "--at says which frames are shown")
    if kind == "tokens" and (at or not looks_for):
        refuse({"--threshold": threshold}, "tokens are looked for with -a alone, and without --at")


def _from_benchmark(name: str, root: Path, videos: Sequence[str], categories: tuple[str, ...]) -> Iterator[_Wanted]:
    from lavida.evaluation import open_benchmark
    from lavida.evaluation.benchmarks.official import Truth, find_video
    from lavida.video.decode import open_source

    benchmark = open_benchmark(name, root)
    for video in (find_video(benchmark, name) for name in videos):
        title, truth = f"{benchmark.name} {video.name}", Truth(benchmark, video)
        yield _Wanted(title, open_source(video.source), categories or video.categories, truth)


def _draw(
    kind: str, detector: Detector, found: list[_Wanted], settings: dict[str, Any], moments: int | None, at: list[float]
) -> Sheet:
    from lavida.paper.figures import findings, tokens
    from lavida.video.decode import default_stride

    if kind == "scores":
        return findings.draw_scores([_case(detector, v, settings) for v in found], moments=moments or 5, at=at)
    if kind == "masks":
        return findings.draw_masks([_case(detector, v, settings) for v in found], at=at)
    rows = []
    for video in found:
        stride = settings["stride"] or default_stride(video.source.info.fps)
        frames = _token_frames(detector, video, settings, stride=stride, count=moments or 3, at=at)
        rows += tokens.look(detector, video.source, frames, title=video.title, stride=stride)
    return tokens.draw_tokens(rows)


def _case(detector: Detector, video: _Wanted, settings: dict[str, Any]) -> Case:
    from lavida.paper.figures.sheet import Case
    from lavida.video.excerpt import Stretch

    with progress_bars() as progress:
        told = partial(progress, f"{video.title}: looking", total=video.source.info.frames_hint)
        detector.smoothing = video.truth is None  # benchmarks are measured on scores as they are
        detection = detector.detect(video.source, video.categories, **settings, progress=told)
    for warning in detection.run["warnings"]:
        print_message(f"warning: {warning}")
    first = video.source.first if isinstance(video.source, Stretch) else 0
    return Case(title=video.title, source=video.source, detection=detection, truth=video.truth, first=first)


def _token_frames(
    detector: Detector, video: _Wanted, settings: dict[str, Any], *, stride: int, count: int, at: Sequence[float]
) -> list[int]:
    """Those of `--at`; where something is looked for, the telling ones; else some spread over the video."""
    import numpy as np

    from lavida.export.moments import nearest_frame, telling_moments

    if video.categories and not at:
        case = _case(detector, video, settings)
        return telling_moments(case.detection, case.labels(), count=count)
    times = np.array([frame.time_s for frame in video.source.read(stride=stride, size=(32, 32))])
    seconds = at or (np.arange(count) + 0.5) / count * (times[-1] - times[0]) + times[0]
    return sorted({nearest_frame(times, float(second)) // stride * stride for second in seconds})
