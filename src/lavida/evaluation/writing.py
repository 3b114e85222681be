"""Errors of the disk as the one line that a user is meant to see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lavida.errors import InputError


@contextmanager
def mendable(out: Path) -> Iterator[None]:
    """Within it, an OSError becomes an InputError that names the folder `out`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write: {out}: {reason}; make room there or choose another folder") from error
