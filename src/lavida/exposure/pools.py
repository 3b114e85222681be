"""The irrelevant names of one data set: its own and those of all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lavida.exposure.names import NamePool, NameTable
from lavida.exposure.vocabulary import Vocabulary


class Pools:
    """What irrelevant names of a data set are drawn from.

    Attributes:
        own_names: the data set's own names, as they were given.
        searched: names that are surely absent unless the masks list them.
        own: one pool of its names, or two, classes and free texts.
        others: likewise of the names that are not its own.

    Args:
        table: names and weights.
        own_names: the names of the data set.
        searched: further names of its own.
        names: places in `table` of the names of all data sets, int64 [N].
        vocabulary: tells classes from free texts.
        apart: whether classes and free texts have pools of their own. Free texts are a hundred times as many; in
            one pool hardly any class would be drawn.
    """

    def __init__(
        self,
        table: NameTable,
        *,
        own_names: Sequence[str],
        searched: tuple[str, ...],
        names: np.ndarray,
        vocabulary: Vocabulary,
        apart: bool,
    ) -> None:
        self.own_names = own_names
        self.searched = frozenset(searched)
        own = table.places([*own_names, *searched])
        parts = own, np.setdiff1d(names, own)
        if apart:
            is_class = np.array([name in vocabulary or name in self.searched for name in table.names], dtype=bool)
            pools = [tuple(NamePool(table, part[is_class[part] == want]) for want in (True, False)) for part in parts]
        else:
            pools = [(NamePool(table, part),) for part in parts]
        self.own, self.others = pools
