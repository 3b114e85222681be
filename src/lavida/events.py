"""Where events begin and end: cut from scores that come one frame at a time, the same for files and for streams."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from lavida.errors import InputError

if TYPE_CHECKING:
    from lavida.export.result import EventRecord

# An event begins at the threshold but ends only below this share of it: one threshold for both would cut an
# event to pieces whenever the score trembles around it.
RELEASE_SHARE = 0.7
# People read two alarms less than half a second apart as one.
MERGE_GAP_S = 0.5
# An event that rests on fewer analysed frames than this, and lasts less than this, may be one bad prediction.
BRIEF_ANALYSED_FRAMES = 2
BRIEF_S = 0.25
# A brief event survives when its peak covers this share of the way from the threshold to certainty.
BRIEF_CERTAINTY = 0.5

Box = tuple[float, float, float, float]  # x, y, w, h in displayed pixels


@dataclass(frozen=True)
class Event:
    """One abnormal stretch of a video; times in seconds."""

    start_s: float  # of the first frame
    end_s: float  # exclusive: of the frame after the last one, or the end of the video
    peak_s: float  # of the highest score (an analysed frame, the first of equals)
    peak_score: float
    category: str  # with the highest mean score over the event
    box: Box | None  # of the mask nearest `peak_s`

    def to_json(self) -> EventRecord:
        """The event as it stands in `events.json`."""
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "peak_s": self.peak_s,
            "peak_score": self.peak_score,
            "category": self.category,
            "box": None if self.box is None else list(self.box),
        }


class Masked(Protocol):
    """What an event takes of a mask."""

    @property
    def category(self) -> str: ...

    @property
    def score(self) -> float: ...

    @property
    def box(self) -> Box | None: ...


@dataclass(frozen=True, kw_only=True)
class EventSettings:
    """How events are cut; times in seconds.

    Attributes:
        threshold: score from which a frame is abnormal.
        min_length_s: shorter events are left out; None leaves out only those of a single frame that is not sure.
        merge_gap_s: stretches less than this apart are one event.
        cool_down_s: an event that is over before so much time has passed since the one before it, told or not, is left
            out: what comes again and again is one alarm, and what lasts is told.

    Raises:
        InputError: a threshold that is not between 0 and 1, or a time below 0 or without end.
    """

    threshold: float
    min_length_s: float | None = None
    merge_gap_s: float = MERGE_GAP_S
    cool_down_s: float = 0.0

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        if not all(0 <= each < math.inf for each in (self.min_length_s or 0, self.merge_gap_s, self.cool_down_s)):
            raise InputError("the least length, the gap and the cool-down of events are seconds: give 0 or more")


class ScoredFrame(NamedTuple):
    """What the cutter is told of one frame."""

    time_s: float
    score: float  # a float32's value in [0, 1]
    category_scores: np.ndarray  # float32 [K]
    analysed: bool  # False: the scores lie between those of analysed frames
    masks: Sequence[Masked] = ()  # those over the threshold


@dataclass(frozen=True)
class Change:
    """What a frame changed: an event is sure to be one, or is over."""

    phase: Literal["start", "end"]
    event: Event


class _Placed(NamedTuple):
    """A mask with pixels, and when it is."""

    time_s: float
    mask: Masked
    box: Box


@dataclass(slots=True)
class _Peak:
    """The first of the highest scores, and the masks nearest to it; holds those of a few moments only."""

    time_s: float = 0.0
    score: float = -1.0
    near: list[_Placed] = field(default_factory=list)  # as far from the peak as each other, in the order of frames
    first: list[_Placed] = field(default_factory=list)  # those of the first moment: nearest to a peak before
    latest: list[_Placed] = field(default_factory=list)  # those of the latest one: nearest to a peak to come

    def move(self, time_s: float, score: float) -> None:
        if score > self.score:
            self.time_s, self.score = time_s, score
            self._keep_nearest(self.near + self.latest)

    def add(self, masks: list[_Placed]) -> None:
        if masks:
            if not self.first or self.first[0].time_s == masks[0].time_s:
                self.first = self.first + masks
            self.latest = self.latest + masks if self.latest and self.latest[0].time_s == masks[0].time_s else masks
            self._keep_nearest(self.near + masks)

    def absorb(self, later: _Peak) -> None:
        if later.score > self.score:
            self.time_s, self.score = later.time_s, later.score
        self._keep_nearest(self.near + self.latest + later.first + later.near + later.latest)
        self.first, self.latest = self.first or later.first, later.latest or self.latest

    def _keep_nearest(self, masks: list[_Placed]) -> None:
        unique = {id(each.mask): each for each in masks}.values()
        least = min((abs(each.time_s - self.time_s) for each in unique), default=0.0)
        self.near = [each for each in unique if abs(each.time_s - self.time_s) == least]

    def box(self, category: str) -> Box | None:
        """Of the event's own category first, then of the surest mask."""
        ranked = sorted(self.near, key=lambda each: (each.mask.category != category, -each.mask.score))
        return ranked[0].box if ranked else None


