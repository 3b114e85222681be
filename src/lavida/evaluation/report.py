"""`report.html`: one page that holds everything, without scripts and without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.table import Table
from rich.text import Text

from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import Benchmark
from lavida.evaluation.cases import (
    FOUND,
    HEIGHT,
    WIDTH,
    CaseGroup,
    Picture,
    choose_cases,
    curve,
    draw_frames,
    score_range,
)
from lavida.evaluation.metrics import METRICS
from lavida.evaluation.results import Result, read_result
from lavida.evaluation.tables import comparison_table
from lavida.export.drawing import TRUTH
from lavida.files import atomic_file
from lavida.timing import Progress, untold

__all__ = ["Result", "read_result", "write_report"]

NAME, TEMPLATE = "report.html", "report.html.jinja"
SPEED = {"frames_per_second": "frames a second", "latency_ms_mean": "ms an analysed frame"}
_APART = ("protocol", "notes", "video_names", "speed")  # settings that have a place of their own on the page


def write_report(
    result: Result,
    *,
    benchmark: Benchmark | None = None,
    detector: Detector | None = None,
    siblings: Sequence[Path] = (),
    progress: Progress = untold,
) -> Path:
    """Write `report.html` into the result's folder, in one step, and return its path.

    Args:
        result: what was measured.
        benchmark: the frames and annotated pixels; None: a page without pictures.
        detector: the model that was measured, for its outlines in the pictures; None: without them.
        siblings: the `metrics.json` of other results, for the table.
        progress: told of every video whose pictures are there.

    Raises:
        InputError: the benchmark is another one, a video cannot be read, or the page cannot be written.
    """
    if benchmark is not None and benchmark.name != result.metrics["benchmark"]:
        raise InputError(
            f"{result.folder} holds a result on {result.metrics['benchmark']}, not on {benchmark.name}; "
            "give that benchmark's folder"
        )
    groups = choose_cases(result)
    pictures = {} if benchmark is None else _pictures(result, benchmark, detector, groups, progress)
    template = _environment().get_template(TEMPLATE)
    page = template.render(
        result=result,
        metrics=result.metrics,
        numbers=_numbers(result.metrics),
        table=_plain(comparison_table(result.metrics, siblings=siblings)),
        curves=_curves(result),
        size={"width": WIDTH, "height": HEIGHT},
        groups=groups,
        pictures=pictures,
        settings={key: value for key, value in result.settings.items() if key not in _APART},
        speed=result.settings.get("speed", {}),
        choices={key: value for key, value in result.protocol.items() if key != "name"},
        colours={"found": "#{:02x}{:02x}{:02x}".format(*FOUND), "truth": "#{:02x}{:02x}{:02x}".format(*TRUTH)},
    )
    with atomic_file(result.folder / NAME) as path:
        # a lone surrogate of an odd file name is no UTF-8
        path.write_text(page, encoding="utf-8", errors="replace")
    return result.folder / NAME


def _pictures(
    result: Result,
    benchmark: Benchmark,
    detector: Detector | None,
    groups: Sequence[CaseGroup],
    progress: Progress,
) -> dict[tuple[str, int], Picture]:
    frames: dict[str, set[int]] = {}
    for case in chain.from_iterable(group.cases for group in groups):
        frames.setdefault(case.video, set()).add(case.frame)
    there = {video.name: video for video in benchmark.videos}
    if missing := [name for name in frames if name not in there]:
        raise InputError(f"the benchmark's folder has no video {missing[0]}; give the folder that was evaluated")
    pictures: dict[tuple[str, int], Picture] = {}
    stride = int(result.protocol.get("stride", 1))
    for done, (name, numbers) in enumerate(frames.items(), start=1):
        video = there[name]
        if not result.settings.get("own_categories", True):
            video = replace(video, categories=tuple(result.settings["categories"]))
        if name in (decoded := result.settings.get("decoded_frames", {})):  # where the header was wrong
            video = replace(video, frames=decoded[name])
        drawn = draw_frames(benchmark, video, sorted(numbers), detector=detector, stride=stride)
        pictures |= {(name, frame): picture for frame, picture in drawn.items()}
        progress("pictures for the report", done, len(frames))
    return pictures


def _numbers(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what was measured, in percent, what counts first, and the speed."""
    settings = metrics["settings"]
    keys = sorted(METRICS, key=lambda key: key != settings.get("headline"))
    numbers = [(METRICS[key], f"{100 * metrics[key]:.2f}") for key in keys if metrics.get(key) is not None]
    speed = settings.get("speed", {})
    return numbers + [(label, f"{speed[key]:.1f}") for key, label in SPEED.items() if key in speed]


def _curves(result: Result) -> list[dict[str, Any]]:
    low, high = score_range(result)
    return [
        {
            "video": video,
            "drawing": curve(video, low=low, high=high, threshold=result.threshold),
            "low": f"{low:.3g}",
            "high": f"{high:.3g}",
            "abnormal": int(video.labels.sum()),
        }
        for video in result.videos
    ]


def _plain(table: Table) -> dict[str, Any]:
    """The table that the command prints, as text."""

    def text(cell: Any) -> str:
        return cell.plain if isinstance(cell, Text) else Text.from_markup("" if cell is None else str(cell)).plain

    columns = [[text(cell) for cell in column.cells] for column in table.columns]
    return {
        "title": text(table.title),
        "headings": [" ".join(text(column.header).split()) for column in table.columns],
        "right": [column.justify == "right" for column in table.columns],
        "rows": [list(row) for row in zip(*columns, strict=True)],
        "caption": text(table.caption),
    }


def _readable(value: Any) -> str:
    """A setting as people read it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_readable(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_readable(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lavida", "evaluation"),
        autoescape=True,  # names and categories come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["said"] = _readable
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    return environment
