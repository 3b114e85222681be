"""`lavida scan`: any number of videos in, one data set out, and what failed on stderr."""

import json
from collections.abc import Sequence

from lavida.console import complain, one_line, tell
from lavida.detector import DEFAULT_THRESHOLD
from lavida.scan import ScanReport, scan
from lavida.scan.addresses import printable


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
        say=complain,
    )
    tell(json.dumps(summary(report), allow_nan=False) if as_json else in_words(report))


def summary(report: ScanReport) -> dict:
    """The `--json` object."""
    failures = [{"video": printable(n), "reason": printable(r)} for n, r in report.failures.items()]
    counts = {name: getattr(report, name) for name in ("videos", "finished", "scored", "frames", "events", "seconds")}
    return {"out": report.out, **counts, "failures": failures}


def in_words(report: ScanReport) -> str:
    """What was done, as a person would say it."""
    failed = f", {len(report.failures)} failed (failures.parquet)" if report.failures else ""
    now = f"{report.scored} scored now: {report.frames} frames, {report.events} events, {report.seconds:.0f} s"
    return f"{report.finished} of {report.videos} videos finished{failed}\n  {now}\n  data set: {one_line(report.out)}"
