"""A watch in a thread, looked at while it runs."""

import threading
import time

from lavida.events import EventSettings
from lavida.live.address import parse_all
from lavida.live.plan import Plan, Planned, WatchSettings
from lavida.live.watch import watch
from live.streams import CATEGORIES, BrightScorer


def planned(*urls: str, **settings) -> Plan:
    """All streams with the same settings."""
    asked = WatchSettings(**{"categories": CATEGORIES, "events": EventSettings(threshold=0.5)} | settings)
    return {name: Planned(address, asked) for name, address in parse_all(urls).items()}


class Watching:
    """A watch in a thread, and what it has told so far; `plan` may be set to another one.

    Args:
        urls: of the streams, or a plan.
        scorer: answers at once.
        work: what watches.
        watch: further arguments of it.
    """

    def __init__(
        self, *urls: str, plan: Plan | None = None, scorer: BrightScorer | None = None, work=watch, **watch_with
    ) -> None:
        self.records: list[dict] = []
        self.times: list[float] = []
        self.scorer = scorer or BrightScorer()
        self.plan: Plan | None = None
        self._stopped = threading.Event()
        run = {"scorer": self.scorer, "tell": self._tell, "stopped": self._stopped, "replan": self._replan}
        chosen = planned(*urls) if plan is None else plan
        self._thread = threading.Thread(target=work, args=(chosen,), kwargs=run | watch_with)

    def _replan(self) -> Plan | None:
        plan, self.plan = self.plan, None
        return plan

    def _tell(self, record: dict) -> None:
        self.records.append(record)
        self.times.append(time.monotonic())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._stopped.set()
        self._thread.join(60)
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
