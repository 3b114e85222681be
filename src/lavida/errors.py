"""The one error that a user is meant to see."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(Exception):
    """Input or environment that the user can mend.

    The message is one line: what is wrong, where, and how to mend it. The command line prints it without a
    traceback and exits with code 2.
    """


@contextmanager
def mendable(out: Path) -> Iterator[None]:
    """Within it, an OSError becomes an InputError that names the folder `out`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write: {out}: {reason}; make room there or choose another folder") from error
