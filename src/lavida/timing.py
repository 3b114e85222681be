"""Wall-clock time by stage and peak memory, for `run.json`; how a long task tells how far it is."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

T = TypeVar("T")


class Progress(Protocol):
    """Is told the name of what is done now, how much of it is done of how much (None: unknown), and a short note."""

    def __call__(self, title: str, done: int, total: int | None, note: str = "") -> None: ...


def untold(title: str, done: int, total: int | None, note: str = "") -> None:
    """The `Progress` that nobody follows."""


class StageClock:
    """Adds up the seconds that each named stage takes; of a stage within another one, only as its own."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._within = 0.0  # seconds of the stages within the present one

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of the block, however it ends."""
        start, before, self._within = time.perf_counter(), self._within, 0.0
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + spent - self._within
            self._within = before + spent

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


def peak_memory_mb() -> float | None:
    """The most memory this process has held so far; None where the system does not tell."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)  # bytes on macOS, else KiB
