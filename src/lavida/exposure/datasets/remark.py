"""What a data set has to say about itself when it is checked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """One line for people.

    Attributes:
        text: what was found and where.
        wrong: whether a training would go wrong with it; else it is good to know.
    """

    text: str
    wrong: bool = False
