"""Names to draw from, by weight and without a look at all of them: expressions come in hundreds of thousands."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from lavida.exposure.vocabulary import Vocabulary

SMALL = 512  # up to this many names, all are put in order at once
BLOCK = 32
PATIENCE = 256  # names that come up again before the rest is put in order


class NameTable:
    """Every name once, with its weight; what pools share.

    Args:
        weights: weight of a name, 1 where none is given.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.names: list[str] = []
        self.version = 0
        self._given = dict(weights)
        self._places: dict[str, int] = {}
        self._weights = np.ones(0)

    def places(self, names: Iterable[str]) -> np.ndarray:
        """The place of each name, int64 [N], in order and each once; new names are added."""
        places = [self._places.setdefault(name, len(self._places)) for name in names]
        self.names = list(self._places)
        added = [self._given.get(name, 1.0) for name in self.names[len(self._weights) :]]
        self._weights = np.concatenate([self._weights, added])
        return np.array(list(dict.fromkeys(places)), dtype=np.int64)

    def weight(self, name: str) -> float:
        """The weight of a name, known or not."""
        return self._given.get(name, 1.0)

    def weights(self, places: np.ndarray) -> np.ndarray:
        """The weights of the names at `places`."""
        return self._weights[places]

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Change some weights."""
        self._given.update(weights)
        for name, weight in weights.items():
            if (place := self._places.get(name)) is not None:
                self._weights[place] = weight
        self.version += 1


class NamePool:
    """A part of the names of a table.

    Args:
        table: names and weights; they may change later.
        places: of the names of this pool, each once.
    """

    def __init__(self, table: NameTable, places: np.ndarray) -> None:
        self._table, self._places = table, places
        self._sums, self._version = np.zeros(0), -1

    def draws(self, rng: np.random.Generator) -> Iterator[str]:
        """All names in random order, each drawn from those that are left in proportion to its weight."""
        names, rest = self._table.names, self._places
        if len(rest) > SMALL:
            seen = np.zeros(len(rest), dtype=bool)
            for index in self._unseen(seen, rng):
                yield names[rest[index]]
            rest = rest[~seen]
        waits = rng.exponential(size=len(rest)) / self._table.weights(rest)  # the shortest wait is such a draw
        for place in rest[np.argsort(waits)].tolist():
            yield names[place]

    def _unseen(self, seen: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
        """Draws from the whole pool, those that were not seen before and marks them, until most of them were."""
        if self._version != self._table.version:
            self._sums, self._version = np.cumsum(self._table.weights(self._places)), self._table.version
        repeats = 0
        while repeats < PATIENCE:
            drawn = np.searchsorted(self._sums, rng.random(BLOCK) * self._sums[-1], side="right")
            for index in np.minimum(drawn, len(seen) - 1).tolist():
                if seen[index]:
                    repeats += 1
                else:
                    seen[index] = True
                    yield index


class OwnNames:
    """What the samples of one data set draw irrelevant names from: its own names, and those of all others.

    Attributes:
        motion_words: names that are surely absent unless the masks list them.
        own: one pool of its names, or two, classes and free texts.
        others: likewise of the names that are not its own.

    Args:
        table: names and weights.
        names: of the data set.
        motion_words: further names of its own.
        others: indices in `table` of the names of all data sets, int64 [N].
        vocabulary: tells classes from free texts.
        apart: whether classes and free texts have pools of their own. Free texts are a hundred times as many; in
            one pool hardly any class would be drawn.
    """

    def __init__(
        self,
        table: NameTable,
        *,
        names: Sequence[str],
        motion_words: Sequence[str],
        others: np.ndarray,
        vocabulary: Vocabulary,
        apart: bool,
    ) -> None:
        self.motion_words = frozenset(motion_words)
        own = table.places([*names, *motion_words])
        parts = own, np.setdiff1d(others, own)
        if apart:
            is_class = np.array([name in vocabulary or name in self.motion_words for name in table.names], dtype=bool)
            pools = [tuple(NamePool(table, part[is_class[part] == want]) for want in (True, False)) for part in parts]
        else:
            pools = [(NamePool(table, part),) for part in parts]
        self.own, self.others = pools


def mixed(first: Iterator[str], second: Iterator[str], *, share: float, rng: np.random.Generator) -> Iterator[str]:
    """The names of both, in their order, the next one from `first` with probability `share`, until both are empty."""
    while True:
        now, later = (first, second) if rng.random() < share else (second, first)
        name = next(now, None)
        if name is None:
            yield from later
            return
        yield name
