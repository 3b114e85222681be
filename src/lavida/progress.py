"""Progress with time left, on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Advance:
    """Moves one bar: `advance(3)` by three steps, `advance.to(30)` to step 30."""

    def __init__(self, bar: Progress, task: TaskID):
        self._bar, self._task = bar, task

    def __call__(self, count: int = 1, note: str = "") -> None:
        self._bar.update(self._task, advance=count, note=note)

    def to(self, done: int) -> None:
        self._bar.update(self._task, completed=done)

    def end(self) -> None:
        """Show that all is done, however many steps were expected."""
        done = next(task.completed for task in self._bar.tasks if task.id == self._task)
        self._bar.update(self._task, total=done)


@contextmanager
def progress_bar(title: str, *, total: int | None, done: int = 0, shown: bool = True) -> Iterator[Advance]:
    """A bar on stderr, where that is a terminal, while the block runs. `total` None shows a count without an end."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),  # a file name may look like markup
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        disable=not (shown and sys.stderr is not None and sys.stderr.isatty()),
        transient=True,
        speed_estimate_period=3600,  # the default forgets a slow step before the next one is done
    )
    with bar:
        yield Advance(bar, bar.add_task(title, total=total, completed=done, note=""))
