"""People told of events by mail, chat and push, through Apprise, which knows over a hundred services."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lavida.errors import InputError, needed
from lavida.live.courier import LONGEST_WAIT_S, NotDelivered, check_keys, checked_phases, name_of
from lavida.live.outbox import Letter
from lavida.live.records import Record

PHASES_FOR_PEOPLE = ("start", "digest")


@dataclass(frozen=True)
class Notified:
    """Somebody who is told; a `lavida.live.courier.Receiver`.

    Attributes:
        url: of Apprise, such as `mailto://me:password@mail.example`; most hold a secret, so only its scheme is shown.
        folder: of `--data`, where pictures lie.
        phases: of events that are told.
    """

    url: str = field(repr=False)
    folder: Path
    phases: tuple[str, ...] = PHASES_FOR_PEOPLE
    longest_wait_s: float = LONGEST_WAIT_S

    @classmethod
    def of(cls, given: Any, folder: Path) -> Notified:
        """As it stands in `watch.yaml`. Raises InputError for anything that no retry mends, or without Apprise."""
        settings = {"url": given} if isinstance(given, str) else given
        if not isinstance(settings, dict) or not isinstance(settings.get("url"), str):
            raise InputError("notify: give an address of Apprise for each, or its url and phases")
        check_keys(settings, "notify", ("url", "phases"))
        phases = checked_phases(settings.get("phases"), "notify", usual=PHASES_FOR_PEOPLE)
        receiver = cls(settings["url"], folder, phases)
        if not _apprise().add(receiver.url):
            raise InputError(f"notify: Apprise does not know what {receiver.shown} means; see its list of services")
        return receiver

    @property
    def shown(self) -> str:
        """The scheme alone: what follows may be a token."""
        scheme, found, _ = self.url.partition("://")
        return f"{scheme}://***" if found else "***"

    @property
    def name(self) -> str:
        """What the outbox calls it."""
        return name_of(f"notify {self.shown}", self.url)

    def send(self, letter: Letter) -> None:
        """Tell of an event, with its picture. Raises NotDelivered if the service does not take it."""
        record: Record = json.loads(letter.body)
        title, body = in_words(record)
        picture = self.folder / (record.get("snapshot_mask") or "none")
        service = _apprise()
        service.add(self.url)
        attached = str(picture) if picture.is_file() else None
        if not service.notify(title=title, body=body, attach=attached):
            raise NotDelivered("the service did not take it")


def in_words(record: Record) -> tuple[str, str]:
    """A title and a text for people."""
    stream = record["stream"]
    if record["type"] == "digest":
        counts = ", ".join(f"{count} x {word}" for word, count in record["categories"].items())
        title = f"{stream}: {record['held_back']} more events"
        return title, f"Not told one by one: {counts}, {record['first_wall']} to {record['last_wall']}."
    words = {"start": "", "end": " is over", "clip": ", the clip"}[record["phase"]]
    text = f"Since {record['start_wall']}, surest with {record['peak_score']:.2f}."
    if record["phase"] == "end":
        text = f"From {record['start_wall']} to {record['end_wall']}, surest with {record['peak_score']:.2f}."
    return f"{stream}: {record['category']}{words}", text + (f" {record['clip']}" if record.get("clip") else "")


def _apprise() -> Any:
    apprise = needed("apprise")
    # what it logs may hold addresses with tokens in them; what fails is told by the courier
    logging.getLogger("apprise").disabled = True
    return apprise.Apprise()
