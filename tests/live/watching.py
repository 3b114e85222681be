"""A watch in a thread, looked at while it runs."""

import threading
import time

from lavida.events import EventSettings
from lavida.live.address import parse_all
from lavida.live.watch import WatchSettings, watch
from live.streams import CATEGORIES, BrightScorer


class Watching:
    """A watch in a thread, and what it has told so far."""

    def __init__(self, *urls: str, **scorer) -> None:
        self.records: list[dict] = []
        self.times: list[float] = []
        self._stopped = threading.Event()
        asked = WatchSettings(categories=CATEGORIES, events=EventSettings(threshold=0.5))
        run = {"scorer": BrightScorer(**scorer), "settings": asked, "tell": self._tell, "stopped": self._stopped}
        self._thread = threading.Thread(target=watch, args=(parse_all(urls),), kwargs=run)

    def _tell(self, record: dict) -> None:
        self.records.append(record)
        self.times.append(time.monotonic())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._stopped.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def until(self, wanted, *, within: float, after: int = 0) -> dict:
        """The first record from number `after` on for which `wanted` is true."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for record in self.records[after:]:
                if wanted(record):
                    return record
            time.sleep(0.02)
        raise AssertionError(f"not within {within} s: {self.records[-3:]}")


def is_state(state: str):
    return lambda record: record["type"] == "health" and record["state"] == state


def is_score(record: dict) -> bool:
    return record["type"] == "score"


def is_phase(phase: str):
    return lambda record: record["type"] == "event" and record["phase"] == phase
