"""How good a model is on one's own videos: its events at every threshold beside what people say of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from lavida.detection import Detection
from lavida.errors import InputError
from lavida.events import Event
from lavida.export.labels import EventLabel, read_labels
from lavida.export.names import LABELS
from lavida.files import atomic_file

THRESHOLDS = tuple(step / 100 for step in range(5, 96))
OWN = "own.json"
HOUR_S = 3600.0
# People say when, but not to the frame: so much before and after a stretch belongs to it.
AROUND_S = 2.0
# An alarm that lasts all day lies on every stretch, and points at none.
ENOUGH = 0.5


@dataclass(frozen=True, kw_only=True)
class OwnRow:
    """What the events of all videos are worth at one threshold.

    Attributes:
        events: alarms.
        true: those of which at least half lies on stretches that are one, by the same words.
        false: of the others those that lie on a stretch that somebody called false.
        unjudged: the others: nobody has said anything of them.
        missed: stretches that are one, without an event.
        precision: `true` of those that are judged; None without any.
        recall: found stretches of all that are one; None without any.
        f1: of `recall` and of a precision that takes the unjudged for false, for a lower threshold brings events that
            nobody has seen.
    """

    threshold: float
    events: int
    true: int
    false: int
    unjudged: int
    missed: int
    precision: float | None
    recall: float | None
    f1: float
    alarms_per_hour: float
    false_alarms_per_hour: float  # of those called false and the unjudged


@dataclass(frozen=True, kw_only=True)
class OwnResult:
    """`rows` by threshold; `now` at that of each result; `best` has the highest F1, the highest threshold of equals."""

    videos: int
    hours: float
    labels: int
    now: OwnRow
    best: OwnRow
    rows: list[OwnRow]


def labelled_results(paths: Sequence[Path]) -> list[Path]:
    """The results with labels among some folders and files: a result, its `labels.json`, or a folder above.

    Raises:
        InputError: there is none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = [path] if path.name == LABELS and path.is_file() else sorted(path.rglob(LABELS))
        if not inside:
            raise InputError(f"no {LABELS} in {path}: correct events on the page of lavida serve, or use lavida import")
        found.update(dict.fromkeys(place.parent.resolve() for place in inside))
    return list(found)


def measure_own(results: Sequence[Path]) -> OwnResult:
    """Measure the events of labelled results.

    Args:
        results: folders, as `labelled_results` finds them.

    Raises:
        InputError: a result or its labels cannot be read, nothing is said in them, or of times beyond the video.
    """
    videos = [_read(folder) for folder in results]
    if not any(labels for _, labels in videos):
        raise InputError(f"nothing is said in {results[0] / LABELS}: correct events first")
    hours = sum(found.end_s - float(found.times[0]) for found, _ in videos) / HOUR_S
    rows = [_row([(found.events(level), labels) for found, labels in videos], level, hours) for level in THRESHOLDS]
    used = float(np.mean([found.threshold for found, _ in videos]))
    now = _row([(found.events(), labels) for found, labels in videos], used, hours)
    best = max(rows, key=lambda row: (row.f1, row.threshold))
    counted = sum(len(labels) for _, labels in videos)
    return OwnResult(videos=len(videos), hours=hours, labels=counted, now=now, best=best, rows=rows)


def _read(folder: Path) -> tuple[Detection, list[EventLabel]]:
    found = Detection.load(folder)
    return found, read_labels(folder, end_s=found.end_s)


def _row(videos: Sequence[tuple[Sequence[Event], Sequence[EventLabel]]], threshold: float, hours: float) -> OwnRow:
    events = true = false = found = stretches = 0
    for alarms, labels in videos:
        are = _joined([label for label in labels if label.verdict != "false"])
        are_none = [label for label in labels if label.verdict == "false"]
        right = [event for event in alarms if _lies_on(event, are)]
        events, true = events + len(alarms), true + len(right)
        false += sum(any(_meet(event, label) for label in are_none) for event in alarms if event not in right)
        stretches += len(are)
        found += sum(any(_meet(event, label, around_s=AROUND_S) for event in right) for label in are)
    unjudged = events - true - false
    recall = found / stretches if stretches else None
    strict = true / events if events else 0.0
    f1 = 2 * strict * recall / (strict + recall) if recall and strict else 0.0
    return OwnRow(
        threshold=threshold,
        events=events,
        true=true,
        false=false,
        unjudged=unjudged,
        missed=stretches - found,
        precision=true / (true + false) if true + false else None,
        recall=recall,
        f1=f1,
        alarms_per_hour=events / hours,
        false_alarms_per_hour=(events - true) / hours,
    )


def _lies_on(event: Event, labels: Sequence[EventLabel]) -> bool:
    met = sorted((label.start_s, label.end_s) for label in labels if _meet(event, label, around_s=AROUND_S))
    shared_s, upto_s = 0.0, event.start_s  # what lies around two neighbours counts once
    for start_s, end_s in met:
        stop_s = min(end_s + AROUND_S, event.end_s)
        shared_s += max(stop_s - max(start_s - AROUND_S, upto_s), 0.0)
        upto_s = max(upto_s, stop_s)
    return bool(met) and shared_s >= ENOUGH * (event.end_s - event.start_s)


def _meet(event: Event, label: EventLabel, *, around_s: float = 0.0) -> bool:
    at_once = event.start_s < label.end_s + around_s and label.start_s - around_s < event.end_s
    return at_once and event.category == label.category


def _joined(labels: Sequence[EventLabel]) -> list[EventLabel]:
    """One for stretches of the same words that overlap: the same event, judged at several thresholds."""
    joined: list[EventLabel] = []
    for label in sorted(labels, key=lambda label: (label.category, label.start_s)):
        last = joined[-1] if joined else None
        if last is not None and last.category == label.category and label.start_s < last.end_s:
            end_s = max(last.end_s, label.end_s)
            joined[-1] = EventLabel(start_s=last.start_s, end_s=end_s, category=last.category, verdict=last.verdict)
        else:
            joined.append(label)
    return joined


def write_own(result: OwnResult, out: Path) -> Path:
    """Write all of it as `own.json` into a folder."""
    place = out / OWN
    with atomic_file(place) as partial:
        partial.write_text(json.dumps(asdict(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return place


def own_table(result: OwnResult) -> Table:
    """The thresholds in steps of a tenth, and the best one."""
    title = f"{result.labels} labels, {result.videos} videos, {result.hours * 60:.1f} minutes"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("threshold", "events", "true", "false", "unjudged", "missed", "precision", "recall", "alarms an hour"):
        table.add_column(name, justify="right")
    tenths = [row for row in result.rows if round(row.threshold * 100) % 10 == 0]
    shown = sorted({row.threshold: row for row in [*tenths, result.best]}.values(), key=lambda row: row.threshold)
    for row in [*shown, result.now]:
        name = f"{row.threshold:.2f}" + " best" * (row is result.best) + " now" * (row is result.now)
        counts = (row.events, row.true, row.false, row.unjudged, row.missed)
        rates = ("-" if rate is None else f"{rate:.2f}" for rate in (row.precision, row.recall))
        style = "bold" if row is result.best or row is result.now else ""
        table.add_row(name, *map(str, counts), *rates, f"{row.alarms_per_hour:.1f}", style=style)
    return table
