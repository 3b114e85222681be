"""`lavida scan`: any number of videos in, one data set out, and what failed on stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavida.cli.options import (
    AnomalyOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    ProfileOption,
    RayOption,
    RuntimeOption,
    StrideOption,
    ThresholdOption,
    WorkersOption,
)
from lavida.errors import one_line
from lavida.terminal import print_result, progress_bars

if TYPE_CHECKING:
    from lavida.scan import ScanReport


def scan(
    sources: Annotated[list[str], typer.Argument(help="Videos, folders, globs, manifests; local or fsspec addresses.")],
    anomalies: AnomalyOption,
    out: Annotated[str, typer.Option(help="Folder or address of the data set; the same command goes on in it.")],
    model: ModelOption = "nano",
    stride: StrideOption = None,
    threshold: ThresholdOption = None,
    profile: ProfileOption = None,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    workers: WorkersOption = None,
    ray: RayOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove an earlier scan in OUT.")] = False,
    settle: Annotated[
        float | None, typer.Option(help="Leave videos that changed less than so many seconds ago; default: 10.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score any number of videos into one Parquet data set; killed and started again, it goes on."""
    from lavida.detector import DEFAULT_THRESHOLD
    from lavida.live.profile import Profile
    from lavida.scan import scan as scan_all
    from lavida.scan.run import SETTLE_S

    with progress_bars() as progress:
        report = scan_all(
            sources,
            anomalies,
            out=out,
            model=model,
            stride=stride,
            threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
            device=device,
            runtime=runtime,
            workers=workers,
            ray=ray,
            overwrite=overwrite,
            settle=SETTLE_S if settle is None else settle,
            profile=None if profile is None else Profile.load(profile),
            progress=progress,
        )
    print_result(json.dumps(summary(report), allow_nan=False) if as_json else in_words(report))


def summary(report: ScanReport) -> dict[str, Any]:
    """The `--json` object."""
    counts = {name: getattr(report, name) for name in ("videos", "finished", "scored", "frames", "events", "seconds")}
    named = {
        "failures": _named(report.failures),
        "left_for_the_next_run": _named(report.left),
        "left_out": report.left_out,
    }
    return {"out": report.out, **counts, **named}


def in_words(report: ScanReport) -> str:
    """What was done, as a person would say it."""
    failed = f", {len(report.failures)} failed (failures.parquet)" if report.failures else ""
    left = f", {len(report.left)} left for the next run" if report.left else ""
    now = f"{report.scored} scored now: {report.frames} frames, {report.events} events, {report.seconds:.0f} s"
    finished = f"{report.finished} of {report.videos} videos finished{failed}{left}"
    return f"{finished}\n  {now}\n  data set: {one_line(report.out)}"


def _named(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    from lavida.scan.addresses import printable

    return [{"video": printable(name), "reason": printable(reason)} for name, reason in reasons.items()]
