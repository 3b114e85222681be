"""Streams in, records out: a score for every analysed frame, events as they begin and end, how each stream is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from lavida.detection import Mask
from lavida.live.pace import Pace
from lavida.live.plan import Plan, Planned
from lavida.live.records import Record, Tell
from lavida.live.scheduler import Scheduler
from lavida.live.scorer import Scorer
from lavida.live.session import Tape
from lavida.live.stream import LiveFrame, Stream
from lavida.live.watched import Seen, Watched, unseen

PENDING_CLIPS = 2  # that may wait of each stream
LOOK_S = 0.25  # at least so often somebody looks whether a stream has stopped
LEAVE_S = 2.0  # for threads to end
TAKEN_OUT = "taken out of the configuration"


Tapes = Callable[[str], Tape | None]
Look = Callable[[str, LiveFrame], object]  # takes the newest frame of the stream of a name


def untaped(stream: str) -> None:
    """No stream's packets are kept."""


def unlooked(stream: str, live: LiveFrame) -> None:
    """No stream is looked at."""


class Watching(Protocol):
    """Watches streams step by step, in this process or in others."""

    @property
    def over(self) -> bool:
        """Whether nothing comes any more of any stream."""
        ...

    def follow(self, plan: Plan) -> None:
        """Watch what the plan says from now on; streams that it does not change notice nothing."""
        ...

    def step(self) -> None:
        """Tell what there is to tell, or return soon."""
        ...

    def finish(self) -> None:
        """Stop all streams and close what goes on."""
        ...


class Watch:
    """The streams that are watched now, which may change while it runs.

    Args:
        scorer: one for all.
        tell: takes every record.
        seen: takes every record of an event with the frame that changed it, after `tell`.
        earlier: by stream the records of events that were open when the process before this one was killed.
        tapes: what keeps the packets of the stream of a name, if anything does; not asked for files.
        look: takes the newest frame of every clip that has been scored, but of streams with `blur`.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        tell: Tell,
        seen: Seen = unseen,
        earlier: Mapping[str, Record] | None = None,
        tapes: Tapes = untaped,
        look: Look = unlooked,
    ) -> None:
        self._scorer, self._tell, self._seen, self._tapes, self._look = scorer, tell, seen, tapes, look
        self._earlier = dict(earlier or {})
        self._pace, self._bell = Pace(), threading.Condition()
        self._planned: dict[str, Planned] = {}
        self._watched: dict[str, Watched] = {}
        self._left: list[Stream] = []
        self._scheduler = Scheduler(bell=self._bell, pace=self._pace, clip_length=scorer.clip_length)

    @property
    def over(self) -> bool:
        """See `Watching`."""
        return len(self.ended) == len(self._watched)

    @property
    def ended(self) -> frozenset[str]:
        """The streams of which nothing comes any more."""
        return frozenset(name for name, each in self._watched.items() if each.stream.over)

    def follow(self, plan: Plan, earlier: Mapping[str, Record] | None = None) -> None:
        """See `Watching`; `earlier` adds to that of the start, for streams that are new."""
        self._earlier |= earlier or {}
        for name in [name for name in self._watched if name not in plan]:
            self._leave(name)
        for name, planned in plan.items():
            before = self._planned.get(name)
            if before is not None and before.address == planned.address:
                self._watched[name].settle(planned.settings)
            else:
                if before is not None:
                    self._leave(name)
                self._begin(name, planned)
            self._planned[name] = planned
        self._scheduler.streams = [each.stream for each in self._watched.values()]

    def _begin(self, name: str, planned: Planned) -> None:
        stream = Stream(
            name,
            planned.address,
            pace=self._pace,
            bell=self._bell,
            most_pending=PENDING_CLIPS * self._scorer.clip_length,
            size=self._scorer.analysed_size,
            pairs=self._scorer.motion,
            tape=None if planned.address.kind == "file" else self._tapes(name),
        )
        earlier = self._earlier.pop(name, None)
        watched = Watched(
            stream, planned.settings, tell=self._tell, seen=self._seen, blurred=self._blurred, earlier=earlier
        )
        self._watched[name] = watched
        watched.health(now=time.monotonic())
        stream.start()

    def _blurred(self, live: LiveFrame, words: Sequence[str]) -> Sequence[Mask]:
        """All masks of these words, however low they score: asked alone, they change no score of an event."""
        return self._scorer.score([live.frame], words, size=live.size, floor=0.0).masks[0]

    def _leave(self, name: str) -> None:
        watched = self._watched.pop(name)
        del self._planned[name]
        watched.stream.stop()  # its thread ends by itself; waiting for it would delay the others
        self._left = [*(each for each in self._left if not each.over), watched.stream]
        watched.finish(TAKEN_OUT)

    def step(self) -> None:
        """Score the next clip, if there is one soon, and look after all streams."""
        clip = self._scheduler.next_clip(timeout_s=LOOK_S)
        if clip is not None:
            stream, frames = clip
            watched, size = self._watched[stream.name], frames[0].size
            settings = watched.settings
            images = [live.frame for live in frames]
            scores = self._scorer.score(images, settings.categories, size=size, floor=settings.floor)
            watched.add(frames, settings.applied(scores, size))
            if not settings.blur:  # what must not be seen is not looked at
                self._look(stream.name, frames[-1])
        for each in self._watched.values():
            each.look(now=time.monotonic())

    def finish(self) -> None:
        """Stop all streams and close what goes on."""
        streams = [*(each.stream for each in self._watched.values()), *self._left]
        for stream in streams:
            stream.stop()
        for each in self._watched.values():
            each.finish()
        deadline = time.monotonic() + LEAVE_S
        for stream in streams:
            stream.join(max(0.0, deadline - time.monotonic()))


def watch(
    plan: Plan,
    scorer: Scorer,
    *,
    tell: Tell,
    seen: Seen = unseen,
    earlier: Mapping[str, Record] | None = None,
    tapes: Tapes = untaped,
    look: Look = unlooked,
    replan: Callable[[], Plan | None] = lambda: None,
    stopped: threading.Event | None = None,
) -> None:
    """Watch streams in this process; see `Watch` and `go_on`."""
    watching = Watch(scorer, tell=tell, seen=seen, earlier=earlier, tapes=tapes, look=look)
    go_on(watching, plan, replan=replan, stopped=stopped)


def go_on(
    watching: Watching,
    plan: Plan,
    *,
    replan: Callable[[], Plan | None] = lambda: None,
    stopped: threading.Event | None = None,
) -> None:
    """Watch until all streams are over, as files are, or until `stopped` is set. All records are told in this thread.

    Args:
        watching: what watches.
        plan: the streams by their names.
        replan: asked again and again for another plan; None: as before.
        stopped: may be set by another thread or a signal.
    """
    stopped = stopped or threading.Event()
    try:
        watching.follow(plan)
        while not stopped.is_set() and not watching.over:
            watching.step()
            if (changed := replan()) is not None:
                watching.follow(changed)
    finally:
        watching.finish()
