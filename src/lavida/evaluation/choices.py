"""What a choice of a protocol may be: how it is read from text, checked, and shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lavida.errors import InputError

CHOICE = "choice"  # key of a field's metadata

Kind = Callable[[str], Any]
"""Reads a value from text; raises ValueError with what is expected."""


@dataclass(frozen=True)
class Choice:
    """One choice.

    Attributes:
        kind: reads and checks a value.
        empty: the word for None; None itself where the choice cannot be empty.
    """

    kind: Kind
    empty: str | None

    def read(self, key: str, text: str) -> Any:
        """The value that `text` stands for. Raises InputError for one that the choice does not have."""
        if self.empty is not None and text == self.empty:
            return None
        try:
            return self.kind(text)
        except ValueError as error:
            other = "" if self.empty is None else f" or {self.empty}"
            raise InputError(f"{key}={text}: no such value; {key} is {error}{other}") from error

    def check(self, key: str, value: Any) -> None:
        """Raises InputError for a value that the choice does not have."""
        if self.read(key, self.shown(value)) != value:
            raise InputError(f"{key}={value!r}: not as the protocol keeps it; set it by name, as in {key}=...")

    def shown(self, value: Any) -> str:
        """The text that `read` takes for this value."""
        if value is None:
            return str(self.empty)
        if isinstance(value, tuple):
            return "x".join(map(str, value))
        return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)

    def stored(self, value: Any) -> Any:
        """As JSON keeps it."""
        if value is None:
            return self.empty
        return list(value) if isinstance(value, tuple) else value


def choice(default: Any, kind: Kind, *, empty: str | None = None) -> Any:
    """A field of a protocol."""
    return field(default=default, metadata={CHOICE: Choice(kind, empty)})


def words(*allowed: str) -> Kind:
    """One of a few words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(" or ".join(allowed))
        return text

    return read


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a whole number from 1")
    return int(text)


def sigma(text: str) -> float:
    """A width in frames, a number above 0 and at most 10000."""
    return _number(text, most=10_000.0, expected="a number above 0, at most 10000")


def fraction(text: str) -> float:
    """A number above 0, at most 1."""
    return _number(text, most=1.0, expected="a number above 0, at most 1")


def size(text: str) -> tuple[int, int]:
    """(height, width) in pixels, written 158x238."""
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ValueError("HEIGHTxWIDTH, such as 158x238")
    return int(sides[0]), int(sides[1])


def _number(text: str, *, most: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value <= most and math.isfinite(value)):
        raise ValueError(expected)
    return value
