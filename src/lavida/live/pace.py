"""How many of the frames that are due can be analysed: the rate falls when the machine does not keep up."""

from collections import deque


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
    OVER_S, FULL = 10.0, 0.9  # what is looked back on at most; how busy the scorer may be

    def __init__(self) -> None:
        self.share, self.due = 1.0, 0
        self._worst, self._first = 0.0, 0.0
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
        self._idle_s += idle_s
        changed = self._looks(now)
        self._done += frames  # from now on: what is only begun has taken no time yet
        return changed

    def _looks(self, now: float) -> bool:
        if not self._past:
            self._first = now
            self._past.append((now, self.due, self._done, self._idle_s))
        if now - self._past[-1][0] < self.EVERY_S:
            return False
        if self._done and now - self._first < self.OVER_S / 2:  # too little is known: of one clip, which may compile
            return False
        before, worst, carried = self.share, self._worst, self._carried(now)
        self._worst = 0.0
        if worst > self.LATE_S and (carried is None or carried < self.share):
            lower = self.share * max(0.25, 1 / (1 + worst / 4)) if carried is None else carried
            self.share = max(self.LEAST, lower)
        elif carried is not None and carried >= 1 and worst < self.LATE_S:  # what was slow has passed
            self.share += (1 - self.share) / 2 if self.share < 0.99 else 1 - self.share
        elif worst < self.EARLY_S or carried is not None:
            self.share = min(1.0, self.share * 1.08)
        return self.share != before

    def _carried(self, now: float) -> float | None:
        """The share that would keep the scorer as busy as it may be, after the last seconds; None: not known."""
        self._past.append((now, self.due, self._done, self._idle_s))
        while now - self._past[0][0] > self.OVER_S:
            self._past.popleft()
        begun, due, done, idle_s = self._past[0]
        due, done, busy_s = self.due - due, self._done - done, now - begun - (self._idle_s - idle_s)
        if not due or not done:
            return None
        return self.FULL * (done / max(busy_s, 1e-3)) * (now - begun) / due
