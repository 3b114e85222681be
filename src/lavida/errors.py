"""The one error that a user is meant to see, and how the errors of disks and libraries become it."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}


class InputError(ValueError):
    """Input or environment that the user can mend.

    The message is one line, whatever is in the names that it gives: what is wrong, where, and how to mend it. The
    command line prints it without a traceback and exits with code 2.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


def one_line(text: object) -> str:
    """Paths, categories and the errors of libraries may hold line breaks; a message is one line."""
    return " ".join(str(text).split())


def reason(error: BaseException) -> str:
    """What an error of the system or of a library says, in one line; its type where it says nothing."""
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def first_line(error: BaseException) -> str:
    """The first line of an error whose others only explain it, without the full stop; its type where it is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:!")


def unknown(kind: str, value: object, choices: Iterable[str]) -> InputError:
    """The error for a name that does not exist: `unknown protocol x: choose a, b`."""
    return InputError(f"unknown {kind} {value}: choose {', '.join(choices)}")


def disk_error(error: OSError, place: str | Path) -> InputError:
    """What a disk that cannot be written says, as one line that names the place."""
    if error.errno in _FULL:
        return InputError(f"the disk is full: {place} ({reason(error)}); make room there or choose another place")
    return InputError(f"cannot write: {place} ({reason(error)}); choose a place that can be written")


@contextmanager
def writing_to(place: str | Path) -> Iterator[None]:
    """Within it, an `OSError` becomes an `InputError` that names the file or folder `place`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, place) from error
