"""What one picture may show, by its labels and by what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lavida.exposure.mentions import content, says_where, tokens

if TYPE_CHECKING:
    from lavida.exposure.vocabulary import Vocabulary


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


_ARTICLES = frozenset(tokens("a an the"))
