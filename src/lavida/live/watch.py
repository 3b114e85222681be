"""Streams in, records out: a score for every analysed frame, events as they begin and end, how each stream is."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lavida.detection import Mask
from lavida.events import Change, Event, EventCutter, EventSettings, ScoredFrame, between, shortest
from lavida.live.address import Address
from lavida.live.profile import Profile
from lavida.live.records import Record, Tell, clock_time
from lavida.live.scheduler import Scheduler
from lavida.live.scorer import ClipScores, Scorer
from lavida.live.stream import LiveFrame, Pace, Stream

PENDING_CLIPS = 2  # that may wait of each stream
LOOK_S = 0.25  # at least so often somebody looks whether a stream has stopped
USUAL_STEP_S = 0.2  # how long the last frame before an outage is thought to have lasted, at most
LEAVE_S = 2.0  # for threads to end


@dataclass(frozen=True, slots=True)
class Moment:
    """The frame that changed an event, and its masks."""

    live: LiveFrame
    masks: Sequence[Mask]


# what else is done with the record of an event
Seen = Callable[[Record, Moment | None], None]


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """What is looked for, and how often is told.

    Attributes:
        categories: K texts.
        events: how events are cut.
        profile: what `lavida calibrate` has learnt; None: scores as the model gives them.
        update_s: how often an event that goes on is told of.
        health_s: how often each stream tells how it is, beside every change.
    """

    categories: tuple[str, ...]
    events: EventSettings
    profile: Profile | None = None
    update_s: float = 5.0
    health_s: float = 10.0


def unseen(record: Record, moment: Moment | None) -> None:
    """Nothing else is done with events."""


class Watched:
    """What is known of one stream: its events, and its health as it was last told."""

    def __init__(self, stream: Stream, settings: WatchSettings, *, tell: Tell, seen: Seen) -> None:
        self.stream, self._settings, self._tell, self._seen = stream, settings, tell, seen
        self.cutter = EventCutter(settings.categories, settings.events)
        self._before: ScoredFrame | None = None
        self._last_s, self._step_s = 0.0, USUAL_STEP_S
        self._wall_offset = 0.0  # from stream time to seconds since 1970
        self._id, self._told_at = "", 0.0
        self._health_told: tuple[str, str] | None = None
        self._health_at, self._analysed, self._rate_from = 0.0, 0, 0
        self.delay_s = 0.0

    def add(self, frames: Sequence[LiveFrame], scores: ClipScores) -> None:
        """Take a scored clip of the stream."""
        for t, live in enumerate(frames):
            if live.after_break:
                self._break_off(live.frame.time_s)
            time_s, row = live.frame.time_s, scores.category_scores[t]
            frame = ScoredFrame(time_s, float(scores.scores[t]), row, True, scores.masks[t])
            self._wall_offset = live.wall - time_s
            moment = Moment(live, scores.masks[t])
            self._tell(self._score_record(live, frame))
            self._analysed += 1
            passed = [] if self._before is None else between(self._before, frame, live.between)
            for each in [*passed, frame]:
                self._step_s = min(USUAL_STEP_S, each.time_s - self._last_s) or self._step_s
                self._last_s = each.time_s
                self._changed(self.cutter.add(each), moment)
            self._before = frame
            self._update(moment)

    def look(self, *, now: float) -> None:
        """Close what is over when no frame comes, and tell how the stream is, if that is due."""
        if self.stream.state != "running" and not self.stream.pending():
            self._break_off(time.time() - self._wall_offset)
        self.health(now=now)

    def finish(self) -> None:
        """Nothing comes any more."""
        self._changed(self.cutter.finish(self._last_s + self._step_s), None)
        self.health(now=time.monotonic(), again=True)

    def _break_off(self, now_s: float) -> None:
        """No frame was there between the latest one and `now_s`."""
        if self._before is not None:
            self.cutter.pause(self._last_s + self._step_s)
            self._before = None
        self._changed(self.cutter.settle(now_s), None)

    def _changed(self, changes: list[Change], moment: Moment | None) -> None:
        for change in changes:
            if change.phase == "start":
                self._id = uuid.uuid4().hex
            self._tell_event(change.phase, change.event, moment)

    def _update(self, moment: Moment) -> None:
        event, now = self.cutter.current, time.monotonic()
        if event is not None and now - self._told_at >= self._settings.update_s:
            self._tell_event("update", event, moment)

    def _tell_event(self, phase: str, event: Event, moment: Moment | None) -> None:
        self._told_at = time.monotonic()
        record: Record = {"type": "event", "phase": phase, "id": self._id, "stream": self.stream.name}
        record |= event.to_json()
        if phase != "end":
            record["end_s"] = None  # goes on
        record["start_wall"] = clock_time(event.start_s + self._wall_offset)
        record["end_wall"] = None if phase != "end" else clock_time(event.end_s + self._wall_offset)
        record["wall"] = clock_time(time.time())
        self._tell(record)
        self._seen(record, moment)

    def _score_record(self, live: LiveFrame, frame: ScoredFrame) -> Record:
        self.delay_s = time.monotonic() - live.arrived
        scores = {
            name: shortest(score) for name, score in zip(self._settings.categories, frame.category_scores, strict=True)
        }
        return {
            "type": "score",
            "stream": self.stream.name,
            "frame": live.frame.index,
            "time_s": frame.time_s,
            "score": shortest(frame.score),
            "category": self._settings.categories[int(np.argmax(frame.category_scores))],
            "scores": scores,
            "wall": clock_time(live.wall),
            "delay_s": round(self.delay_s, 3),
        }

    def health(self, *, now: float, again: bool = False) -> None:
        """Tell how the stream is where that has changed, has not been told for a while, or if asked for."""
        stream, counts = self.stream, self.stream.counts
        known = stream.state, stream.message
        passed = now - self._health_at
        if not again and known == self._health_told and passed < self._settings.health_s:
            return
        rate = (self._analysed - self._rate_from) / passed if self._health_at else 0.0
        self._health_told, self._health_at, self._rate_from = known, now, self._analysed
        self._tell(
            {
                "type": "health",
                "stream": stream.name,
                "source": stream.address.shown,
                "state": known[0],
                "message": known[1],
                "frames": counts.frames,
                "analysed": self._analysed,
                "thinned": counts.thinned,
                "dropped": counts.dropped,
                "sessions": counts.sessions,
                "rate": round(rate, 2),
                "share": round(stream.pace.share, 3),
                "held_back": self.cutter.held_back,
                "wall": clock_time(time.time()),
            }
        )


def watch(
    addresses: Mapping[str, Address],
    scorer: Scorer,
    settings: WatchSettings,
    *,
    tell: Tell,
    seen: Seen = unseen,
    stopped: threading.Event | None = None,
) -> None:
    """Watch streams until all of them are over, as files are, or until `stopped` is set.

    Args:
        addresses: by the names of the streams.
        scorer: one for all.
        settings: what is looked for.
        tell: takes every record, in this thread.
        seen: takes every record of an event with the frame that changed it, after `tell`.
        stopped: may be set by another thread or a signal.
    """
    stopped = stopped or threading.Event()
    pace, bell = Pace(), threading.Condition()
    streams = [
        Stream(
            name,
            address,
            pace=pace,
            bell=bell,
            most_pending=PENDING_CLIPS * scorer.clip_length,
            size=scorer.analysed_size,
            pairs=scorer.motion,
        )
        for name, address in addresses.items()
    ]
    watched = {stream.name: Watched(stream, settings, tell=tell, seen=seen) for stream in streams}
    scheduler = Scheduler(streams, bell=bell, pace=pace, clip_length=scorer.clip_length)
    profile = settings.profile
    floor = settings.events.threshold if profile is None else profile.floor(settings.categories)
    for stream in streams:
        watched[stream.name].health(now=time.monotonic())
        stream.start()
    try:
        while not stopped.is_set() and not all(stream.over for stream in streams):
            clip = scheduler.next_clip(timeout_s=LOOK_S)
            if clip is not None:
                stream, frames = clip
                clip_frames, size = [live.frame for live in frames], frames[0].size
                scores = scorer.score(clip_frames, settings.categories, size=size, floor=floor)
                if profile is not None:
                    scores = profile.applied(scores, settings.categories, threshold=settings.events.threshold)
                watched[stream.name].add(frames, scores)
            for each in watched.values():
                each.look(now=time.monotonic())
    finally:
        for stream in streams:
            stream.stop()
        for each in watched.values():
            each.finish()
        deadline = time.monotonic() + LEAVE_S
        for stream in streams:
            stream.join(max(0.0, deadline - time.monotonic()))
