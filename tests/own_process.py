"""A process of its own that need not import everything again: a copy of one that has, where the system can make it."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from typing import Any

# Not a copy of the process of the tests: it would lack the threads of runtimes and decoders. Elsewhere than on
# Linux libraries do not allow copies.
WAYS: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    # what writes tables comes last: a test asks what the training imports
    PARTS = ("checkpoints.pretrained", "cli.app", "loading", "training.loop", "scan.worker")
    WAYS.set_forkserver_preload([f"lavida.{part}" for part in PARTS])


def begin(work: Callable, environment: Mapping[str, str], files: Mapping[int, DupFd]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, file in files.items():
        os.dup2(file.detach(), number)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    sys.exit(work())


def started(
    work: Callable,
    *,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> BaseProcess:
    """A process that does this and ends with what it returns.

    Args:
        work: Travels to it by pickle.
        environment: What is different there.
        stdout: The descriptor of an open file; by default, where the first of these processes wrote.
        stderr: As `stdout`.
    """
    files = {number: DupFd(file) for number, file in ((1, stdout), (2, stderr)) if file is not None}
    process = WAYS.Process(target=begin, args=(work, dict(os.environ) | dict(environment or {}), files))
    process.start()
    return process
