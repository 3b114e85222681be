"""Settings as dataclasses whose fields say what they may hold: one idiom for recipes and constructors.

@dataclass
class Optimiser:
    steps: int = setting(1000, least=1)
    dropout: float | None = setting(None, least=0, below=1)
    schedule: str = setting("cosine", choices=("cosine", "linear"))

check_settings(Optimiser(steps=0))  # InputError: steps: 0; choose 1 or more
"""

import math
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from numbers import Integral, Real
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lavida.errors import InputError

T = TypeVar("T")

_LIMITS = "limits"  # key of a field's metadata
_TYPES = {  # type of a hint -> what its values are, and the words for it
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "true or false"),
    str: (str, "a text"),
    types.NoneType: (types.NoneType, "null"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a setting may be, beside its type."""

    least: float | None = None  # the ends of its range, both allowed
    most: float | None = None
    below: float | None = None  # the upper end where that is not allowed
    choices: tuple[Any, ...] | None = None  # all its values
    rule: tuple[Callable[[Any], bool], str] | None = None  # whether a value is allowed, and what to choose otherwise

    def remedy(self, value: Any) -> str | None:
        """What to choose instead of `value`; None where it is allowed. None has no range and no rule."""
        if self.choices is not None:
            known = ("null" if choice is None else str(choice) for choice in self.choices)
            return None if value in self.choices else f"one of {', '.join(known)}"
        if value is None:
            return None
        if self.rule is not None:
            return None if self.rule[0](value) else self.rule[1]
        if isinstance(value, float) and not math.isfinite(value) and self.most is None and self.below is None:
            return "a finite number"
        above = self.least is None or value >= self.least
        if above and (self.most is None or value <= self.most) and (self.below is None or value < self.below):
            return None
        if self.most is None and self.below is None:
            return f"{self.least} or more"
        return f"a number from {self.least} to {f'less than {self.below}' if self.most is None else self.most}"


def setting(default: Any, **limits: Any) -> Any:
    """A field of a dataclass with a default and `Limits`."""
    return field(default=default, metadata={_LIMITS: Limits(**limits)})


def renamed(**names: str) -> Callable[[type[T]], type[T]]:
    """Let a class take earlier names of its arguments for one version, with a DeprecationWarning: earlier -> name."""

    def changed(kind: type[T]) -> type[T]:
        constructor = kind.__init__

        @wraps(constructor)
        def construct(self: T, *given: Any, **named: Any) -> None:
            for old in names.keys() & named.keys():
                if names[old] in named:
                    raise TypeError(f"{old} is the earlier name of {names[old]}: give one of them")
                warnings.warn(f"{old} is now called {names[old]}", DeprecationWarning, stacklevel=2)
                named[names[old]] = named.pop(old)
            constructor(self, *given, **named)

        setattr(kind, "__init__", construct)  # noqa: B010 - of a class, which mypy does not let assign
        return kind

    return changed


def check_settings(settings: Any, *, where: str = "") -> None:
    """Check a dataclass and the dataclasses in it, in lists too.

    Args:
        settings: an instance. Of fields that are neither numbers nor texts only the limits are checked.
        where: what a message begins with, such as the name of a file.

    Raises:
        InputError: a field has another type or lies outside its limits; names its dotted key, and what to choose.
    """
    for key, value, remedy in _faults(settings, prefix=""):
        raise InputError(f"{where}{key}: {value}; choose {remedy}")


def _faults(settings: Any, *, prefix: str) -> Iterator[tuple[str, Any, str]]:
    hints = get_type_hints(type(settings))
    for each in fields(settings):
        key, value, limits = f"{prefix}{each.name}", getattr(settings, each.name), each.metadata.get(_LIMITS, Limits())
        if is_dataclass(value):
            yield from _faults(value, prefix=f"{key}.")
        elif isinstance(value, list) and value and all(map(is_dataclass, value)):
            for place, item in enumerate(value):
                yield from _faults(item, prefix=f"{key}.{place}.")
        elif limits.choices is None and (kinds := _other_kinds(value, hints[each.name])):
            yield key, value, " or ".join(_TYPES[kind][1] for kind in kinds) if limits.rule is None else limits.rule[1]
        elif (remedy := limits.remedy(value)) is not None:
            yield key, list(value) if isinstance(value, tuple) else value, remedy


def _other_kinds(value: Any, hint: Any) -> tuple[Any, ...]:
    """The types of a hint if `value` is of none of them and all are known, else nothing."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if not all(kind in _TYPES for kind in kinds):
        return ()
    fits = any(isinstance(value, _TYPES[kind][0]) and isinstance(value, bool) <= (kind is bool) for kind in kinds)
    return () if fits else kinds
