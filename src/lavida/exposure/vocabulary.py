"""What the words mean: ways to say each class, and which names may not be called irrelevant in a picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any


class Vocabulary:
    """Knowledge of words for the sampler; read from `vocabulary.json`.

    Each class has `phrases` (equivalent ways to say it) and four relations to other classes: `implies`
    (surely there too), `like` (near-synonyms, never set against each other), `maybe` (may be there or be part
    of it), `excludes` (surely not there although the data set would leave it open). Each data set has
    `exhaustive` (where no label means not there), `unsafe` (may be there without a label) and `scenes` (names
    that were looked for in a single scene, and are not there).

    Args:
        classes: class name -> its phrases and relations.
        datasets: data set name -> its lists.
    """

    def __init__(self, *, classes: Mapping[str, Mapping[str, Any]], datasets: Mapping[str, Mapping[str, Any]]) -> None:
        self.names: tuple[str, ...] = tuple(classes)
        self._phrases = {name: tuple(entry["phrases"]) for name, entry in classes.items()}
        self._excludes = {name: frozenset(entry.get("excludes", ())) for name, entry in classes.items()}
        self._implies = {name: _closure(name, classes) for name in classes}
        self._like = _both_ways({name: entry.get("like", ()) for name, entry in classes.items()})
        maybe = _both_ways({name: entry.get("maybe", ()) for name, entry in classes.items()})
        implied_by = {name: {other for other in classes if name in self._implies[other]} for name in classes}
        self._maybe = {name: maybe[name] | implied_by[name] for name in classes}
        self._exhaustive = {name: frozenset(entry["exhaustive"]) for name, entry in datasets.items()}
        self._scenes = {
            (name, scene): frozenset(absent)
            for name, entry in datasets.items()
            for scene, absent in entry["scenes"].items()
        }
        self._unsafe = {name: frozenset(entry["unsafe"]) for name, entry in datasets.items()}

    @classmethod
    @lru_cache(maxsize=1)
    def builtin(cls) -> Vocabulary:
        """The vocabulary of the five data sets that the embedded model learns from."""
        return cls(**json.loads((files("lavida.exposure") / "vocabulary.json").read_text(encoding="utf-8")))

    def phrases(self, name: str) -> tuple[str, ...]:
        """Other ways to say exactly `name`; none for an unknown name."""
        return self._phrases.get(name, ())

    def alike(self, name: str) -> frozenset[str]:
        """`name` and its near-synonyms."""
        return frozenset({name, *self._like.get(name, ())})

    def related(self, name: str) -> frozenset[str]:
        """Names of the same thing or of what may come with it; such two do not stand apart in a picture."""
        return self.alike(name) | self._implies.get(name, frozenset()) | self._maybe.get(name, frozenset())

    def conflicts(self, present: Iterable[str], dataset: str, *, scene: str = "") -> frozenset[str]:
        """Names that may not be called irrelevant in a picture with the classes `present`.

        Whatever is there, follows from it or is nearly the same word is a conflict. Whatever may be there
        without a label is one too, unless the data set would have labelled it, someone has looked for it in the
        scene, it cannot be without something that is absent, or a present class rules it out. An unknown data
        set, scene or class has no rules of its own.
        """
        present = frozenset(present)
        implied = present.union(*(self._implies.get(name, ()) for name in present))
        certain = implied.union(*(self._like.get(name, ()) for name in implied))
        absent = self._exhaustive.get(dataset, frozenset()) | self._scenes.get((dataset, scene), frozenset())
        absent -= certain
        ruled_out = frozenset().union(*(self._excludes.get(name, ()) for name in present))
        impossible = {name for name in self.names if self._implies[name] & absent} | absent | ruled_out
        possible = frozenset().union(*(self._maybe.get(name, ()) for name in implied))
        possible |= self._unsafe.get(dataset, frozenset())
        return certain | (possible - impossible)


def _closure(name: str, classes: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Everything that `name` implies, step by step."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        new = set(classes[waiting.pop()].get("implies", ())) - reached
        reached |= new
        waiting.extend(new)
    return frozenset(reached)


def _both_ways(relation: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """The symmetric form of a relation."""
    both: dict[str, set[str]] = {name: set(others) for name, others in relation.items()}
    for name, others in relation.items():
        for other in others:
            both[other].add(name)
    return {name: frozenset(others) for name, others in both.items()}
