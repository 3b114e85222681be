"""What people say of events: each is one, is none, or was missed; `labels.json` of a result."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from lavida.detection import Detection
from lavida.errors import UNREADABLE, InputError, reason
from lavida.events import Event
from lavida.export.names import FRAMES, LABELS
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
        InputError: it ends before it begins, says no words or another verdict, or has no such threshold or score.
    """

    start_s: float
    end_s: float
    category: str
    verdict: str
    threshold: float | None = None
    peak_score: float | None = None

    def __post_init__(self) -> None:
        where = f"a label from {_shown(self.start_s)} to {_shown(self.end_s)} s"
        if not (_is_number(self.start_s) and _is_number(self.end_s) and self.start_s < self.end_s):
            raise InputError(f"{where}: times are seconds from 0 on, and the end comes after the start")
        if not isinstance(self.category, str) or not self.category.strip():
            raise InputError(f"{where}: it says no words")
        if self.verdict not in VERDICTS:
            raise InputError(f"{where}: unknown verdict {_shown(self.verdict)}: choose {', '.join(VERDICTS)}")
        if self.threshold is not None and not (_is_number(self.threshold) and 0 < self.threshold < 1):
            raise InputError(f"{where}: its threshold lies between 0 and 1, not {_shown(self.threshold)}")
        if self.peak_score is not None and not _is_number(self.peak_score, most=1):
            raise InputError(f"{where}: its peak_score lies from 0 to 1, not {_shown(self.peak_score)}")


def _is_number(value: object, *, most: float = sys.float_info.max) -> bool:
    """Whether it is one from 0 to `most`: files hold anything, integers too large for a float among it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _shown(value: object) -> str:
    return shorten(str(value), width=60, placeholder="...") if isinstance(value, str | float) else repr(value)[:60]


def check_within(labels: Iterable[EventLabel], end_s: float) -> None:
    """Refuse labels that are not all in a video that ends after `end_s` seconds; people write whole seconds.

    Raises:
        InputError: there is such a label.
    """
    for label in labels:
        if label.start_s >= end_s or label.end_s > math.ceil(end_s):
            raise InputError(
                f"a label from {label.start_s:g} to {label.end_s:g} s is not all in the video, which ends after "
                f"{end_s:g} s: is it about another one?"
            )


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


def read_labels(folder: Path, *, end_s: float | None = None) -> list[EventLabel]:
    """The labels of a result, none if it has no `labels.json`.

    Args:
        folder: the result.
        end_s: where its video ends; None: labels are not compared with it.

    Raises:
        InputError: the file is damaged, or a label is not all in the video.
    """
    place = folder / LABELS
    if not place.is_file():
        return []
    try:
        labels = [_label(row) for row in json.loads(place.read_text(encoding="utf-8-sig"))]
        if end_s is not None:
            check_within(labels, end_s)
    except UNREADABLE as error:
        fault = f"the labels cannot be read: {place} ({reason(error)}); remove the file, or mend it"
        raise InputError(fault) from error
    return labels


def _label(row: dict[str, Any]) -> EventLabel:
    threshold, peak = (None if row.get(name) is None else float(row[name]) for name in ("threshold", "peak_score"))
    start_s, end_s = float(row["start_s"]), float(row["end_s"])
    about = {"category": row["category"], "verdict": row["verdict"]}
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
