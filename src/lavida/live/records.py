"""The lines that `lavida watch` prints; their fields are in `docs/watch.md`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]
Tell = Callable[[Record], None]


def clock_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Seconds since 1970 of what `clock_time` wrote."""
    return datetime.fromisoformat(text).timestamp()
