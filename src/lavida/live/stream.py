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
from lavida.live.pace import Pace
from lavida.live.session import Session, Size, StreamBroken, Tape, Wanted, session_of
from lavida.video.motion import add_motion
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
    sessions: int = 0  # times that it was opened and sent pictures, or went on in another size


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
        if self.counts.frames != self._base:  # it goes on in another size
            self._break_off()
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
        # here, as the threads of the streams have time for it while the model, which all of them share, is busy
        frame = add_motion(replace(frame, index=self._base + frame.index))
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
