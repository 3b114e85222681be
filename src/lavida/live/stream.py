"""A stream read in a thread of its own: the newest frames wait to be scored, older ones give way and are counted."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from traceback import format_exception
from typing import Literal

from lavida.errors import InputError, reason
from lavida.live.address import Address, masked
from lavida.live.clock import LiveClock
from lavida.live.session import Session, Size, StreamBroken, StreamChanged, Tape, Wanted, session_of
from lavida.video.source import Frame

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0  # before a stream is opened again
HEALTHY_S = 10.0  # a session of this length was no failed try
SILENT_S = 9.0  # without a frame a stream counts as stalled, whatever its thread is waiting for
MOST_BETWEEN = 2000  # times of frames that are not analysed, kept between two that are

State = Literal["starting", "running", "stalled", "retrying", "ended", "failed"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame that waits to be scored.

    Attributes:
        frame: with its image.
        size: height and width at which its stream is displayed.
        between: times of the frames since the one before, which are not analysed.
        arrived: by the steady clock, in seconds.
        wall: seconds since 1970, when it arrived.
        after_break: whether the stream was away before it.
    """

    frame: Frame
    size: Size
    between: tuple[float, ...]
    arrived: float
    wall: float
    after_break: bool


@dataclass(slots=True)
class Counts:
    """What happened to a stream since it was first opened."""

    frames: int = 0  # that came
    due: int = 0  # of them to be analysed
    thinned: int = 0  # of the due ones left out since the machine cannot keep up with all streams
    dropped: int = 0  # of the others pushed out by newer ones before their turn came
    sessions: int = 0  # times that it was opened and sent pictures


class Pace:
    """The share of the due frames that is analysed, one for all streams; falls when work comes late and rises again.

    Late alone says little: clips of several streams that fill at once wait for each other, however idle the scorer is
    afterwards. What it got through in the time that it was busy says what it can carry.

    Attributes:
        share: in (0, 1].
        due: frames that were due so far, of all streams.
    """

    LATE_S, EARLY_S, EVERY_S = 0.7, 0.25, 1.0
    LEAST = 0.02
    OVER_S, FULL = 10.0, 0.9  # what is looked back on; how busy the scorer may be

    def __init__(self) -> None:
        self.share, self.due = 1.0, 0
        self._worst, self._looked = 0.0, 0.0
        self._done, self._idle_s = 0, 0.0
        self._past = deque[tuple[float, int, int, float]]()  # time, and due, done and idle until then

    def served(self, late_s: float, *, now: float, frames: int = 0, idle_s: float = 0.0) -> bool:
        """Tell how long a clip waited after it was ready; whether the share has changed.

        Args:
            late_s: that.
            now: by the steady clock.
            frames: of the clip.
            idle_s: how long there was nothing to score before it.
        """
        self._worst = max(self._worst, late_s)
        self._done, self._idle_s = self._done + frames, self._idle_s + idle_s
        self._looked = self._looked or now
        if now - self._looked < self.EVERY_S:
            return False
        before, worst, carried = self.share, self._worst, self._carried(now)
        self._looked, self._worst = now, 0.0
        if worst > self.LATE_S and (carried is None or carried < self.share):
            lower = self.share * max(0.25, 1 / (1 + worst / 4)) if carried is None else carried
            self.share = max(self.LEAST, lower)
        elif worst < self.EARLY_S or carried is not None:
            self.share = min(1.0, self.share * 1.08)
        return self.share != before

    def _carried(self, now: float) -> float | None:
        """The share that would keep the scorer as busy as it may be, after the last seconds; None: not known yet."""
        self._past.append((now, self.due, self._done, self._idle_s))
        while now - self._past[0][0] > self.OVER_S:
            self._past.popleft()
        begun, due, done, idle_s = self._past[0]
        due, done, busy_s = self.due - due, self._done - done, now - begun - (self._idle_s - idle_s)
        if not due or not done or now - begun < self.OVER_S / 2:
            return None
        return self.FULL * (done / max(busy_s, 1e-3)) * (now - begun) / due


