"""Many streams, one model: whose clip is scored next, evenly and without falling behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from lavida.live.pace import Pace
from lavida.live.stream import LiveFrame, Stream

STALE_S = 3.0  # a stream served so late goes on with its newest frames
MOST_WAIT_S = 3.0  # a clip that does not fill by then is scored as it is


class Scheduler:
    """Gives out clips of frames, the stream that was served longest ago first.

    Attributes:
        streams: started elsewhere; all ring the same bell.

    Args:
        bell: that of the streams.
        pace: that of the streams.
        clip_length: frames of a full clip.
        most_wait_s: after so long a clip is given out that is not full.
    """

    def __init__(
        self,
        streams: Sequence[Stream] = (),
        *,
        bell: threading.Condition,
        pace: Pace,
        clip_length: int,
        most_wait_s: float = MOST_WAIT_S,
    ) -> None:
        self.streams, self._bell, self._pace = list(streams), bell, pace
        self._length, self._most_wait_s = clip_length, most_wait_s
        self._served: dict[str, float] = {}  # when, by the steady clock
        self._idle_s = 0.0  # without a clip to give out, since the last one

    def next_clip(self, *, timeout_s: float) -> tuple[Stream, list[LiveFrame]] | None:
        """The next clip, 1 to `clip_length` frames of one stream; None if there is none within the time."""
        deadline = time.monotonic() + timeout_s
        with self._bell:
            while True:
                now = time.monotonic()
                since_when = {each.name: self._ready_since(each, now) for each in self.streams}
                ready = [each for each in self.streams if since_when[each.name] is not None]
                if ready:
                    stream = min(ready, key=lambda each: (self._served.get(each.name, 0.0), since_when[each.name]))
                    break
                if now >= deadline:
                    return None
                self._bell.wait(min(deadline - now, 0.1))
                self._idle_s += time.monotonic() - now
            self._served[stream.name] = now
            late_s = now - (since_when[stream.name] or now)
            if late_s > STALE_S:
                stream.skip(self._length)
            frames = stream.take(self._length)  # the lock is taken again by the same thread
        self._pace.served(late_s, now=now, frames=len(frames), idle_s=self._idle_s)
        self._idle_s = 0.0
        return stream, frames

    def _ready_since(self, stream: Stream, now: float) -> float | None:
        """When its clip became ready to be scored; None if it is not."""
        pending = stream.pending()
        if not pending:
            return None
        if len(pending) >= self._length:
            return pending[self._length - 1].arrived
        if stream.state != "running":  # nothing is added for a while
            return pending[-1].arrived
        if any(frame.after_break for frame in list(pending)[1:]):
            return pending[-1].arrived
        overdue = pending[0].arrived + self._most_wait_s
        return overdue if now >= overdue else None
