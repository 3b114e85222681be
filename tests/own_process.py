"""A process of its own that need not import everything again: a copy of this one where the system can make it."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess

# A copy of a process has its modules, which take seconds to import; elsewhere than on Linux libraries do not allow it.
WAYS = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def begin(work: Callable, environment: dict[str, str], stdout: int | None, stderr: int | None) -> None:
    os.environ.update(environment)
    for number, file in ((1, stdout), (2, stderr)):
        if file is not None:
            os.dup2(file, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)  # not pytest's
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # the threads of OpenMP are not copied
    sys.exit(work())


def started(
    work: Callable,
    *,
    environment: dict[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> BaseProcess:
    """A process that does this and ends with what it returns.

    Args:
        work: What it changes in modules is gone with it.
        environment: What is different there.
        stdout: The descriptor of an open file; by default, where this process writes.
        stderr: As `stdout`.
    """
    process = WAYS.Process(target=begin, args=(work, environment or {}, stdout, stderr))
    process.start()
    return process
