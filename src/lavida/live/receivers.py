"""All who are told of events, as `watch.yaml` names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lavida.errors import InputError
from lavida.live.config import WatchFile
from lavida.live.courier import Receiver
from lavida.live.mqtt import Broker, Publisher
from lavida.live.notify import Notified
from lavida.live.webhook import Webhook


class Receivers(NamedTuple):
    """Nothing of them is connected yet.

    Attributes:
        all: the publisher, too.
        publisher: that of MQTT, if there is one.
    """

    all: Sequence[Receiver]
    publisher: Publisher | None


def receivers_of(given: WatchFile, folder: Path) -> Receivers:
    """Those of a file; `folder` is that of `--data`. Raises InputError for one that means nothing, or stands twice."""
    publisher = None if given.mqtt is None else Publisher(Broker.of(given.mqtt), folder)
    receivers: list[Receiver] = [Webhook.of(each) for each in given.webhooks]
    receivers += [Notified.of(each, folder) for each in given.notify]
    receivers += [publisher] if publisher is not None else []
    names = [receiver.name for receiver in receivers]
    for name in names:
        if names.count(name) > 1:  # the outbox would know only one of them
            raise InputError(f"a receiver stands twice: {name}; give it once, with all its phases")
    return Receivers(receivers, publisher)
