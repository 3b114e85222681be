"""From a stream's time stamps to seconds that start at zero and never decrease."""

from __future__ import annotations

import heapq
import math
import statistics
from collections import deque

LEAP_S = 1.0  # a step up to this needs no confirmation
UNUSUAL = 8  # nor does one of up to so many usual steps
CONFIRMED_BY = 3  # frames, the one that jumps among them
PATIENCE = 8  # frames are held back at most until their times are clear
REORDERING = 16  # frames: as far as H.264 moves them; stamps that go further back are those of another recording
ALIKE = 120  # frames may share a stamp: some recorders know whole seconds only
LAST_JUMP_S = 10.0  # at the end nothing can confirm a jump: up to this it is believed


class Clock:
    """Settles the time of each frame, in order, as soon as the stamps around it make it clear.

    A stamp that does not fit (far ahead, back in time, missing) gets a time between its neighbours. A jump counts once
    three frames in a row confirm it: forwards, time has passed; backwards, another recording begins, and time goes on.

    Args:
        step: seconds from frame to frame, where nothing else tells.
        reordering: by how many places stamps are mixed up among themselves, as where a container (AVI) has stamps of
            decoding only; they are sorted.

    Attributes:
        missing: frames without a stamp so far.
        fitted: frames whose stamp did not fit, by more than a step.
        joined: times at which another recording began.
    """

    def __init__(self, step: float, *, reordering: int = 0) -> None:
        self.missing, self.fitted = 0, 0
        self.joined: list[float] = []
        self._step, self._reordering = step, reordering
        self._steps: deque[float] = deque(maxlen=2 * CONFIRMED_BY)  # the latest ones that were believed
        self._mixed: list[float] = []  # a heap of the stamps that are still to be sorted
        self._waiting: list[float | None] = []  # the stamps of the frames that are held back
        self._now = -step  # time of the last settled frame
        self._last: float | None = None  # its stamp, or the last one that was believed
        self._begin = 0.0  # first stamp of this recording
        self._settled_here = 0  # frames of this recording
        self._offset = 0.0  # from stamp to time
        self._unstamped = 0  # frames without a stamp since the last one with
        self._alike = 0  # frames with the same stamp as the one before

    def add(self, stamp: float | None) -> list[float]:
        """Take the stamp of the next frame, in seconds; the times of the frames that are clear now, oldest first."""
        if not self._reordering:
            return self._settle(stamp)
        times: list[float] = []
        if stamp is None or (self._mixed and stamp < self._mixed[0] - 2 * self._reordering * self._step):
            times = self._sorted_out()
        if stamp is None:
            return times + self._settle(None)
        heapq.heappush(self._mixed, stamp)
        if len(self._mixed) > self._reordering:
            times += self._settle(heapq.heappop(self._mixed))
        return times

    def finish(self) -> list[float]:
        """The times of all frames that are still held back."""
        times = self._sorted_out()
        if self._waiting:
            times += self._end()
        return times

    def _sorted_out(self) -> list[float]:
        return [time_s for _ in range(len(self._mixed)) for time_s in self._settle(heapq.heappop(self._mixed))]

    def _settle(self, stamp: float | None) -> list[float]:
        if not self._waiting and self._is_next(stamp):
            return [self._believe(stamp)]
        if self._last is None and stamp is not None and not self._waiting:
            self._begin_recording(stamp)
            return [self._believe(stamp)]
        if stamp is None and not self._waiting and (self._last is None or self._unstamped >= PATIENCE):
            self.missing += 1
            self._now += self._usual()
            return [self._now]
        self._waiting.append(stamp)
        return self._resolve()

    def _is_next(self, stamp: float | None) -> bool:
        return stamp is not None and self._last is not None and 0 <= stamp - self._last <= self._leap(1)

    def _believe(self, stamp: float) -> float:
        step = 0.0 if self._last is None else stamp - self._last
        if step > 0:
            self._steps.append(step)
        self._alike = self._alike + 1 if self._last == stamp else 0
        if self._alike > ALIKE:  # a clock that stands still tells nothing
            self.missing += 1
            self._now += self._usual()
        self._last, self._now = stamp, max(self._now, stamp + self._offset, 0.0)
        self._settled_here += 1
        self._unstamped = 0
        return self._now

    def _begin_recording(self, stamp: float, *, time_s: float | None = None) -> None:
        self._offset = (self._now + self._usual() if time_s is None else time_s) - stamp
        self._begin, self._last, self._settled_here = stamp, None, 0

    def _resolve(self) -> list[float]:
        """The times of those held back, if what has come by now tells."""
        waiting, newest = self._waiting, self._waiting[-1]
        if newest is None:
            return self._give_up()
        run, steady = self._run(), self._run(longest=UNUSUAL * self._usual())
        if steady >= CONFIRMED_BY and self._starts_anew(waiting[-steady]):
            return self._restart(steady)
        if self._last is not None and 0 < newest - self._last <= self._leap(len(waiting)):
            return self._fit(run)
        if run >= CONFIRMED_BY and self._last is not None and waiting[-run] > self._last:
            return self._leap_ahead(run)
        return self._give_up()

    def _run(self, longest: float = math.inf) -> int:
        """How many of the latest frames have stamps that do not go back, nor ahead by more than `longest`."""
        count, following = 0, None
        for stamp in reversed(self._waiting):
            if stamp is None or (following is not None and not 0 <= following - stamp <= longest):
                break
            count, following = count + 1, stamp
        return count

    def _starts_anew(self, stamp: float | None) -> bool:
        """Whether a stamp is too far back for frames that were only mixed up."""
        back = max(LEAP_S, REORDERING * self._usual())
        return self._last is not None and stamp < self._last and (stamp <= self._begin or stamp < self._last - back)

    def _restart(self, run: int) -> list[float]:
        """Another recording begins with the last `run` frames."""
        before, new = self._waiting[:-run], self._waiting[-run:]
        times = [self._guess(stamp) for stamp in before]
        self._begin_recording(new[0])
        self._waiting = []
        self.joined.append(self._now + self._usual())
        return times + [self._believe(stamp) for stamp in new]

    def _fit(self, run: int) -> list[float]:
        """The newest stamp goes on from the last good one: those between were wrong, unless none goes back."""
        before, newest = self._waiting[:-1], self._waiting[-1]
        if run == len(self._waiting) and self._waiting[0] >= self._last:
            before, self._waiting = self._waiting, []
            return [self._believe(stamp) for stamp in before]
        self._waiting = []
        start, end = self._now, max(self._now, newest + self._offset)
        step = (end - start) / (len(before) + 1)
        for place, stamp in enumerate(before, start=1):
            self._count(stamp, start + place * step)
        return [start + place * step for place in range(1, len(before) + 1)] + [self._believe(newest)]

    def _leap_ahead(self, run: int) -> list[float]:
        """Time has passed: the last `run` frames confirm it."""
        before, new = self._waiting[:-run], self._waiting[-run:]
        self._waiting = []
        jump, pace = new[0] - self._last, max(new[-1] - new[0], self._step) / (run - 1)
        if self._settled_here < CONFIRMED_BY and jump > max(LAST_JUMP_S, 100 * pace):
            # not these are far ahead but the first ones were stamped before the camera's clock was set
            self.fitted += self._settled_here
            times = [self._guess(stamp) for stamp in before]
            self._begin_recording(new[0])
            return times + [self._believe(stamp) for stamp in new]
        start, end = self._now, new[0] + self._offset
        step = min(self._usual(), (end - start) / (len(before) + 1))
        times = [start + place * step for place in range(1, len(before) + 1)]
        for stamp, time_s in zip(before, times, strict=True):
            self._count(stamp, time_s)
        return times + [self._believe(stamp) for stamp in new]

    def _give_up(self) -> list[float]:
        """Nothing tells: the oldest one follows at the usual step, once enough have been held back."""
        times = []
        while len(self._waiting) > PATIENCE or (self._waiting and self._unstamped >= PATIENCE):
            times.append(self._guess(self._waiting.pop(0)))
        return times

    def _end(self) -> list[float]:
        waiting, self._waiting = self._waiting, []
        stamps = [stamp for stamp in waiting if stamp is not None]
        forwards = self._last is not None and stamps == sorted(stamps) and bool(stamps)
        if forwards and len(stamps) == len(waiting) and 0 <= stamps[0] - self._last <= LAST_JUMP_S:
            return [self._believe(stamp) for stamp in waiting]
        return [self._guess(stamp) for stamp in waiting]

    def _guess(self, stamp: float | None) -> float:
        self._now += self._usual()
        if stamp is None:
            self._unstamped += 1
        self._count(stamp, self._now)
        return self._now

    def _count(self, stamp: float | None, time_s: float) -> None:
        if stamp is None:
            self.missing += 1
        elif abs(stamp + self._offset - time_s) > self._usual():
            self.fitted += 1

    def _usual(self) -> float:
        return statistics.median(self._steps) if len(self._steps) >= CONFIRMED_BY else self._step

    def _leap(self, frames: int) -> float:
        """The most that time may advance over so many frames without a doubt."""
        return LEAP_S if frames == 1 and not self._is_slow() else max(LEAP_S, UNUSUAL * frames * self._usual())

    def _is_slow(self) -> bool:
        return bool(self._steps) and max(self._steps) > LEAP_S / UNUSUAL
