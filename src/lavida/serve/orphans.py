"""A server's processes end when it does, however it ends."""

from __future__ import annotations

import os
import threading
from multiprocessing import connection, parent_process


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
