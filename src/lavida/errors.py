"""The one error that a user is meant to see, and how the errors of disks and libraries become it."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Which extra of this package brings what, beside the core. PyTorch first from where its builds without CUDA are.
_TORCH = "pip install torch==2.13.0, then pip install 'lavida[torch]'"
_EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "accelerate", "peft", "safetensors", "huggingface_hub"), _TORCH),
    **dict.fromkeys(("sklearn", "scipy", "jinja2"), "pip install 'lavida[eval]'"),
}


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


def need(package: str, why: str) -> None:
    """Raises InputError with what to install if a package that the core does without is not there."""
    if find_spec(package) is None:
        raise InputError(f"{why}, and {package} is not installed: {_EXTRAS[package]}")


def missing_package(error: ModuleNotFoundError) -> InputError | None:
    """What to install for an import that failed; None: no extra brings it."""
    package = (error.name or "").partition(".")[0]
    return (
        InputError(f"this needs {package}, which is not installed: {_EXTRAS[package]}") if package in _EXTRAS else None
    )


@contextmanager
def writing_to(place: str | Path) -> Iterator[None]:
    """Within it, an `OSError` becomes an `InputError` that names the file or folder `place`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, place) from error
