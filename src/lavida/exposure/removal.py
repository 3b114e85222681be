"""Removing categories from training altogether, so that they can be asked at test as words that were never seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from lavida.exposure.sample import Segmented
from lavida.exposure.vocabulary import Vocabulary


class Removal:
    """Takes names out of samples.

    Args:
        names: the removed categories.
        vocabulary: tells which free texts say one of them.
    """

    def __init__(self, names: Collection[str], vocabulary: Vocabulary) -> None:
        self.names = frozenset(names)
        self._vocabulary = vocabulary

    def __bool__(self) -> bool:
        return bool(self.names)

    def concerns(self, name: str) -> bool:
        """Whether `name` may not be used: a removed class, or a free text that says one."""
        return name in self.names or (name not in self._vocabulary and self._vocabulary.says(name, self.names))

    def kept(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names that may be used, each once."""
        return tuple(name for name in dict.fromkeys(names) if not (self and self.concerns(name)))

    def missing(self, names: Iterable[str]) -> list[str]:
        """The removed categories that none of `names` is or says."""
        missing = {name: Removal([name], self._vocabulary) for name in sorted(self.names)}
        for text in names:
            for found in [name for name, alone in missing.items() if alone.concerns(text)]:
                del missing[found]
            if not missing:
                break
        return list(missing)

    def apply(self, segmented: Segmented) -> Segmented:
        """The sample without them: listed with an empty mask, since they are there, and their pixels ignored."""
        gone = [name for name in segmented.masks if self and self.concerns(name)]
        if not self or not (gone or segmented.expressions or segmented.left):
            return segmented
        hidden = np.logical_or.reduce([segmented.masks[name] for name in gone]) if gone else None
        masks = {name: np.zeros_like(mask) if name in gone else mask for name, mask in segmented.masks.items()}
        expressions = {
            name: tuple(text for text in texts if not self._vocabulary.says(text, self.names))
            for name, texts in segmented.expressions.items()
            if name not in gone
        }
        ignore = segmented.ignore
        if hidden is not None:
            ignore = hidden if ignore is None else ignore | hidden
        return replace(
            segmented,
            masks=masks,
            ignore=ignore,
            expressions=expressions,
            left=frozenset(self.kept(sorted(segmented.left))),
        )
