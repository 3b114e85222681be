"""How a server's processes begin, and that they end when it does, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from functools import cache
from multiprocessing import connection, parent_process
from multiprocessing.context import ForkServerContext, SpawnContext

SHARED = ("__main__", "lavida.serve.films", "lavida.serve.worker", "lavida.builder", "sqlalchemy")


@cache
def processes() -> ForkServerContext | SpawnContext:
    """Where processes are begun: on Linux as copies of one that has imported what they share, which takes a second.

    Not as copies of the server, whose threads could hold locks. Elsewhere libraries do not allow copies.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(SHARED))
    return context


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