@dataclass(slots=True)
class _Stretch:
    """Frames in a row, summed up: its size does not depend on how many they are."""

    start_s: float
    end_s: float  # of its last abnormal frame; that frame's own time while nobody knows how long it lasts
    totals: np.ndarray  # float64 [K]
    frames: int = 0
    analysed: int = 0
    highest: float = -1.0
    peak: _Peak = field(default_factory=_Peak)  # among analysed frames
    # frames that share a time stamp can leave a stretch without an analysed frame
    other_peak: _Peak = field(default_factory=_Peak)

    def add(self, frame: ScoredFrame, masks: list[_Placed]) -> None:
        self.totals += frame.category_scores
        self.frames += 1
        self.highest = max(self.highest, frame.score)
        self.other_peak.move(frame.time_s, frame.score)
        self.other_peak.add(masks)
        self.peak.add(masks)
        if frame.analysed:
            self.analysed += 1
            self.peak.move(frame.time_s, frame.score)

    def absorb(self, later: _Stretch) -> None:
        self.totals += later.totals
        self.frames += later.frames
        self.analysed += later.analysed
        self.highest = max(self.highest, later.highest)
        self.peak.absorb(later.peak)
        self.other_peak.absorb(later.other_peak)

    def event(self, categories: Sequence[str]) -> Event:
        category = categories[int((self.totals / self.frames).argmax())]
        peak = self.peak if self.analysed else self.other_peak
        return Event(
            start_s=self.start_s,
            end_s=self.end_s,
            peak_s=peak.time_s,
            peak_score=shortest(peak.score),
            category=category,
            box=peak.box(category),
        )


