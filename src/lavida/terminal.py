"""What a command prints: results on stdout; messages, the library's log and progress bars on stderr."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lavida.errors import disk_error, one_line

if TYPE_CHECKING:
    from rich.progress import TaskID


def print_result(text: str, *, to: TextIO | None = None) -> None:
    """Print on stdout at once. A reader that has gone (`| head -1`) does not stop the work.

    Args:
        text: without the last line break.
        to: what was stdout before something else was put in its place.

    Raises:
        InputError: stdout cannot be written, for example because it goes to a file on a full disk.
    """
    _to_stdout(text + "\n", to or sys.stdout)


def print_message(message: str) -> None:
    """Print one line on stderr. Where nobody can read it any more (`2>&1 | head -1`), the work goes on."""
    if sys.stderr is None:  # print would take stdout instead
        return
    try:
        print(f"lavida: {one_line(message)}", file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


class _Lines(logging.Handler):
    """Gives what is logged to `say`, a line for each record."""

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(self.format(record))


@contextmanager
def said_log(name: str, say: Callable[[str], object]) -> Iterator[None]:
    """While the block runs, `say` gets what the logger of that name and those below it log from INFO on."""
    logger, handler = logging.getLogger(name), _Lines(say)
    level = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def said_deprecations() -> Iterator[None]:
    """While the block runs, what it uses of lavida under an earlier name, such as a key of a recipe, is logged.

    Python shows nobody a DeprecationWarning that a library meets in its own code.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def log(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, DeprecationWarning) and Path(filename).is_relative_to(Path(__file__).parent):
                logging.getLogger("lavida").warning("%s", message)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", category=DeprecationWarning, module=r"lavida\.")
        warnings.showwarning = log
        yield


def settle_stdout() -> None:
    """Write out what other printers left in the buffer, so that nothing fails while the interpreter ends."""
    _to_stdout("", sys.stdout)


def _to_stdout(text: str, stdout: TextIO | None) -> None:
    if stdout is None:  # closed by whoever started us
        return
    try:
        stdout.write(text)
        stdout.flush()
    except BrokenPipeError:
        _drop(stdout)
    except OSError as error:
        _drop(stdout)
        raise disk_error(error, "stdout") from error


def _drop(stream: TextIO) -> None:
    # what is still in its buffer would fail again while the interpreter ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def progress_bars(*, shown: bool = True) -> Iterator[Callable[..., None]]:
    """One bar for each title, one after the other, where stderr is a terminal, while the block runs.

    Gives what takes `(title, done, total, note)`, as `lavida.timing.Progress`; a `total` of None shows a
    count without an end.
    """
    from rich.console import Console  # takes longer to import than all else here
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
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
    part: tuple[str, TaskID] | None = None

    def tell(title: str, done: int, total: int | None, note: str = "") -> None:
        nonlocal part
        if part is None or part[0] != title:
            if part is not None:
                bars.remove_task(part[1])
            part = title, bars.add_task(title, total=total, completed=done, note=note)
        bars.update(part[1], completed=done, total=total, note=note)

    with bars:
        yield tell
