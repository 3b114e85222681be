"""From a stream's time stamps to seconds that start at zero and never decrease."""

from __future__ import annotations

import heapq
import itertools
import math
import statistics
from collections import deque
from dataclasses import dataclass, replace

LEAP_S = 1.0  # a step up to this needs no confirmation
UNUSUAL = 8  # nor does one of up to so many usual steps
CONFIRMED_BY = 3  # frames, the one that jumps among them
PATIENCE = 8  # frames are held back at most until their times are clear
REORDERING = 16  # frames: as far as H.264 moves them; stamps that go further back are those of another recording
ALIKE = 120  # frames may share a stamp: some recorders know whole seconds only
LAST_JUMP_S = 10.0  # at the end, and after the first frames, nothing confirms a jump: up to this it is believed
LONGEST_PAUSE_S = 366 * 86400.0  # beyond it, whatever the container says, a camera's clock was set
INTERRUPTED = 8  # stamps that come back may be later than where they left off by one in so many seconds of the jump
MOST_LINES = 8  # recordings that may be taken up again


@dataclass(frozen=True, slots=True)
class _Line:
    """A recording that may be taken up again, should the stamps that broke it off have been wrong.

    Attributes:
        offset: from its stamps to times.
        begin: its first stamp.
        believed: frames of it.
        joined: how many recordings had begun by its end.
    """

    offset: float
    begin: float
    believed: int
    joined: int