class EventCutter:
    """Cuts events out of one stream of scores by hysteresis, frame by frame.

    Its memory does not grow with the frames. What it tells does not depend on what comes later, but that an event is
    over: that is known once the merge gap behind it has passed.

    Args:
        categories: the K texts.
        settings: thresholds and times.

    Attributes:
        held_back: events left out by the cool-down.
    """

    def __init__(self, categories: Sequence[str], settings: EventSettings) -> None:
        self.categories, self.settings, self.held_back = tuple(categories), settings, 0
        # scores are float32, and so are the levels that they are compared with
        level = settings.threshold
        self._level, self._release = _single(level), _single(RELEASE_SHARE * level)
        self._certain = _single(min(1.0, level + BRIEF_CERTAINTY * (1 - level)))
        self._event: _Stretch | None = None  # reached the threshold; may go on within the merge gap
        self._behind: _Stretch | None = None  # the frames since, part of the event if it goes on
        self._run: _Stretch | None = None  # frames in a row over the release level that have not reached the threshold
        self._active = False  # the latest frame belongs to the event
        self._told, self._latest_end_s = False, -float("inf")
        self._analysed, self._finished = 0, False

    @property
    def current(self) -> Event | None:
        """The event that has been told to begin and not to be over, as far as it is known."""
        return self._event.event(self.categories) if self._told and self._event is not None else None

    @property
    def quiet(self) -> bool:
        """Whether nothing is going on that could be, or become, an event."""
        return self._event is None and self._run is None

    def successor(self, categories: Sequence[str], settings: EventSettings) -> EventCutter:
        """A cutter for the frames to come, with other words or settings; the cool-down goes on."""
        other = EventCutter(categories, settings)
        other.held_back, other._latest_end_s = self.held_back, self._latest_end_s
        return other

    def add(self, frame: ScoredFrame) -> list[Change]:
        """Take the next frame; times never decrease."""
        time_s, changes = frame.time_s, list[Change]()
        self._analysed += frame.analysed
        if self._event is None and self._run is None and frame.score < self._release:
            return changes  # nothing is going on, as nearly always
        if self._active and self._event is not None:
            self._event.end_s = time_s  # the frame before lasted until this one
        over = frame.score >= self._release
        if not self._active and (not over or self._run is None):
            changes += self._close_if_past(time_s)
        masks = [_Placed(time_s, mask, box) for mask in frame.masks if (box := mask.box) is not None]
        if over:
            self._add_over(frame, masks)
        else:
            self._run, self._active = None, False
            if self._event is not None:
                self._add_behind(frame, masks)
                changes += self._close_if_past(time_s)
        if self._event is not None and not self._told and self._is_wanted(self._event):
            self._told = True
            changes.append(Change("start", self._event.event(self.categories)))
        return changes

    def _add_over(self, frame: ScoredFrame, masks: list[_Placed]) -> None:
        if self._active and self._event is not None:
            self._event.add(frame, masks)
            return
        if self._run is None:
            self._run = self._new(frame)
        self._run.add(frame, masks)
        if self._event is not None:
            self._add_behind(frame, masks)
        if frame.score < self._level:
            return
        if self._event is None or self._behind is None:
            self._event = self._run
        else:
            self._event.absorb(self._behind)
        self._event.end_s = frame.time_s
        self._run, self._behind, self._active = None, None, True

    def _add_behind(self, frame: ScoredFrame, masks: list[_Placed]) -> None:
        if self._behind is None:
            self._behind = self._new(frame)
        self._behind.add(frame, masks)

    def _new(self, frame: ScoredFrame) -> _Stretch:
        return _Stretch(frame.time_s, frame.time_s, np.zeros(len(self.categories)))

    def pause(self, end_s: float) -> None:
        """Say that no frame follows for a while: what goes on lasts until `end_s`, the end of the latest frame."""
        if self._active and self._event is not None:
            self._event.end_s = end_s
        self._active, self._run = False, None

    def settle(self, now_s: float) -> list[Change]:
        """Say that no frame before `now_s` is still to come."""
        return [] if self._active or self._run is not None else self._close_if_past(now_s)

    def finish(self, end_s: float) -> list[Change]:
        """Say that no frame follows at all; `end_s` is the end of the latest one."""
        self.pause(end_s)
        self._finished = True
        return self._close()

    def _close_if_past(self, now_s: float) -> list[Change]:
        event = self._event
        return [] if event is None or now_s - event.end_s < self.settings.merge_gap_s else self._close()

    def _close(self) -> list[Change]:
        event, told = self._event, self._told
        self._event, self._behind, self._told = None, None, False
        if event is None:
            return []
        if not self._is_one(event):
            return []
        wanted, self._latest_end_s = self._is_wanted(event), event.end_s
        if not wanted:
            self.held_back += 1
            return []
        found = event.event(self.categories)
        return [Change("end", found)] if told else [Change("start", found), Change("end", found)]

    def _is_wanted(self, event: _Stretch) -> bool:
        cooled = event.end_s - self._latest_end_s >= self.settings.cool_down_s
        return cooled and self._is_one(event)

    def _is_one(self, event: _Stretch) -> bool:
        """Whether it is long or sure enough; once it is, it stays so."""
        lasts, least = event.end_s - event.start_s, self.settings.min_length_s
        if least is not None:
            return lasts >= least
        if self._finished and self._analysed < BRIEF_ANALYSED_FRAMES:
            return True  # a single picture has no quiet neighbour that speaks against it
        brief = event.analysed < BRIEF_ANALYSED_FRAMES and lasts < BRIEF_S
        return not brief or event.highest >= self._certain


def cut(
    frames: Iterable[ScoredFrame], categories: Sequence[str], settings: EventSettings, *, end_s: float
) -> list[Event]:
    """The events of a whole video; `end_s` is the end of its last frame."""
    cutter = EventCutter(categories, settings)
    changes = [change for frame in frames for change in cutter.add(frame)] + cutter.finish(end_s)
    return [change.event for change in changes if change.phase == "end"]


def between(before: ScoredFrame, after: ScoredFrame, times: Sequence[float]) -> Iterable[ScoredFrame]:
    """The frames between two analysed ones, by their times: scores are linear in time."""
    if not times:
        return
    ends = [before.time_s, after.time_s]
    scores = np.interp(times, ends, [before.score, after.score]).astype(np.float32).tolist()
    columns = zip(before.category_scores, after.category_scores, strict=True)
    per_category = np.stack([np.interp(times, ends, pair) for pair in columns], axis=1).astype(np.float32)
    for time_s, score, row in zip(times, scores, per_category, strict=True):
        yield ScoredFrame(time_s, score, row, analysed=False)


def shortest(score: float | np.floating[Any]) -> float:
    """The float that is written as a float32 is: 0.87, not 0.8700000047683716."""
    return float(str(np.float32(score)))


def check_threshold(threshold: float) -> None:
    """Raises InputError unless it lies between 0 and 1."""
    if not (isinstance(threshold, Real) and 0 < threshold < 1):
        raise InputError(f"threshold {threshold} is out of range: choose a value between 0 and 1")


def _single(value: float) -> float:
    return float(np.float32(value))
