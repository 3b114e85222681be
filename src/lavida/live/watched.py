"""What is known of one stream while it is watched: its events as they begin and end, and its health."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from lavida.detection import Mask
from lavida.events import Change, Event, EventCutter, ScoredFrame, between, shortest
from lavida.live.pictures import Pictured, coded, shows
from lavida.live.plan import WatchSettings
from lavida.live.records import Record, Tell, clock_time, seconds_of
from lavida.live.scorer import ClipScores
from lavida.live.stream import Counts, LiveFrame, Stream

USUAL_STEP_S = 0.2  # how long the last frame before an outage is thought to have lasted, at most
LONGEST_ABSENCE_S = 60.0  # an event that was open at a kill longer ago is another one, even if it is still there


@dataclass(frozen=True, slots=True)
class Moment:
    """The frame that changed an event.

    Attributes:
        live: the frame.
        masks: of what was found.
        blurred: of what no picture may show.
    """

    live: LiveFrame
    masks: Sequence[Mask]
    blurred: Sequence[Mask] = ()

    def jpegs(self, record: Record) -> Mapping[str, bytes]:
        """See `Pictured`. Raises OSError if the frame cannot be coded."""
        return coded(record, self)


# what else is done with the record of an event
Seen = Callable[[Record, Pictured | None], None]
# the masks of words in one frame, whether they are asked for in events or not
Blurred = Callable[[LiveFrame, Sequence[str]], Sequence[Mask]]


def unseen(record: Record, moment: Pictured | None) -> None:
    """Nothing else is done with events."""


class Earlier:
    """An event that was open when the process was killed, or the settings changed; goes on if it is still there.

    Attributes:
        record: the newest one of the event.
        offset: from its stream time to seconds since 1970.
        until_s: it goes on with an event that begins no later than this, by the clock of the stream; None: no frame
            has come yet.
        goes_on: it has gone on.
        waits_since: by the steady clock, when it became known.
    """

    def __init__(self, record: Record) -> None:
        self.record, self.goes_on, self.waits_since = record, False, time.monotonic()
        self.until_s: float | None = None
        self.offset = seconds_of(record["start_wall"]) - record["start_s"]

    def closed(self) -> Record:
        """The record with which it ends where it does not go on."""
        end_s = self.record["latest_s"]
        end = {"phase": "end", "end_s": end_s, "end_wall": clock_time(end_s + self.offset), "interrupted": True}
        return self.record | end | {"wall": clock_time(time.time())}

    def joined(self, record: Record, *, offset: float) -> Record:
        """The record of what it goes on with, with what is known of it; `offset` is that of the record's times."""
        earlier, shift = self.record, self.offset - offset
        joined = {"id": earlier["id"], "start_s": earlier["start_s"] + shift, "start_wall": earlier["start_wall"]}
        if earlier["peak_score"] >= record["peak_score"]:
            joined |= {key: earlier[key] for key in ("peak_score", "category", "box")}
            joined["peak_s"] = earlier["peak_s"] + shift
        return record | joined


