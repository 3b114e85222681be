"""What a command says: results on stdout, everything else on stderr."""

import os
import sys
from typing import TextIO

from lavida.errors import InputError


def tell(text: str) -> None:
    """Print on stdout at once. A reader that has gone (`| head -1`) does not stop the work.

    Raises:
        InputError: stdout cannot be written, for example because it goes to a file on a full disk.
    """
    _to_stdout(text + "\n")


def complain(message: str) -> None:
    """Print one line on stderr. Where nobody can read it any more (`2>&1 | head -1`), the work goes on."""
    if sys.stderr is None:  # print would take stdout instead
        return
    try:
        print(f"lavida: {one_line(message)}", file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def one_line(text: str) -> str:
    """Paths and categories may hold line breaks; a message is one line."""
    return " ".join(text.split())


def settle_stdout() -> None:
    """Write out what other printers left in the buffer, so that nothing fails while the interpreter ends."""
    _to_stdout("")


def _to_stdout(text: str) -> None:
    if sys.stdout is None:  # closed by whoever started us
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
    except OSError as error:
        _drop(sys.stdout)
        raise InputError(f"cannot print the result: stdout ({error.strerror}); send it somewhere else") from error


def _drop(stream: TextIO) -> None:
    # what is still in its buffer would fail again while the interpreter ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
