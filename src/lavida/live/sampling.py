"""Which frames of a live stream are analysed."""

from __future__ import annotations

from lavida.video.sampling import LONGEST_GAP_S, FrameSampling


class LiveSampling(FrameSampling):
    """As those of a file where frames bring their times. Where these are times of arrival, five a second on average.

    Frames arrive a little early or late. A rule that lets no gap be longer than 0.2 s would take nearly every frame of
    a camera that sends ten a second: two of them are late together half of the time.

    Args:
        fps: frames a second, as far as it is known.

    Attributes:
        by_arrival: whether the times that come now are those of arrival.
    """

    def __init__(self, *, fps: float) -> None:
        super().__init__(None, fps=fps)
        self.by_arrival, self._due_s = False, 0.0

    def takes(self, index: int, time_s: float, next_s: float | None) -> bool:
        """See `FrameSampling`; by arrival the frame nearest to each moment that is due."""
        if not self.by_arrival:
            taken = super().takes(index, time_s, next_s)
        else:
            taken = self._chosen is None or next_s is None or time_s + next_s >= 2 * self._due_s
        if taken:
            due_s = self._due_s + LONGEST_GAP_S
            self._due_s = due_s if self.by_arrival and due_s > time_s else time_s + LONGEST_GAP_S
            self._chosen = index, time_s
        return taken