class Watched:
    """One stream, from scored clips to records.

    Args:
        stream: where the frames come from.
        settings: what is looked for.
        tell: takes every record.
        seen: takes every record of an event with the frame that changed it, after `tell`.
        blurred: finds in a frame what no picture may show; asked for the few frames of which pictures are made.
        earlier: the record of an event that was open when the stream was watched last.
    """

    def __init__(
        self,
        stream: Stream,
        settings: WatchSettings,
        *,
        tell: Tell,
        seen: Seen,
        blurred: Blurred,
        earlier: Record | None = None,
    ) -> None:
        self.stream, self.settings, self._tell, self._seen = stream, settings, tell, seen
        self._blurred = blurred
        self.cutter = EventCutter(settings.categories, settings.events)
        self._earlier = None if earlier is None else Earlier(earlier)
        self._before: ScoredFrame | None = None
        self._last_s, self._step_s = 0.0, USUAL_STEP_S
        self._wall_offset = 0.0  # from stream time to seconds since 1970, by the latest frame
        self._steady_offset = 0.0  # the same to the steady clock, which nobody sets
        self._event_offset = 0.0  # the same for all records of the latest event
        self._id, self._told_at, self._told = "", 0.0, Record()
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
            self._wall_offset, self._steady_offset = live.wall - time_s, live.arrived - time_s
            moment = Moment(live, scores.masks[t])
            self._tell(self._score_record(live, frame))
            self._analysed += 1
            if not self.settings.schedule.active(datetime.fromtimestamp(live.wall)):
                self._rest()
                self._close_earlier()
                continue
            self._expect_earlier(live)
            passed = [] if self._before is None else between(self._before, frame, live.between)
            for each in [*passed, frame]:
                self._step_s = min(USUAL_STEP_S, each.time_s - self._last_s) or self._step_s
                self._last_s = each.time_s
                self._changed(self.cutter.add(each), moment)
            self._before = frame
            self._update(moment)
            self._give_up_earlier(time_s)

    def look(self, *, now: float) -> None:
        """Close what is over when no frame comes, and tell how the stream is, if that is due."""
        if self.stream.state != "running" and not self.stream.pending():
            away_s = now - self._steady_offset
            self._break_off(away_s)
            self._give_up_earlier(away_s)
            earlier = self._earlier
            if earlier is not None and not earlier.goes_on and now - earlier.waits_since > LONGEST_ABSENCE_S:
                self._close_earlier()  # nobody knows whether it is still there
        self.health(now=now)

    def settle(self, settings: WatchSettings) -> None:
        """Go on with other settings; an event whose word is still asked for goes on under its id."""
        before, self.settings = self.settings, settings
        known = (settings.categories, settings.events, settings.profile, settings.regions)
        if known == (before.categories, before.events, before.profile, before.regions):
            return
        cutter, event = self.cutter, self.cutter.current
        self.cutter, self._before = cutter.successor(settings.categories, settings.events), None
        if event is not None and event.category in settings.categories:
            self._tell_event("update", event, None)  # as it is now
            self._earlier = Earlier(self._told)
        else:
            self._changed(cutter.finish(self._last_s + self._step_s), None)

    def finish(self, message: str | None = None) -> None:
        """Nothing comes any more; `message` says why, if not the stream itself."""
        self._rest()
        self._close_earlier()
        self.health(now=time.monotonic(), again=True, message=message)

    def _rest(self) -> None:
        """No event is told for a while: what goes on is over."""
        if self._before is None and self.cutter.quiet:
            return
        self._changed(self.cutter.finish(self._last_s + self._step_s), None)
        self.cutter, self._before = self.cutter.successor(self.settings.categories, self.settings.events), None

    def _break_off(self, now_s: float) -> None:
        """No frame was there between the latest one and `now_s`."""
        if self._before is not None:
            self.cutter.pause(self._last_s + self._step_s)
            self._before = None
        self._changed(self.cutter.settle(now_s), None)

    def _expect_earlier(self, live: LiveFrame) -> None:
        """With the first frame it is known until when an earlier event may go on; nobody looked before it."""
        earlier = self._earlier
        if earlier is None or earlier.until_s is not None:
            return
        earlier.until_s = live.frame.time_s + self.settings.events.merge_gap_s
        absent_s = live.wall - (earlier.record["latest_s"] + earlier.offset)
        if absent_s > LONGEST_ABSENCE_S or earlier.record["category"] not in self.settings.categories:
            self._close_earlier()

    def _give_up_earlier(self, now_s: float) -> None:
        earlier = self._earlier
        if earlier is not None and not earlier.goes_on and self.cutter.quiet and now_s > (earlier.until_s or now_s):
            self._close_earlier()

    def _close_earlier(self) -> None:
        earlier, self._earlier = self._earlier, None
        if earlier is not None and not earlier.goes_on:
            record = earlier.closed()
            self._tell(record)
            self._seen(record, None)

    def _changed(self, changes: list[Change], moment: Moment | None) -> None:
        for change in changes:
            phase: str = change.phase
            if phase == "start":
                self._event_offset, earlier = self._wall_offset, self._earlier
                if earlier is not None and change.event.start_s <= (earlier.until_s or 0.0):
                    earlier.goes_on, phase = True, "update"
                else:
                    self._close_earlier()
                    self._id = uuid.uuid4().hex
            self._tell_event(phase, change.event, moment)
            if phase == "end":
                self._earlier = None

    def _update(self, moment: Moment) -> None:
        event, now = self.cutter.current, time.monotonic()
        if event is not None and now - self._told_at >= self.settings.update_s:
            self._tell_event("update", event, moment)

    def _tell_event(self, phase: str, event: Event, moment: Moment | None) -> None:
        self._told_at = time.monotonic()
        record: Record = {"type": "event", "phase": phase, "id": self._id, "stream": self.stream.name}
        record |= event.to_json()
        if phase != "end":
            record["end_s"] = None  # goes on
        record["latest_s"] = event.end_s
        record["start_wall"] = clock_time(event.start_s + self._event_offset)
        record["end_wall"] = None if phase != "end" else clock_time(event.end_s + self._event_offset)
        record["wall"] = clock_time(time.time())
        if self._earlier is not None and self._earlier.goes_on:
            record = self._earlier.joined(record, offset=self._event_offset)
        self._told = record
        self._tell(record)
        if self._seen is not unseen:
            self._seen(record, self._picture(record, moment))

    def _picture(self, record: Record, moment: Moment | None) -> Moment | None:
        """The frame, if it is a picture of the event, with what it may not show."""
        if moment is None or not shows(record, moment.live.frame.time_s):
            return None
        words = self.settings.blur
        return replace(moment, blurred=self._blurred(moment.live, words)) if words else moment

    def _score_record(self, live: LiveFrame, frame: ScoredFrame) -> Record:
        self.delay_s = time.monotonic() - live.arrived
        categories = self.settings.categories
        scores = {name: shortest(score) for name, score in zip(categories, frame.category_scores, strict=True)}
        return {
            "type": "score",
            "stream": self.stream.name,
            "frame": live.frame.index,
            "time_s": frame.time_s,
            "score": shortest(frame.score),
            "category": categories[int(np.argmax(frame.category_scores))],
            "scores": scores,
            "wall": clock_time(live.wall),
            "delay_s": round(self.delay_s, 3),
        }

    def health(self, *, now: float, again: bool = False, message: str | None = None) -> None:
        """Tell how the stream is where that has changed, has not been told for a while, or if asked for."""
        stream, counts = self.stream, self.stream.counts
        known = (stream.state, stream.message) if message is None else ("ended", message)
        passed = now - self._health_at
        due = passed >= self.settings.health_s or (again and self._rate_from != self._analysed)
        if known == self._health_told and not due:
            return
        rate = (self._analysed - self._rate_from) / passed if self._health_at else 0.0
        self._health_told, self._health_at, self._rate_from = known, now, self._analysed
        record = health_record(stream.name, stream.address.shown, known[0], known[1], counts, share=stream.pace.share)
        self._tell(record | {"analysed": self._analysed, "rate": round(rate, 2), "held_back": self.cutter.held_back})


def health_record(name: str, source: str, state: str, message: str, counts: Counts, *, share: float = 1.0) -> Record:
    """How a stream is, nothing of which has been analysed."""
    return {
        "type": "health",
        "stream": name,
        "source": source,
        "state": state,
        "message": message,
        "frames": counts.frames,
        "analysed": 0,
        "thinned": counts.thinned,
        "dropped": counts.dropped,
        "sessions": counts.sessions,
        "rate": 0.0,
        "share": round(share, 3),
        "held_back": 0,
        "wall": clock_time(time.time()),
    }
