"""Settings as dataclasses whose fields say what they may hold: one idiom for recipes and constructors.

    @dataclass
    class Optimiser:
        steps: int = setting(1000, least=1)
        dropout: float | None = setting(None, least=0, below=1)
        schedule: str = setting("cosine", choices=("cosine", "linear"))

    check_settings(Optimiser(steps=0))  # InputError: steps: 0; choose 1 or more
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lavida.errors import InputError

_LIMITS = "limits"  # key of a field's metadata
_TYPES: dict[Any, type] = {int: Integral, float: Real, bool: bool, str: str, types.NoneType: types.NoneType}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", types.NoneType: "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a setting may be, beside its type.

    Attributes:
        least, most: the ends of its range, both allowed.
        below: the upper end where that is not allowed.
        choices: all its values.
        rule: whether a value is allowed, and what to choose otherwise.
    """

    least: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] | None = None
    rule: tuple[Callable[[Any], bool], str] | None = None

    def remedy(self, value: Any) -> str | None:
        """What to choose instead of `value`; None where it is allowed. None itself has no range."""
        if self.choices is not None:
            known = ("null" if choice is None else str(choice) for choice in self.choices)
            return None if value in self.choices else f"one of {', '.join(known)}"
        if value is None:
            return None
        if self.rule is not None and not self.rule[0](value):
            return self.rule[1]
        inside = (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )
        return None if inside else self._range()

    def _range(self) -> str:
        if self.most is None and self.below is None:
            return f"{self.least} or more"
        end = f"{self.most}" if self.below is None else f"less than {self.below}"
        return f"a number from {self.least} to {end}"


def setting(default: Any, **limits: Any) -> Any:
    """A field of a dataclass with a default and `Limits`."""
    return field(default=default, metadata={_LIMITS: Limits(**limits)})


def check_settings(settings: Any, *, where: str = "") -> None:
    """Check a dataclass and the dataclasses in it.

    Args:
        settings: an instance; fields of other types than numbers, texts and choices are only checked for their limits.
        where: what a message begins with, such as the name of a file.

    Raises:
        InputError: a field has another type or lies outside its limits; names its dotted key, and what to choose.
    """
    for key, value, remedy in _faults(settings, prefix=""):
        raise InputError(f"{where}{key}: {value}; choose {remedy}")


def _faults(settings: Any, *, prefix: str) -> Iterator[tuple[str, Any, str]]:
    hints = get_type_hints(type(settings))
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            yield from _faults(value, prefix=f"{prefix}{each.name}.")
            continue
        limits = each.metadata.get(_LIMITS)
        limited = limits is not None and (limits.choices is not None or _fits(value, hints[each.name]))
        if limited and (remedy := limits.remedy(value)) is not None:
            yield f"{prefix}{each.name}", list(value) if isinstance(value, tuple) else value, remedy
        elif not _fits(value, hints[each.name]):
            yield f"{prefix}{each.name}", value, " or ".join(map(_word, _kinds(hints[each.name])))


def _word(kind: Any) -> str:
    return f"one of {', '.join(map(str, get_args(kind)))}" if get_origin(kind) is Literal else _WORDS[kind]


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has one of the types of its hint; types that are not in `_TYPES` are not looked at."""
    return any(
        value in get_args(kind)
        if get_origin(kind) is Literal
        else kind not in _TYPES or (isinstance(value, _TYPES[kind]) and (kind is bool or not isinstance(value, bool)))
        for kind in _kinds(hint)
    )
