"""Wall-clock time by stage, for `run.json`."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class StageClock:
    """Adds up the seconds that each named stage takes."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - start

    def iterate(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Pass items on and count the time that producing them takes."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def elapsed(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start

    def milliseconds(self) -> dict[str, float]:
        """Milliseconds by stage."""
        return {name: round(seconds * 1000, 1) for name, seconds in self._seconds.items()}
