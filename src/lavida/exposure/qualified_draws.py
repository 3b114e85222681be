"""Draws qualified categories: things with a true qualifier, things with a false one, and with one that nothing proves.

What masks prove comes from `exposure.qualifier_proofs`. Qualifiers that nothing proves ("person begging") are asked as
false ones, in a share of their own: an unknown verb must not be answered with its noun.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from lavida.exposure import qualifier_words as words
from lavida.exposure.qualifier_proofs import KINDS, Qualifier
from lavida.exposure.sample import CategoryPrompt
from lavida.model.phrase import split_phrase

MOST_BESIDE = 3  # false qualifiers of the same kind and thing beside a true one
ABSENT = 0.25  # of the denied: an absent thing with any qualifier
MOST_PROBED = 3  # things of a sample
PROBES_OF_A_KIND = 2  # true ones and false ones, of each thing


@dataclass(frozen=True, slots=True)
class Qualified:
    """A thing with a qualifier.

    Attributes:
        text: what is asked, "red car".
        name: the class that it qualifies, "car".
        kind: of the qualifier: a key of `KINDS`, or "unproven".
        word: the qualifier itself, "red"; two texts of one name and word mean the same.
        mask: bool `[T,H,W]`, where it is true; no pixel if it is true of nothing.
    """

    text: str
    name: str
    kind: str
    word: str
    mask: np.ndarray


@dataclass(frozen=True, slots=True)
class Shares:
    """`qualified`, `denied` and `unproven` of `AnomalyExposureSampler`."""

    qualified: float
    denied: float
    unproven: float


def qualify(
    asked: Sequence[CategoryPrompt],
    qualifier: Qualifier,
    shares: Shares,
    *,
    true: int,
    visible: Sequence[str],
    irrelevant: Sequence[str],
    say: Callable[[str], str],
    rng: np.random.Generator,
) -> list[CategoryPrompt]:
    """Some of what is asked with a qualifier.

    A true name gives way to a thing with a true qualifier, with others of that kind beside it that are false of the
    same thing; further irrelevant names to visible things with false qualifiers.

    Args:
        asked: the true categories, then the irrelevant ones.
        qualifier: of the sample.
        shares: how often.
        true: how many of `asked` are true.
        visible: classes of things that the sample shows.
        irrelevant: the names of the irrelevant categories; "" where an absent thing cannot be qualified.
        say: a class in words.
        rng: source of every choice.
    """
    changed, taken = list(asked), set[tuple[str, str]]()

    def put_in(index: int, drawn: Qualified | None) -> None:
        if drawn is not None:
            taken.add((drawn.name, drawn.word))
            mask = drawn.mask if drawn.mask.any() else None
            changed[index] = CategoryPrompt(drawn.text, mask, qualifier.sample.masks[drawn.name], drawn.kind)

    beside = 0
    if true and visible and rng.random() < shares.qualified:
        drawn = draw_qualified(qualifier, visible, true=True, say=say, rng=rng)
        put_in(0, drawn)
        if drawn is not None:
            beside = min(int(rng.integers(0, MOST_BESIDE, endpoint=True)), len(changed) - true)
            name, kinds = [drawn.name], [drawn.kind]
            for index in range(true, true + beside):
                again = draw_qualified(qualifier, name, true=False, say=say, rng=rng, taken=taken, kinds=kinds)
                put_in(index, again)
    for index in range(true + beside, len(changed)):
        if rng.random() >= shares.denied:
            continue
        if visible and rng.random() < shares.unproven:
            put_in(index, draw_unproven(qualifier, visible, say=say, rng=rng, taken=taken))
        elif visible and rng.random() >= ABSENT:
            put_in(index, draw_qualified(qualifier, visible, true=False, say=say, rng=rng, taken=taken))
        elif absent := irrelevant[index - true]:
            nowhere = np.zeros(qualifier.sample.frames.shape[:3], bool)
            changed[index] = CategoryPrompt(any_qualified(say(absent), rng), None, nowhere, "absent")
    return changed


def draw_qualified(
    qualifier: Qualifier,
    names: Sequence[str],
    *,
    true: bool,
    say: Callable[[str], str],
    rng: np.random.Generator,
    taken: Collection[tuple[str, str]] = (),
    kinds: Sequence[str] = (),
) -> Qualified | None:
    """One qualified category of any of the visible classes `names`; None if nothing fits.

    Kinds come in random order, so that rare ones are not drowned.

    Args:
        qualifier: of the sample.
        names: visible classes.
        true: whether it shall be true of something, or of nothing.
        say: a class in words.
        rng: source of every choice.
        taken: name and word of what is asked already.
        kinds: only these.
    """
    kinds = kinds or list(KINDS)
    for kind in (kinds[i] for i in rng.permutation(len(kinds))):
        for name in (names[i] for i in rng.permutation(len(names))):
            fitting = [
                (word, mask)
                for word, mask in qualifier.verdicts(name, kind)
                if (mask is not None) == true and (name, word) not in taken
            ]
            if fitting:
                word, mask = fitting[int(rng.integers(len(fitting)))]
                mask = np.zeros(qualifier.sample.frames.shape[:3], bool) if mask is None else mask
                return Qualified(put(word, say(name), rng), name, kind, word, mask)
    return None


def draw_unproven(
    qualifier: Qualifier,
    names: Sequence[str],
    *,
    say: Callable[[str], str],
    rng: np.random.Generator,
    taken: Collection[tuple[str, str]] = (),
) -> Qualified | None:
    """A text that says of a visible class what nothing proves; None if it is asked already."""
    name = names[int(rng.integers(len(names)))]
    patterns = words.UNPROVEN[words.group(name)]
    pattern = patterns[int(rng.integers(len(patterns)))]
    if (name, pattern) in taken:
        return None
    nowhere = np.zeros(qualifier.sample.frames.shape[:3], bool)
    return Qualified(pattern.format(n=say(name)), name, "unproven", pattern, nowhere)


def draw_probes(
    qualifier: Qualifier,
    names: Sequence[str],
    *,
    most: int,
    unproven: float,
    say: Callable[[str], str],
    rng: np.random.Generator,
) -> tuple[CategoryPrompt, ...]:
    """Up to `most` qualified texts on the same few things, true and false ones of each kind side by side.

    Args:
        qualifier: of the sample.
        names: visible classes.
        most: texts.
        unproven: part of them whose qualifier nothing proves.
        say: a class in words.
        rng: source of every choice.
    """
    if not most:
        return ()
    probed = [names[i] for i in rng.permutation(len(names))[:MOST_PROBED]]
    rows: list[CategoryPrompt] = []
    for name in probed:
        noun = qualifier.sample.masks[name]
        for kind in KINDS:
            verdicts = qualifier.verdicts(name, kind)
            true = [verdict for verdict in verdicts if verdict[1] is not None]
            false = [verdict for verdict in verdicts if verdict[1] is None]
            if not true and rng.random() < 0.5:  # words that are only ever denied would come to mean no
                continue
            for some in (true, false):
                chosen = rng.permutation(len(some))[:PROBES_OF_A_KIND]
                rows += [CategoryPrompt(put(some[i][0], say(name), rng), some[i][1], noun, kind) for i in chosen]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    for _ in range(round(unproven * most) if probed else 0):
        drawn = draw_unproven(qualifier, probed, say=say, rng=rng)
        if drawn is not None:
            rows.insert(0, CategoryPrompt(drawn.text, None, qualifier.sample.masks[drawn.name], drawn.kind))
    return tuple(rows[:most])


def any_qualified(noun: str, rng: np.random.Generator) -> str:
    """A noun with any qualifier, whether it makes sense of it or not."""
    ways = list(words.PATTERNS)
    return put(ways[int(rng.integers(len(ways)))], noun, rng)


def put(word: str, noun: str, rng: np.random.Generator) -> str:
    """A qualifier and a noun in words."""
    ways = words.PATTERNS.get(word, (f"{{n}} {word}",))
    return ways[int(rng.integers(len(ways)))].format(n=noun, ns=words.plural(noun))


def is_thing(name: str) -> bool:
    """Whether a class is of things that can be counted and qualified, unlike the sky, and says nothing more itself."""
    return name not in words.STUFF and is_bare(name)


def is_bare(text: str) -> bool:
    """Whether a text is a noun alone: without a qualifier, and not two things."""
    said = text.replace(",", " or").split()
    return not split_phrase(text).qualifiers and not {"or", "and", "a", "the"} & set(said)
