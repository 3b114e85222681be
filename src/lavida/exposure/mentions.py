"""Which classes a free text mentions: "men on red bikes" speaks of persons and bicycles."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"[’']s?\b")
# "closest to the camera" says where, not that there is one
_FRAME = re.compile(r"\b(?:of|on|in|to|towards?|at|facing|from|into) (?:the |our |this )?(?:camera|screen)\b")
_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "mice": "mouse",
    "geese": "goose", "oxen": "ox", "skies": "sky",
}  # fmt: skip
# Words of place: what they say changes when a picture is cropped or mirrored.
_PLACE = """
    left right lft rt l r top bottom upper lower up down middle mid center centre central corner edge end side front
    back rear behind near nearest close closest far farthest furthest next beside between above below under first
    second third fourth fifth last other others another background foreground
"""
# Words that say where, how large, of what colour, how many or what is done, but never what it is.
_GENERIC = """
    a an the this that these those it its he she him her his hers they them their who whose which what i me my we our
    us you your one ones thing things object objects item items stuff something anything same and or but nor not no
    if as than then so of in on at by for to from with without into onto off out over beneath before after among
    besides away sides outside inside around across along through against toward towards facing only also just very
    too more most less least both all any each every some many few several two three four five six seven eight nine
    ten single pair couple group row line number part
    is are was were be been being am has have having had do does doing did can could will would may might shall should
    there here where when while
    big bigger biggest large larger largest small smaller smallest little tiny huge long longer longest short shorter
    shortest tall taller tallest high higher highest low lowest wide thin thick old older oldest young younger
    youngest new full half whole entire visible partial partially blurry blurred dark darker darkest light lighter
    lightest bright pale red orange yellow green blue purple violet pink brown black white gray grey silver golden gold
    beige tan maroon teal navy turquoise colored coloured color colour striped plain
    image picture photo photograph pic video frame view scene area spot
    sitting standing laying lying looking holding wearing moving going seen shown turned cut cropped hidden
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is about.

    Attributes:
        words: the classes that it mentions.
        rest: where it mentions none, the tokens that say what it is about.
        vague: whether it could be said of things of any kind, as "the big one on the left".
    """

    words: frozenset[str]
    rest: frozenset[str]
    vague: bool


class MentionIndex:
    """Finds classes in texts; remembers what it has read.

    Args:
        said: class -> other texts that speak of it. The same text may speak of several classes.
        implies: class -> what is surely there with it.
    """

    def __init__(self, said: Mapping[str, Iterable[str]], implies: Mapping[str, Collection[str]]) -> None:
        self._implies = implies
        self._words: dict[tuple[str, ...], frozenset[str]] = {}
        for word, ways in said.items():
            for way in (word, *ways):
                if key := tokens(way):
                    self._words[key] = self._words.get(key, frozenset()) | {word}
        self._longest: dict[str, int] = {}  # first token -> tokens of the longest way that begins with it
        for key in self._words:
            self._longest[key[0]] = max(len(key), self._longest.get(key[0], 0))
        self._readings: dict[str, Reading] = {}
        self._same: dict[frozenset[str], frozenset[str]] = {}  # equal sets are kept once: texts are many

    def read(self, text: str) -> Reading:
        """Classes and content of a text.

        Of ways that overlap the first and longest counts: no dog in "hot dog". What is said within it counts if it
        is implied: a person and a horse in "person riding a horse".
        """
        if (known := self._readings.get(text)) is None:
            words = frozenset[str]().union(*self._longest_first(tokens(text)))
            about = content(text)
            words, rest = (self._same.setdefault(each, each) for each in (words, frozenset() if words else about))
            known = self._readings[text] = Reading(words=words, rest=rest, vague=not about)
        return known

    def says(self, text: str, words: Collection[str]) -> bool:
        """Whether any of `words` is said anywhere in `text`, even within a longer way to say another class.

        A word that is no class is found as it stands.
        """
        said, literal = tokens(text), {tokens(word) for word in words}
        return any(part in literal or not self._of(part).isdisjoint(words) for part in _parts(said))

    def _longest_first(self, said: tuple[str, ...]) -> Iterator[Iterable[str]]:
        start = 0
        while start < len(said):
            for end in self._ends(said, start):
                if words := self._of(said[start:end]):
                    yield words
                    implied = frozenset[str]().union(*(self._implies.get(word, ()) for word in words))
                    yield from (implied & self._of(part) for part in _parts(said[start:end]))
                    start = end
                    break
            else:
                start += 1

    def _of(self, part: tuple[str, ...]) -> frozenset[str]:
        return self._words.get(part, frozenset())

    def _ends(self, said: tuple[str, ...], start: int) -> range:
        """Where a way that begins at `start` may end, farthest first."""
        return range(min(len(said), start + self._longest.get(said[start], 0)), start, -1)


def _parts(said: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (said[start:end] for start in range(len(said)) for end in range(start + 1, len(said) + 1))


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text without case, punctuation and number: ("red", "car") for "Red cars!".

    A final e goes, too, and v becomes f, which makes horse and horses, bus and buses, knife and knives the same.
    """
    return tuple(_stem(token) for token in _TOKEN.findall(_FRAME.sub(" near ", _POSSESSIVE.sub("", text.lower()))))


def content(text: str) -> frozenset[str]:
    """The tokens that say what a text is about; none in "the big one on the left"."""
    return frozenset(tokens(text)) - _GENERIC_TOKENS


def says_where(text: str) -> bool:
    """Whether a text tells things apart by their place, as "the left man"."""
    return not _PLACE_TOKENS.isdisjoint(tokens(text))


def _stem(token: str) -> str:
    token = _IRREGULAR.get(token, token)
    if len(token) > 3 and token.endswith("s") and not token.endswith(("ss", "us", "is")):
        token = token[:-1]
    if len(token) > 2 and token.endswith("e"):
        token = token[:-1]
    if len(token) > 3 and token.endswith("y"):
        token = token[:-1] + "i"
    if len(token) > 3 and token.endswith("v"):
        token = token[:-1] + "f"
    return token


_PLACE_TOKENS = frozenset(map(_stem, _PLACE.split()))
_GENERIC_TOKENS = _PLACE_TOKENS | frozenset(map(_stem, _GENERIC.split()))
