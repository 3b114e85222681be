"""What people say of events: each is one, is none, or was missed; `labels.json` of a result."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lavida.detection import Detection
from lavida.errors import InputError, reason
from lavida.events import Event
from lavida.export.result import FRAMES, LABELS
from lavida.files import atomic_file

VERDICTS = ("true", "false", "missed")
MUCH_THE_SAME = 0.5  # of the shorter one


@dataclass(frozen=True, kw_only=True)
class EventLabel:
    """What a person says of a stretch of a video; times in seconds, `end_s` exclusive.

    Attributes:
        category: the words.
        verdict: an event of the result that is one ("true") or none ("false"), or one that it lacks ("missed").
        threshold: at which the event was there; None where nobody knows.
        peak_score: of the event.

    Raises:
        InputError: it ends before it begins, says no words, or another verdict.
    """

    start_s: float
    end_s: float
    category: str
    verdict: str
    threshold: float | None = None
    peak_score: float | None = None

    def __post_init__(self) -> None:
        where = f"a label from {self.start_s} to {self.end_s} s"
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s) and 0 <= self.start_s < self.end_s):
            raise InputError(f"{where}: times are seconds from 0 on, and the end comes after the start")
        if not self.category.strip():
            raise InputError(f"{where}: it says no words")
        if self.verdict not in VERDICTS:
            raise InputError(f"{where}: unknown verdict {self.verdict}: choose {', '.join(VERDICTS)}")


def share(first: EventLabel | Event, other: EventLabel | Event) -> float:
    """Which share of the shorter of two stretches lies in the other one."""
    shared = min(first.end_s, other.end_s) - max(first.start_s, other.start_s)
    shorter = min(first.end_s - first.start_s, other.end_s - other.start_s)
    return max(shared / shorter, 0.0) if shorter > 0 else float(shared >= 0)


def label_of(event: Event, labels: Sequence[EventLabel]) -> EventLabel | None:
    """The label of an event: of the same words, and much of the shorter of them at the same time."""
    meant = [
        label
        for label in labels
        if label.verdict != "missed" and label.category == event.category and share(label, event) >= MUCH_THE_SAME
    ]
    return max(meant, key=lambda label: _union_share(label, event), default=None)


def _union_share(label: EventLabel, event: Event) -> float:
    shared = min(label.end_s, event.end_s) - max(label.start_s, event.start_s)
    whole = max(label.end_s, event.end_s) - min(label.start_s, event.start_s)
    return shared / whole if whole > 0 else 1.0


def read_labels(folder: Path) -> list[EventLabel]:
    """The labels of a result, none if it has no `labels.json`.

    Raises:
        InputError: the file is damaged.
    """
    place = folder / LABELS
    if not place.is_file():
        return []
    try:
        return [_label(row) for row in json.loads(place.read_text(encoding="utf-8-sig"))]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"the labels cannot be read: {place} ({reason(error)}); remove the file, or mend it"
        ) from error


def _label(row: dict[str, Any]) -> EventLabel:
    threshold, peak = (None if row.get(name) is None else float(row[name]) for name in ("threshold", "peak_score"))
    start_s, end_s = float(row["start_s"]), float(row["end_s"])
    about = {"category": str(row["category"]), "verdict": str(row["verdict"])}
    return EventLabel(start_s=start_s, end_s=end_s, **about, threshold=threshold, peak_score=peak)


def write_labels(labels: Sequence[EventLabel], folder: Path) -> None:
    """Replace the labels of a result.

    Raises:
        InputError: the folder holds no result, or cannot be written.
    """
    if not (folder / FRAMES).exists():
        raise InputError(f"no result of lavida detect: {folder}; give a folder that it wrote")
    rows = json.dumps([asdict(label) for label in labels], indent=1, allow_nan=False)
    with atomic_file(folder / LABELS) as partial:
        partial.write_text(f"{rows}\n", encoding="utf-8")


def frames_of(about: Event | EventLabel, detection: Detection) -> tuple[int, int]:
    """The first and the last frame of an event or label."""
    first, stop = np.searchsorted(detection.times, [about.start_s, about.end_s]).tolist()
    first = min(first, len(detection.times) - 1)
    return first, max(first, stop - 1)
