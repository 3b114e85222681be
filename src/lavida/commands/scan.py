"""`lavida scan`: any number of videos in, one data set out, and what failed on stderr."""

import json
from collections.abc import Mapping, Sequence

from lavida.console import complain, one_line, tell
from lavida.detector import DEFAULT_THRESHOLD
from lavida.scan import ScanReport, scan
from lavida.scan.addresses import printable
from lavida.scan.run import SETTLE_S


def scan_command(
    sources: Sequence[str],
    *,
    anomalies: Sequence[str],
    out: str,
    model: str,
    stride: int | None,
    threshold: float | None,
    device: str,
    workers: int | None,
    ray: str | None,
    overwrite: bool,
    settle: float | None,
    as_json: bool,
) -> None:
    """Scan and say what came of it. Videos that fail do not stop it; raises InputError for what concerns all."""
    report = scan(
        sources,
        anomalies,
        out=out,
        model=model,
        stride=stride,
        threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
        device=device,
        workers=workers,
        ray=ray,
        overwrite=overwrite,
        settle=SETTLE_S if settle is None else settle,
        say=complain,
    )
    tell(json.dumps(summary(report), allow_nan=False) if as_json else in_words(report))


def summary(report: ScanReport) -> dict:
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
    return [{"video": printable(name), "reason": printable(reason)} for name, reason in reasons.items()]
