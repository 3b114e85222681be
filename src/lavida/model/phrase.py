"""A category text as its head noun and what qualifies it (beyond the paper): "red car" -> car, red.

One pooled sentence vector is read as its noun; a model that is to tell "person lying on the ground" from "person"
needs the two apart (docs/decisions.md). English only and by rule: what no rule knows is part of the noun, and a text
without a qualifier is read as it always was.
"""

from dataclasses import dataclass
from functools import lru_cache

_ARTICLES = frozenset("a an the some any this that these those".split())
# what begins a part that stands behind the noun it qualifies
_LINKS = frozenset(
    "about above across against along alongside amid among around as at away before behind below beneath "
    "beside between "
    "beyond by close down during facing for from going in inside into like near next off on onto opposite out outside "
    "over past through to toward towards under underneath up upon that who whose which with within without while where "
    "indoors outdoors worn held left far very together being".split()
)
_LEADS = (_LINKS | _ARTICLES) - frozenset("close down far left near together up very".split())  # say nothing themselves
_QUANTITIES = frozenset(
    "crowd crowds flock group groups herd line lot lots number pack pair pile queue row swarm".split()
)
_ALWAYS_PAIRS = frozenset("glasses gloves jeans pants scissors shears shoes shorts skis trousers".split())
_ADJECTIVES = frozenset(
    # colour and look
    "red orange yellow green blue purple pink brown black white gray grey golden silver beige dark bright light pale "
    "colourful colorful shiny dirty clean wet striped dotted transparent "
    # size, number, age
    "big large huge giant small little tiny tall short long thin fat wide narrow young old new single one two "
    "three four "
    "five six many several multiple few both numerous lone only "
    # place
    "left right top bottom upper lower central middle leftmost rightmost nearest farthest distant nearby close "
    "far near "
    # state
    "open closed empty full broken fallen stolen hidden frozen alone asleep awake drunk unconscious dead alive sick "
    "injured upright still slow fast quick upside-down stationary motionless oncoming loose lost suspicious "
    "armed naked "
    "topless barefoot aggressive angry happy sad violent dangerous illegal unattended abandoned rabid forgotten".split()
)
_NOUNS_IN_ING = frozenset(
    "anything awning being building buildings ceiling clothing crossing earring evening everything fencing king "
    "landing lightning marking markings morning nothing opening painting paintings railing ring scaffolding siding "
    "something spring string swing thing things wedding wing wings".split()
)
# first parts of compound nouns
_COMPOUND_IN_ING = frozenset(
    "baking bathing boxing climbing cooking cutting dining drinking drying fishing hiking knitting lighting living "
    "parking playing sewing shopping skating skiing sleeping swimming vending washing wedding welding writing".split()
)
_NOUNS_IN_ED = frozenset("bed biped feed moped newlywed quadruped red reed seed shed sled steed weed".split())
_FALLEN = frozenset("broken fallen stolen hidden frozen asleep alone upright drunk unconscious upside-down".split())


@dataclass(frozen=True, slots=True)
class Phrase:
    """`noun`: the thing, never empty; `qualifiers`: what stands before it and behind it, if anything does."""

    noun: str
    qualifiers: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """What each of the qualifiers names, see `named_in`."""
        return tuple(named_in(qualifier) for qualifier in self.qualifiers)


@lru_cache(maxsize=20_000)
def split_phrase(text: str) -> Phrase:
    """The head noun of a category text and its qualifier, both as they are written there but for articles.

    "a red car parked on the road" -> car | red, parked on the road; "crowd of people" -> people | crowd of;
    "traffic light", "dancing", "火" -> themselves.
    """
    words = text.split()
    while len(words) > 1 and words[0].lower() in _ARTICLES:
        words = words[1:]
    plain = [word.lower().strip(".,;:!?\"'") for word in words]
    if len(plain) > 2 and plain[0].endswith("ing") and plain[1] in _ARTICLES:  # "riding a bicycle"
        return Phrase(" ".join(words))
    first = 0
    while first < len(plain) - 1 and _qualifies_before(plain[first]):
        first += 1
        while first < len(plain) - 2 and plain[first] in ("and", "or") and _qualifies_before(plain[first + 1]):
            first += 2
    counted = plain[first : first + 3]
    if len(counted) == 3 and counted[0] in _QUANTITIES and counted[1] == "of" and counted[2] not in _ALWAYS_PAIRS:
        rest = split_phrase(" ".join(words[first + 2 :]))
        return Phrase(rest.noun, (" ".join(words[: first + 2]), *rest.qualifiers))
    end = next((i for i in range(first + 1, len(plain)) if _qualifies_behind(*plain[i : i + 2])), len(plain))
    if plain[first] in _LINKS:  # "on fire": there is no noun to find
        return Phrase(" ".join(words))
    around = (" ".join(words[:first]), " ".join(words[end:]))
    return Phrase(" ".join(words[first:end]), tuple(part for part in around if part))


@lru_cache(maxsize=20_000)
def named_in(qualifier: str) -> str:
    """What a qualifier names, without the words that lead to it; the qualifier itself where nothing leads.

    "with a backpack" -> backpack, "riding a bicycle" -> bicycle, "on the left" -> left, "red" -> red.
    """
    words = qualifier.split()
    rest = 0
    while rest < len(words) - 1 and (
        words[rest].lower() in _LEADS or (words[rest].endswith(("ing", "ed")) and words[rest + 1].lower() in _LEADS)
    ):
        rest += 1
    return " ".join(words[rest:])


def _qualifies_before(word: str) -> bool:
    """Whether a word in front of others is said of them: "red", "running", "parked", "fast-moving", "2"."""
    if word in _ADJECTIVES or word.isdigit():
        return True
    if word in _NOUNS_IN_ING or word in _COMPOUND_IN_ING or word in _NOUNS_IN_ED:
        return False
    return len(word) > 4 and word.endswith(("ing", "ed", "ous", "ful", "less", "ible"))


def _qualifies_behind(word: str, following: str = "") -> bool:
    """Whether a word behind a noun begins what is said of it: "on", "lying", "parked", "of" before "red colour"."""
    if word == "being":  # a human being
        return bool(following)
    if word in _LINKS or word in _FALLEN or (word == "of" and following in _ADJECTIVES):
        return True
    if word in _NOUNS_IN_ING or word in _NOUNS_IN_ED:
        return False
    return len(word) > 4 and word.endswith(("ing", "ed"))
