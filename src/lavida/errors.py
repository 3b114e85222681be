"""The one error that a user is meant to see, and how the errors of disks and libraries become it."""

import errno
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# What reading a file ends in that is damaged, or something else than it should be: JSON of a thousand brackets, numbers
# that are too large, and ZIP in a way that nobody has among it.
UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, NotImplementedError, zlib.error, zipfile.BadZipFile),
)
_FULL = {errno.ENOSPC, errno.EDQUOT}
# The extra of this package that brings what the core does without.
_EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "accelerate", "peft", "safetensors", "huggingface_hub"), "torch"),
    **dict.fromkeys(("sklearn", "scipy", "jinja2", "matplotlib"), "eval"),
    **dict.fromkeys(("ray", "pyarrow"), "scan"),
    **dict.fromkeys(("sqlalchemy", "prometheus_client"), "live"),
    "paho": "mqtt",
    "apprise": "notify",
    "onnx": "export",
}
_BY_THEMSELVES = ("fiftyone", "onnxruntime", "openvino", "supervision", "deepspeed")
_OR_ELSE = {"deepspeed": "use configs/accelerate/fsdp.yaml"}
_CALLED = {
    "apprise": "Apprise",
    "deepspeed": "DeepSpeed",
    "fiftyone": "FiftyOne",
    "paho": "paho-mqtt",
    "prometheus_client": "prometheus-client",
    "ray": "Ray",
    "sqlalchemy": "SQLAlchemy",
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


def interrupted(error: BaseException) -> bool:
    """Whether it stands for Ctrl-C: what an extension module raises when it is stopped while it is being imported."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


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


def not_installed(package: str, why: str = "", *, extra: str | None = None) -> InputError:
    """The error for a package that is not there, with what brings it.

    Args:
        package: as it is imported.
        why: it is needed, if that does not go without saying.
        extra: of this package, where several bring it.
    """
    return InputError(
        f"{why}{', and ' if why else ''}{_CALLED.get(package, package)} is not installed: {_how(package, extra)}"
    )


def _how(package: str, extra: str | None) -> str:
    if package in _BY_THEMSELVES:
        return f"pip install {package}" + (f", or {_OR_ELSE[package]}" if package in _OR_ELSE else "")
    bring = f"pip install 'lavida[{extra or _EXTRA_OF[package]}]'"
    # PyTorch first from where its builds without CUDA are
    return f"pip install torch==2.13.0, then {bring}" if _EXTRA_OF[package] == "torch" else bring


def need(package: str, why: str = "", *, extra: str | None = None) -> None:
    """Raises `not_installed` if a package that the core does without is not there; see there for `extra`."""
    if find_spec(package) is None:
        raise not_installed(package, why, extra=extra)


def needed(module: str, *, extra: str | None = None) -> Any:
    """A module that the core does without, imported. Raises `not_installed`; see there for `extra`."""
    try:
        return import_module(module)
    except ImportError as error:
        raise not_installed(module.partition(".")[0], extra=extra) from error


def missing_package(error: ModuleNotFoundError) -> InputError | None:
    """What to install for an import that failed; None: nothing that is known brings it."""
    package = (error.name or "").partition(".")[0]
    return not_installed(package) if package in (*_EXTRA_OF, *_BY_THEMSELVES) else None


@contextmanager
def writing_to(place: str | Path) -> Iterator[None]:
    """Within it, an `OSError` becomes an `InputError` that names the file or folder `place`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, place) from error


@contextmanager
def reading_from(place: str | Path) -> Iterator[None]:
    """Within it, an `OSError` becomes an `InputError` that names what cannot be read: its file, else `place`."""
    try:
        yield
    except OSError as error:
        mend = "check your access to it, or give another one"
        raise InputError(f"cannot read: {error.filename or place} ({reason(error)}); {mend}") from error
