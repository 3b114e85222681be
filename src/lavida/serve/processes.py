"""How a server's processes begin, and that they end when it does, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection, parent_process, resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Windows has not both
    from multiprocessing.context import ForkServerContext, SpawnContext

SHARED = ("__main__", "lavida.serve.films", "lavida.serve.worker", "lavida.builder", "sqlalchemy")


@cache
def processes() -> ForkServerContext | SpawnContext:
    """Where processes are begun: on Linux as copies of one that has imported what they share, which takes a second.

    Not as copies of the server, whose threads could hold locks. Elsewhere libraries do not allow copies.
    """
    if sys.platform == "linux":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(SHARED))
        from multiprocessing import forkserver

        try:
            with uninterrupted():
                forkserver.ensure_running()
        except OSError:  # the path of temporary files is too long for its socket
            pass
        else:
            return context
    return multiprocessing.get_context("spawn")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes that are begun meanwhile do not meet Ctrl-C, which is the server's, as it would while they import."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # would let it through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_the_server() -> None:
    """From now on this process ends with the one that started it: a killed server's would work on beside the next."""
    server = parent_process()
    if server is None:
        return
    sentinel = server.sentinel

    def wait() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="lavida-server-watch", daemon=True).start()
