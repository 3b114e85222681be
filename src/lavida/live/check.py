"""Whether streams can be opened, asked once: `lavida watch --check`."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from lavida.live.address import Address
from lavida.live.pace import Pace
from lavida.live.stream import Stream

PATIENCE_S = 20.0  # longer than opening may take


def check_streams(addresses: Mapping[str, Address], *, patience_s: float = PATIENCE_S) -> dict[str, str | None]:
    """For each stream why it gives no picture, None where it gives one; passwords are masked."""
    bell, pace = threading.Condition(), Pace()
    streams = {
        name: Stream(
            name, address, pace=pace, bell=bell, most_pending=1, size=lambda width, height: (height, width), pairs=False
        )
        for name, address in addresses.items()
    }
    for stream in streams.values():
        stream.start()
    deadline = time.monotonic() + patience_s
    with bell:
        # the first thing that goes wrong is told, not the last try
        while any(stream.state == "starting" for stream in streams.values()) and time.monotonic() < deadline:
            bell.wait(0.1)
    for stream in streams.values():
        stream.stop()
    return {name: None if stream.state in ("running", "ended") else stream.message for name, stream in streams.items()}
