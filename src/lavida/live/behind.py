"""Says in words that the machine does not keep up with the streams, which the numbers of `health` only show."""

from __future__ import annotations

import time
from collections.abc import Callable

from lavida.live.records import Record

ENOUGH = 0.5  # share of the due frames that is analysed, below which it is said
AGAIN_S = 600.0


class Behind:
    """Takes the records of a watch, and says at most every ten minutes how much of what is due is analysed.

    Args:
        say: takes a line for people.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say, self._said = say, -AGAIN_S
        self._before: dict[str, tuple[int, int]] = {}  # analysed and due, by stream

    def tell(self, record: Record) -> None:
        """Take a record."""
        if record["type"] != "health":
            return
        analysed, left_out = record["analysed"], record["thinned"] + record["dropped"]
        before = self._before.get(record["stream"], (0, 0))
        self._before[record["stream"]] = analysed, analysed + left_out
        done, due = analysed - before[0], analysed + left_out - before[1]
        if due < 10 or done >= ENOUGH * due or time.monotonic() - self._said < AGAIN_S:
            return
        self._said = time.monotonic()
        self._say(
            f"the machine does not keep up: {done} of {due} frames that were due of {record['stream']} were analysed; "
            "watch fewer streams, or an exported model (docs/runtime.md), which is faster"
        )
