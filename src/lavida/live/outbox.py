"""What is still to be told to receivers, in order; kept in the database, so that no restart loses any of it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lavida.live.records import Record
from lavida.live.tables import Tables

FORGOTTEN_S = 86400.0  # what was delivered longer ago is not needed to tell a repeated one


@dataclass(frozen=True, slots=True)
class Letter:
    """One thing to be delivered to one receiver.

    Attributes:
        number: in the outbox.
        key: the same for every try, and for nothing else.
        body: JSON.
        tries: so far.
    """

    number: int
    key: str
    body: str
    tries: int


class Outbox:
    """Letters by receiver. May be used by several threads.

    Args:
        tables: the database.
        receivers: names of those that are told, each with the phases that it is told of.
        unlimited: those among them that are told of what the limit of alerts holds back, too.
    """

    def __init__(
        self, tables: Tables, receivers: Mapping[str, Sequence[str]], *, unlimited: Collection[str] = ()
    ) -> None:
        self._tables, self._sa, self._receivers = tables, tables.sa, dict(receivers)
        self._unlimited = frozenset(unlimited)

    def put(
        self, connection: Any, key: str, record: Record, *, phase: str, now: float, held_back: bool = False
    ) -> None:
        """Add a letter for each receiver that wants the phase, within the transaction of `connection`."""
        for receiver, phases in self._receivers.items():
            if phase in phases and (receiver in self._unlimited or not held_back):
                letter = self._tables.insert(self._tables.outbox).values(
                    receiver=receiver, key=key, body=json.dumps(record), tries=0, due=now
                )
                connection.execute(letter.on_conflict_do_nothing())

    def due(self, receiver: str, *, now: float, longest_wait_s: float = math.inf) -> Letter | None:
        """The oldest letter to a receiver that should be sent now; a later one never overtakes it.

        One that would wait for longer than `longest_wait_s` was put off by a clock that has been set back since.
        """
        box = self._tables.outbox.c
        query = self._sa.select(self._tables.outbox).where(box.receiver == receiver, box.delivered.is_(None))
        with self._tables.engine.begin() as connection:
            row = connection.execute(query.order_by(box.number).limit(1)).first()
        if row is None or now < row.due <= now + longest_wait_s:
            return None
        return Letter(row.number, row.key, row.body, row.tries)

    def delivered(self, letter: Letter, *, now: float) -> None:
        """Note that it has arrived."""
        self._note(letter, tries=letter.tries + 1, delivered=now, fault=None)

    def failed(self, letter: Letter, fault: str, *, again_at: float) -> None:
        """Note that it has not arrived, and when it should be sent again."""
        self._note(letter, tries=letter.tries + 1, due=again_at, fault=fault)

    def _note(self, letter: Letter, **values: Any) -> None:
        table = self._tables.outbox
        with self._tables.engine.begin() as connection:
            connection.execute(table.update().where(table.c.number == letter.number).values(**values))

    def waiting(self) -> int:
        """How many letters have not arrived yet."""
        table = self._tables.outbox
        query = self._sa.select(self._sa.func.count()).where(table.c.delivered.is_(None))
        with self._tables.engine.begin() as connection:
            return int(connection.execute(query.select_from(table)).scalar_one())

    def forget(self, *, now: float) -> None:
        """Remove what has long been delivered."""
        table = self._tables.outbox
        with self._tables.engine.begin() as connection:
            connection.execute(table.delete().where(table.c.delivered < now - FORGOTTEN_S))
