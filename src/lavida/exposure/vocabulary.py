"""What the words mean: ways to say each class, and what may not be called irrelevant in a picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from lavida.exposure.lexicon import read_builtin
from lavida.exposure.mentions import MentionIndex, Reading, content, says_where, tokens

_ARTICLES = frozenset(tokens("a an the"))


class Vocabulary:
    """Knowledge of words for the sampler; `builtin` reads it from `vocabulary*.json`.

    Each class has `phrases` (equivalent ways to say it) and four relations to other classes: `implies`
    (surely there too), `like` (near-synonyms, never set against each other), `maybe` (may be there or be part
    of it), `excludes` (surely not there although the data set would leave it open); `mentions` are further texts that
    speak of it. Each data set has `exhaustive` (where no label means not there), `unsafe` (may be there without a
    label), `scenes` (names that were looked for in a single scene, and are not there) and `within` (word -> labels
    whose regions may hide it: there is none where none of them is).

    A name that is no class is a free text, such as an expression that refers to one object of one picture.

    Attributes:
        classes: every class.
        names: those that are asked where nobody says which.

    Args:
        classes: class name -> its phrases and relations.
        datasets: data set name -> its lists.
        names: all classes by default.
    """

    def __init__(
        self,
        *,
        classes: Mapping[str, Mapping[str, Any]],
        datasets: Mapping[str, Mapping[str, Any]],
        names: Iterable[str] | None = None,
    ) -> None:
        self.classes: tuple[str, ...] = tuple(classes)
        self.names: tuple[str, ...] = self.classes if names is None else tuple(names)
        self._phrases = {name: tuple(entry["phrases"]) for name, entry in classes.items()}
        self._excludes = {name: frozenset(entry.get("excludes", ())) for name, entry in classes.items()}
        self._implies = {name: _closure(name, classes) for name in classes}
        self._needs = {name: needs for name, needs in self._implies.items() if needs}
        said = {name: (*entry["phrases"], *entry.get("mentions", ())) for name, entry in classes.items()}
        self._index = MentionIndex(said, self._implies)
        self._like = _both_ways({name: entry.get("like", ()) for name, entry in classes.items()})
        maybe = _both_ways({name: entry.get("maybe", ()) for name, entry in classes.items()})
        implied_by = {name: {other for other in classes if name in self._implies[other]} for name in classes}
        self._maybe = {name: maybe[name] | implied_by[name] for name in classes}
        self._exhaustive = {name: frozenset(entry["exhaustive"]) for name, entry in datasets.items()}
        self._within = {
            name: {word: frozenset({word, *hosts}) for word, hosts in entry.get("within", {}).items()}
            for name, entry in datasets.items()
        }
        self._scenes = {
            (name, scene): frozenset(absent)
            for name, entry in datasets.items()
            for scene, absent in entry["scenes"].items()
        }
        self._unsafe = {name: frozenset(entry["unsafe"]) for name, entry in datasets.items()}

    @classmethod
    @lru_cache(maxsize=1)
    def builtin(cls) -> Vocabulary:
        """The vocabulary of all data sets; `names` are those of the first five that the embedded model learnt from."""
        return cls(**read_builtin())

    def __contains__(self, name: str) -> bool:
        """Whether `name` is a class, and not a free text."""
        return name in self._phrases

    def phrases(self, name: str) -> tuple[str, ...]:
        """Other ways to say exactly `name`; none for an unknown name."""
        return self._phrases.get(name, ())

    def read(self, text: str) -> Reading:
        """What a free text is about."""
        return self._index.read(text)

    def mentions(self, text: str) -> frozenset[str]:
        """The classes that a free text speaks of: person and bicycle for "men on red bikes"."""
        return self._index.read(text).words

    def says(self, text: str, names: Collection[str]) -> bool:
        """Whether `text` says one of the classes `names` anywhere, or is one of `names` itself."""
        return text in names or self._index.says(text, names)

    def alike(self, name: str) -> frozenset[str]:
        """`name` and its near-synonyms."""
        return frozenset({name, *self._like.get(name, ())})

    def related(self, name: str) -> frozenset[str]:
        """Names of the same thing or of what may come with it; such two do not stand apart in a picture."""
        return self.alike(name) | self._implies.get(name, frozenset()) | self._maybe.get(name, frozenset())

    def conflicts(self, present: Iterable[str], dataset: str, *, scene: str = "") -> frozenset[str]:
        """Names that may not be called irrelevant in a picture with the names `present`.

        Whatever is there, follows from it or is nearly the same word is a conflict. Whatever may be there
        without a label is one too, unless the data set would have labelled it, someone has looked for it in the
        scene, it cannot be without something that is absent, or a present class rules it out. What a free text in
        `present` mentions is there. An unknown data set or scene, or a class that is not mentioned, has no rules.
        """
        return self.picture(present, dataset, scene=scene).names

    def picture(
        self,
        present: Iterable[str],
        dataset: str,
        *,
        scene: str = "",
        texts: Iterable[str] = (),
        doubtful: Iterable[str] = (),
    ) -> Picture:
        """What may be in a picture.

        Args:
            present: names of what it shows, classes or free texts.
            dataset: key of its rules.
            scene: key of what was looked for.
            texts: more that is true of it.
            doubtful: texts that speak of things which it may still show.
        """
        present, doubtful = frozenset(present), tuple(doubtful)
        texts = (*sorted(name for name in present if name not in self), *texts)
        said = frozenset[str]().union(*map(self.mentions, texts))
        implied = _extended(present | said, self._implies)
        certain = _extended(implied, self._like)
        absent = self._exhaustive.get(dataset, frozenset()) | self._scenes.get((dataset, scene), frozenset())
        within = self._within.get(dataset, {})
        hidden = frozenset(word for word, hosts in within.items() if not implied.isdisjoint(hosts))
        absent = (absent | (within.keys() - hidden)) - certain
        ruled_out = frozenset[str]().union(*(self._excludes.get(name, ()) for name in present))
        impossible = {name for name, needs in self._needs.items() if not needs.isdisjoint(absent)} | absent | ruled_out
        doubted = _extended(frozenset().union(*map(self.mentions, doubtful)), self._implies)
        possible = hidden.union(*(self._maybe.get(name, ()) for name in implied), _extended(doubted, self._like))
        possible |= self._unsafe.get(dataset, frozenset())
        return Picture(
            names=certain | (possible - impossible),
            things=present | said,
            texts=texts,
            doubtful=doubtful,
            vocabulary=self,
        )


@dataclass(frozen=True)
class Picture:
    """The answer to: may this name be called irrelevant here? Made by `Vocabulary.picture`.

    Attributes:
        names: what is there or may be there.
        things: what its labels and texts say is there.
        texts: free texts that are true of the picture.
        doubtful: free texts that speak of things which the picture may still show.
        vocabulary: knows which names are classes, and reads the others, which are free texts.
    """

    names: frozenset[str]
    things: frozenset[str]
    texts: tuple[str, ...]
    doubtful: tuple[str, ...]
    vocabulary: Vocabulary

    def may_show(self, name: str) -> bool:
        """Whether `name` is or may be true of something in the picture.

        A class is looked up. A free text may be true where any class that it mentions may be there; one that mentions
        none, where it shares a word of content with a text of the picture; and "the big one" may be true anywhere.
        """
        if name in self.names:
            return True
        if name in self.vocabulary:
            return False
        reading = self.vocabulary.read(name)
        if reading.vague:
            return True
        return not reading.words.isdisjoint(self.names) if reading.words else not reading.rest.isdisjoint(self._content)

    def has_lost(self, name: str) -> bool:
        """Whether `name`, which a label says is not in this view of the sample, is surely not seen in it.

        A class is not if something like it is there. A text is not if it is true of something else that is there,
        or may have become so: in half of the picture another man may be "the left man".
        """
        if name in self.vocabulary:
            return name not in self._near
        if _said(name) in self._all_said:
            return False
        return not (says_where(name) and (self.vocabulary.read(name).vague or self.may_show(name)))

    @cached_property
    def _near(self) -> frozenset[str]:
        """Names of the same things as are there, or of what may come with them, whatever the data set labels."""
        return frozenset[str]().union(*map(self.vocabulary.related, self.things))

    @cached_property
    def _content(self) -> frozenset[str]:
        return frozenset[str]().union(*map(content, self.texts + self.doubtful))

    @cached_property
    def _all_said(self) -> frozenset[tuple[str, ...]]:
        return frozenset(map(_said, self.texts))


def _said(text: str) -> tuple[str, ...]:
    """What makes two texts the same."""
    return tuple(token for token in tokens(text) if token not in _ARTICLES)


def _extended(names: frozenset[str], relation: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return names.union(*(relation.get(name, ()) for name in names))


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