class Clock:
    """Settles the time of each frame, in order, as soon as the stamps around it make it clear.

    A stamp that does not fit (far ahead, back in time, missing) gets a time between its neighbours. A jump counts once
    three frames in a row confirm it: forwards, time has passed; backwards, another recording begins, and time goes on,
    unless the stamps come back to where they left off: then those between were wrong. What the first and the last
    frames cannot confirm, the announced length can.

    Args:
        step: seconds from frame to frame, where nothing else tells.
        reordering: by how many places stamps are mixed up among themselves, as where a container (AVI) has stamps of
            decoding only; they are sorted.
        length_s: what the container's header announces; None where it does not, or knows it from the stamps alone.

    Attributes:
        missing: frames without a stamp so far.
        fitted: frames whose stamp did not fit, by more than a step.
        joined: times at which another recording began.
    """

    def __init__(self, step: float, *, reordering: int = 0, length_s: float | None = None) -> None:
        self.missing, self.fitted = 0, 0
        self.joined: list[float] = []
        self._step, self._reordering, self._length_s = step, reordering, length_s
        self._steps: deque[float] = deque(maxlen=2 * CONFIRMED_BY)  # the latest ones that were believed
        self._mixed: list[float] = []  # a heap of the stamps that are still to be sorted
        # the stamps of the frames that are held back; where there is none it is not a number, and compares as false
        self._waiting: list[float] = []
        self._now = -step  # time of the last settled frame
        self._last = math.nan  # the last stamp that was believed
        self._line = _Line(0.0, math.nan, 0, 0)  # this recording
        self._broken_off: deque[_Line] = deque(maxlen=MOST_LINES)  # those before it
        self._unstamped = 0  # frames without a stamp since the last one with
        self._alike = 0  # frames with the same stamp as the one before

    def add(self, stamp: float | None) -> list[float]:
        """Take the stamp of the next frame, in seconds; the times of the frames that are clear now, oldest first."""
        if not self._reordering:
            return self._settle(math.nan if stamp is None else stamp)
        times: list[float] = []
        if stamp is None or (self._mixed and stamp < self._mixed[0] - 2 * self._reordering * self._step):
            times = self._sorted_out()
        if stamp is None:
            return times + self._settle(math.nan)
        heapq.heappush(self._mixed, stamp)
        if len(self._mixed) > self._reordering:
            times += self._settle(heapq.heappop(self._mixed))
        return times

    def finish(self) -> list[float]:
        """The times of all frames that are still held back."""
        times = self._sorted_out()
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return times
        stamps = [stamp for stamp in waiting if not math.isnan(stamp)]
        if len(stamps) == len(waiting) and stamps == sorted(stamps) and stamps[0] >= self._last:
            taken_up = self._take_up(stamps[0], frames=1)
            if taken_up or stamps[0] - self._last <= LAST_JUMP_S or self._is_announced(stamps):
                return times + [self._believe(stamp) for stamp in stamps]
        return times + [self._guess(stamp) for stamp in waiting]

    def _sorted_out(self) -> list[float]:
        return [time_s for _ in range(len(self._mixed)) for time_s in self._settle(heapq.heappop(self._mixed))]

    def _settle(self, stamp: float) -> list[float]:
        if not self._waiting:
            if 0 <= stamp - self._last <= self._leap(1):
                return [self._believe(stamp)]
            nothing_yet = math.isnan(self._last)
            if nothing_yet and not math.isnan(stamp):
                self._begin_recording(stamp)
                return [self._believe(stamp)]
            if math.isnan(stamp) and (nothing_yet or self._unstamped >= PATIENCE):
                self.missing += 1
                self._now += self._usual()
                return [self._now]
        self._waiting.append(stamp)
        return self._resolve()

    def _believe(self, stamp: float) -> float:
        self._take_up(stamp, frames=1)
        if stamp > self._last:
            self._steps.append(stamp - self._last)
        self._alike = self._alike + 1 if self._last == stamp else 0
        if self._alike > ALIKE:  # a clock that stands still tells nothing
            self.missing += 1
            self._now += self._usual()
        self._last, self._now = stamp, max(self._now, stamp + self._line.offset, 0.0)
        self._line = replace(self._line, believed=self._line.believed + 1)
        self._unstamped = 0
        return self._now

    def _begin_recording(self, stamp: float) -> None:
        self._line = _Line(self._now + self._usual() - stamp, stamp, 0, len(self.joined))
        self._last = math.nan

    def _take_up(self, stamp: float, *, frames: int) -> bool:
        """Go on with an earlier recording if a jump to this stamp leads back to where it left off.

        Args:
            stamp: of a frame so many places behind the last one that is settled.
            frames: the places.
        """
        usual, jump = self._usual(), stamp - self._last
        expected = self._now + frames * usual
        if not jump > (UNUSUAL + frames) * usual:
            return False
        early, late = UNUSUAL * usual, max(UNUSUAL * usual, jump / INTERRUPTED)
        if any(abs(self._line.begin - line.begin) <= LEAP_S for line in self._broken_off):
            early = late = 2 * usual  # it begins as another one did: a recording more likely than wrong stamps
        for place, line in reversed(list(enumerate(self._broken_off))):
            if -early <= stamp + line.offset - expected <= late:
                wrong = [self._line, *itertools.islice(self._broken_off, place + 1, None)]
                self.fitted += sum(line.believed for line in wrong)
                del self.joined[line.joined :]
                self._line, self._last = line, math.nan
                while len(self._broken_off) > place:
                    self._broken_off.pop()
                return True
        return False

    def _is_announced(self, stamps: list[float]) -> bool:
        """Whether a jump to these stamps ends within the announced length."""
        possible = self._length_s is not None and stamps[0] - self._last <= LONGEST_PAUSE_S
        return possible and stamps[-1] + self._line.offset <= (self._length_s or 0) + LEAP_S

    def _resolve(self) -> list[float]:
        """The times of those held back, if what has come by now tells."""
        waiting, newest = self._waiting, self._waiting[-1]
        if math.isnan(newest):
            return self._give_up()
        run, steady = self._run(), self._run(longest=UNUSUAL * self._usual())
        if steady >= CONFIRMED_BY and self._starts_anew(waiting[-steady]):
            return self._restart(steady)
        if 0 < newest - self._last <= self._leap(len(waiting)):
            return self._fit(run)
        if run >= CONFIRMED_BY and waiting[-run] > self._last:
            return self._leap_ahead(run)
        return self._give_up()

    def _run(self, longest: float = math.inf) -> int:
        """How many of the latest frames have stamps that do not go back, nor ahead by more than `longest`."""
        count = 1
        for later, earlier in itertools.pairwise(reversed(self._waiting)):
            if not 0 <= later - earlier <= longest:
                break
            count += 1
        return count

    def _starts_anew(self, stamp: float) -> bool:
        """Whether a stamp is too far back for frames that were only mixed up."""
        back = max(LEAP_S, REORDERING * self._usual())
        return stamp < self._last and (stamp <= self._line.begin or stamp < self._last - back)

    def _restart(self, run: int) -> list[float]:
        """Another recording begins with the last `run` frames."""
        before, new = self._waiting[:-run], self._waiting[-run:]
        times = [self._guess(stamp) for stamp in before]
        self._broken_off.append(replace(self._line, joined=len(self.joined)))
        self.joined.append(self._now + self._usual())
        self._begin_recording(new[0])
        self._waiting = []
        return times + [self._believe(stamp) for stamp in new]

    def _fit(self, run: int) -> list[float]:
        """The newest stamp goes on from the last good one: those between were wrong, unless none goes back."""
        *before, newest = waiting = self._waiting
        if not self._take_up(newest, frames=len(waiting)) and run == len(waiting) and waiting[0] >= self._last:
            self._waiting = []
            return [self._believe(stamp) for stamp in waiting]
        self._waiting = []
        step = max(0.0, newest + self._line.offset - self._now) / len(waiting)
        return [*self._spread(before, step), self._believe(newest)]

    def _leap_ahead(self, run: int) -> list[float]:
        """Time has passed: the last `run` frames confirm it."""
        before, new = self._waiting[:-run], self._waiting[-run:]
        self._waiting = []
        jump, pace = new[0] - self._last, max(new[-1] - new[0], self._step) / (run - 1)
        taken_up = self._take_up(new[0], frames=len(before) + 1)
        few = self._line.believed < CONFIRMED_BY and jump > max(LAST_JUMP_S, 100 * pace)
        if few and not taken_up and not self._is_announced(new):
            # not these are far ahead but the first ones were stamped before the camera's clock was set
            self.fitted += self._line.believed
            times = [self._guess(stamp) for stamp in before]
            self._begin_recording(new[0])
            return times + [self._believe(stamp) for stamp in new]
        step = max(0.0, new[0] + self._line.offset - self._now) / (len(before) + 1)
        times = self._spread(before, min(self._usual(), step))
        return times + [self._believe(stamp) for stamp in new]

    def _spread(self, stamps: list[float], step: float) -> list[float]:
        """Times, a step apart, for frames whose stamps are not believed."""
        times = [self._now + place * step for place in range(1, len(stamps) + 1)]
        for stamp, time_s in zip(stamps, times, strict=True):
            self._count(stamp, time_s)
        return times

    def _give_up(self) -> list[float]:
        """Nothing tells: the oldest one follows at the usual step, once enough have been held back."""
        times = []
        while len(self._waiting) > PATIENCE or (self._waiting and self._unstamped >= PATIENCE):
            times.append(self._guess(self._waiting.pop(0)))
        return times

    def _guess(self, stamp: float) -> float:
        self._now += self._usual()
        if math.isnan(stamp):
            self._unstamped += 1
        self._count(stamp, self._now)
        return self._now

    def _count(self, stamp: float, time_s: float) -> None:
        if math.isnan(stamp):
            self.missing += 1
        elif abs(stamp + self._line.offset - time_s) > self._usual():
            self.fitted += 1

    def _usual(self) -> float:
        return statistics.median(self._steps) if len(self._steps) >= CONFIRMED_BY else self._step

    def _leap(self, frames: int) -> float:
        """The most that time may advance over so many frames without a doubt."""
        slow = bool(self._steps) and max(self._steps) > LEAP_S / UNUSUAL
        return LEAP_S if frames == 1 and not slow else max(LEAP_S, UNUSUAL * frames * self._usual())