class Stream:
    """Reads one address until it is stopped; a broken one is opened again, after at most 5 s each time.

    Args:
        name: for records and messages.
        address: where it comes from.
        pace: which frames are left out when all streams together are too much.
        bell: rung when a frame has come or the state has changed; its lock guards all streams.
        most_pending: frames that wait at most.
        size: `Scorer.analysed_size`.
        pairs: whether frames come with a pair.
        session: how the address is read; by its kind if None.
        tape: keeps what is sent as it is coded.

    Attributes:
        counts: what has happened so far.
        message: what is known beside the state, in words, without passwords.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        pace: Pace,
        bell: threading.Condition,
        most_pending: int,
        size: Callable[[int, int], Size],
        pairs: bool,
        session: Session | None = None,
        tape: Tape | None = None,
    ) -> None:
        self.name, self.address, self.counts, self.message = name, address, Counts(), "not opened yet"
        self.pace, self._bell, self._most = pace, bell, most_pending
        self._session = session or session_of(address)
        self._state: State = "starting"
        self._pending: deque[LiveFrame] = deque()
        self._stop = threading.Event()
        self._wanted = Wanted(size, pairs, self._stop.is_set, tape)
        self._clock, self._credit, self._between = LiveClock(), 0.0, list[float]()
        self._broken, self._base, self._size = False, 0, (0, 0)
        self._last_frame: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"lavida-{name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, which may hang in a dead network a little longer than its time-outs."""
        self._thread.join(timeout_s)

    @property
    def state(self) -> State:
        """`stalled` also where the thread itself cannot tell, as it is still waiting."""
        silent = self._last_frame is not None and time.monotonic() - self._last_frame > SILENT_S
        return "stalled" if self._state == "running" and silent else self._state

    @property
    def over(self) -> bool:
        """Whether nothing comes any more."""
        return self._state in ("ended", "failed") and not self._pending

    def pending(self) -> Sequence[LiveFrame]:
        """The frames that wait, oldest first; to be looked at with the bell's lock held."""
        return self._pending

    def skip(self, most: int) -> None:
        """Push out the oldest frames until no more than `most` wait."""
        with self._bell:
            while len(self._pending) > most:
                self.counts.dropped += 1
                _without(self._pending, self._pending[-1])

    def take(self, most: int) -> list[LiveFrame]:
        """The oldest frames that wait, up to where the stream broke off or changed its size."""
        taken: list[LiveFrame] = []
        with self._bell:
            while self._pending and len(taken) < most:
                if taken and (self._pending[0].after_break or self._pending[0].size != taken[0].size):
                    break
                taken.append(self._pending.popleft())
        return taken

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                for frame in self._session(self.address, self._wanted, self._clock, self._opened):
                    self._came(frame)
                return self._set("ended", "stopped" if self._stop.is_set() else "played to its end")
            except StreamChanged as error:
                self._break_off()
                self._set("retrying", str(error))
                continue
            except StreamBroken as error:
                message = str(error)
            except InputError as error:
                return self._set("failed", str(error))
            except Exception as error:  # of a library: whatever it is, the other streams go on
                _log.warning("stream %s: %s", self.name, masked("".join(format_exception(error))))
                message = reason(error)
            if time.monotonic() - begun > HEALTHY_S:
                wait_s = FIRST_WAIT_S
            self._break_off()
            self._set("retrying", f"{message}; opened again in {wait_s:g} s")
            self._stop.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _set(self, state: State, message: str) -> None:
        with self._bell:
            self._state, self.message = state, masked(message)
            self._bell.notify_all()

    def _opened(self, size: Size, shown: str) -> None:
        self._size = size
        self.counts.sessions += 1
        self._set("running", shown)

    def _break_off(self) -> None:
        self._broken, self._base, self._between = True, self.counts.frames, []

    def _came(self, frame: Frame) -> None:
        now, counts = time.monotonic(), self.counts
        counts.frames += 1
        self._last_frame = now
        if frame.image is None or not self._is_its_turn():
            if len(self._between) < MOST_BETWEEN:
                self._between.append(frame.time_s)
            return
        frame = replace(frame, index=self._base + frame.index)
        live = LiveFrame(frame, self._size, tuple(self._between), now, time.time(), self._broken)
        self._between, self._broken = [], False
        with self._bell:
            if len(self._pending) == self._most:
                counts.dropped += 1
                live = _without(self._pending, live)
            self._pending.append(live)
            self._bell.notify_all()

    def _is_its_turn(self) -> bool:
        """Of the due frames every one, or as many as the pace allows, evenly spread."""
        self.counts.due += 1
        self.pace.due += 1
        self._credit += self.pace.share
        if self._credit < 1:
            self.counts.thinned += 1
            return False
        self._credit -= 1
        return True


def _without(pending: deque[LiveFrame], newest: LiveFrame) -> LiveFrame:
    """Push out the oldest frame that waits; the one after it, or the newest, takes over what it knew."""
    oldest = pending.popleft()
    after = pending[0] if pending else newest
    times = (*oldest.between, oldest.frame.time_s, *after.between)[-MOST_BETWEEN:]
    heir = replace(after, between=times, after_break=oldest.after_break)
    if after.after_break:
        heir = after  # what was before a break has no heir behind it
    if not pending:
        return heir
    pending[0] = heir
    return newest
