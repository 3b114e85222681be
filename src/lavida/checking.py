"""What the checks of training data sets and of benchmarks share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a unit, such as frames, a split has."""

    split: str
    unit: str
    found: int
    expected: int | None  # None where no official number is known
    annotated: int | None = None  # as the annotation alone says; None where it does not

    @property
    def differs(self) -> bool:
        return self.expected is not None and self.found != self.expected
