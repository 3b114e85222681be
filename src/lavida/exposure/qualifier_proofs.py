"""Qualified categories: a thing and what qualifies it, true where the masks prove it, false where they disprove it.

"Red car", "person on the left", "two people", "person with a backpack", "person running", "person lying on the
ground": what a mask, its pixels, other masks or a made scene say for certain. A word is asked of a thing only if each
of its instances is clear about it; what is in between is neither true nor false.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lavida.exposure import qualifier_words as words
from lavida.exposure.sample import SegmentationSample

LEAST = 0.0008  # part of the picture: a smaller instance says nothing
UNCLEAR = 0.12  # part of a class's pixels that may belong to instances which are not clear about a word
MOST_INSTANCES = 60
TRUE, FALSE, OPEN = 1, -1, 0
SINGLE = frozenset({"humans", "clothing_ccp"})  # sets in which all that is connected is one person
DRESSED = frozenset({"clothing_ccp"})  # sets in which what people wear is labelled

# shares of an instance's pixels: of one colour, of a colour that it has not, of all that resemble that one
ITS_COLOUR, NOT_ITS_COLOUR, NOT_LIKE_IT = 0.55, 0.03, 0.25
# of a picture's side, from the side that is meant: where the middle of a thing lies and ends that is there, or is not
HERE, ENDS_HERE, NOT_HERE = 0.38, 0.6, 0.58
IN_THE_MIDDLE, NOT_IN_THE_MIDDLE = 0.14, 0.3  # how far its middle is from the picture's, along either side


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sides in parts of the picture; between small and not small, large and not large, nothing is said."""

    small: float
    not_small: float
    not_large: float
    large: float


STANDING = Sizes(small=0.2, not_small=0.4, not_large=0.32, large=0.6)  # heights of people
LYING_ABOUT = Sizes(small=0.09, not_small=0.22, not_large=0.18, large=0.38)  # of other things, roots of areas
ALIKE = 0.3  # of the largest one's area: a part that is smaller may be a piece of another
SOLID = 0.5  # of its box: what fills less may be two
# two masks touch within this part of a height; of the other mask that part touches: what is worn, carried, ridden
REACH, WORN_SHARE, CARRIED_SHARE, RIDDEN_SHARE = 0.05, 0.5, 0.08, 0.1
LEGS = 0.75  # of a rider's height from the top: what is ridden reaches below that
# of the strip under the feet, this part of the picture's height: ground, or no ground
UNDER_FEET, ON_IT, NOT_ON_IT = 0.02, 0.75, 0.05


@dataclass(frozen=True, slots=True)
class Instance:
    """A connected part of a class's mask in frame `t`, or an actor of a made scene.

    Attributes:
        mask: bool `[H,W]`.
        box: x0, y0, x1, y1 in parts of the picture.
        area: part of the picture.
        pixels: uint8 `[N,3]`, some of its inner pixels.
    """

    t: int
    mask: np.ndarray
    box: tuple[float, float, float, float]
    area: float
    pixels: np.ndarray


Judge = Callable[[Instance], int]  # TRUE, FALSE or OPEN
Verdict = tuple[str, np.ndarray | None]  # a word, and where it is true; None: nowhere


class Qualifier:
    """Puts qualifiers to the classes of one sample.

    Args:
        sample: as it is shown in the end: colours are read from its pixels.
        absent: whether a class is surely nowhere in it.
    """

    def __init__(self, sample: SegmentationSample, absent: Callable[[str], bool]) -> None:
        self.sample, self.absent = sample, absent
        self._instances: dict[str, list[Instance]] = {}

    def verdicts(self, name: str, kind: str) -> list[Verdict]:
        """What words of a kind say of a visible class: where each is true, or that it is true of none of it."""
        return list(KINDS[kind](self, name))

    def instances(self, name: str) -> list[Instance]:
        """The instances of a class in all frames; too small ones are left out."""
        if name not in self._instances:
            self._instances[name] = list(_instances(self.sample.masks[name], self.sample.frames))
        return self._instances[name]

    def judged(self, name: str, judges: Mapping[str, Judge]) -> Iterator[Verdict]:
        """The verdict of each word whose judge is clear about the instances of a class."""
        found = self.instances(name)
        total = sum(each.area for each in found)
        if not found or len(found) > MOST_INSTANCES:
            return
        for word, judge in judges.items():
            said = [(each, judge(each)) for each in found]
            true = [each for each, verdict in said if verdict == TRUE]
            unclear = [each.area for each, verdict in said if verdict == OPEN]
            if unclear and (
                sum(unclear) > UNCLEAR * total or max(unclear) > min((each.area for each in true), default=total)
            ):
                continue
            yield word, self.union(true) if true else None

    def union(self, instances: Sequence[Instance]) -> np.ndarray:
        """bool `[T,H,W]`."""
        mask = np.zeros(self.sample.frames.shape[:3], bool)
        for each in instances:
            mask[each.t] |= each.mask
        return mask


def _instances(mask: np.ndarray, frames: np.ndarray) -> Iterator[Instance]:
    for t, plane in enumerate(mask):
        if not plane.any():
            continue
        height, width = plane.shape
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(plane.astype(np.uint8), connectivity=8)
        for label in range(1, min(count, MOST_INSTANCES + 2)):
            x, y, w, h, pixels = boxes[label]
            if pixels < LEAST * height * width:
                continue
            own = labels == label
            part = own[y : y + h, x : x + w]
            inner = cv2.erode(np.pad(part, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
            inner = inner if np.count_nonzero(inner) >= 12 else part
            chosen = frames[t, y : y + h, x : x + w][inner]
            box = (x / width, y / height, (x + w) / width, (y + h) / height)
            yield Instance(t, own, box, pixels / (height * width), _some(chosen))


def _some(pixels: np.ndarray) -> np.ndarray:
    """Some 400 of the pixels `[N,3]`, evenly spread: enough to tell a colour."""
    return pixels[:: max(1, len(pixels) // 400)]


def _colour(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
    if name in words.PEOPLE:
        yield from _clothes(qualifier, name)
    elif name in words.COLOURED:
        shares = {id(each): colour_shares(each.pixels) for each in qualifier.instances(name)}

        def judge(colour: str) -> Judge:
            return lambda each: has_colour(shares[id(each)], colour)

        yield from qualifier.judged(name, {colour: judge(colour) for colour in words.NEIGHBOURS})


def _clothes(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
    """The colour of each garment of the one person of a picture whose clothes are labelled, and of all of them."""
    sample = qualifier.sample
    if sample.dataset not in DRESSED or len(sample.frames) > 1 or len(qualifier.instances(name)) != 1:
        return
    worn = {garment: sample.masks[garment] for garment in words.GARMENTS if garment in sample.masks}
    worn = {garment: mask for garment, mask in worn.items() if mask.mean() >= LEAST}
    if not worn:
        return
    every = {"clothes": np.logical_or.reduce(list(worn.values()))}
    for garment, mask in (worn | every).items():
        shares = colour_shares(_some(sample.frames[mask]))
        article = "" if garment.endswith("s") and garment != "dress" else "a "
        for colour in words.NEIGHBOURS:
            verdict = has_colour(shares, colour)
            if verdict != OPEN:
                yield f"in {article}{colour} {garment}", sample.masks[name] if verdict == TRUE else None


def has_colour(shares: Mapping[str, float], colour: str) -> int:
    """TRUE, FALSE or OPEN from `colour_shares`."""
    near = {colour, *words.NEIGHBOURS[colour]}
    if shares[colour] >= ITS_COLOUR:
        return TRUE
    clear = max(shares.values()) >= ITS_COLOUR and max(shares, key=shares.__getitem__) not in near
    unlike = clear or sum(shares[other] for other in near) < NOT_LIKE_IT
    return FALSE if shares[colour] < NOT_ITS_COLOUR and unlike else OPEN


def colour_shares(pixels: np.ndarray) -> dict[str, float]:
    """The share of the pixels `[N,3]` (uint8 RGB) that clearly have each colour; the rest have none."""
    lab = cv2.cvtColor((pixels[None].astype(np.float32) / 255), cv2.COLOR_RGB2LAB)[0]
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    shares = {}
    for colour, ((first, last), least, (dark, light)) in words.COLOURS.items():
        within = ((hue - first) % 360) <= last - first
        shares[colour] = float(np.mean(within & (chroma >= least) & (lightness >= dark) & (lightness <= light)))
    for colour, (dark, light) in (("black", words.BLACK), ("white", words.WHITE), ("gray", words.GRAY)):
        shares[colour] = float(np.mean((chroma < words.GRAYISH) & (lightness >= dark) & (lightness <= light)))
    return shares


def _place(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
    def along(low: int, *, first: bool) -> Judge:
        """In the first or the last part of an axis: 0 for x, 1 for y."""

        def says(each: Instance) -> int:
            start, end = each.box[low], each.box[low + 2]
            if not first:
                start, end = 1 - end, 1 - start
            if (start + end) / 2 < HERE and end < ENDS_HERE:
                return TRUE
            return FALSE if (start + end) / 2 > NOT_HERE else OPEN

        return says

    def both(a: Judge, b: Judge) -> Judge:
        return lambda each: min(a(each), b(each))

    def middle(each: Instance) -> int:
        off = [abs((each.box[axis] + each.box[axis + 2]) / 2 - 0.5) for axis in (0, 1)]
        if max(off) < IN_THE_MIDDLE:
            return TRUE
        return FALSE if max(off) > NOT_IN_THE_MIDDLE else OPEN

    left, right = along(0, first=True), along(0, first=False)
    top, bottom = along(1, first=True), along(1, first=False)
    judges = {"left": left, "right": right, "top": top, "bottom": bottom, "middle": middle}
    corners = {"upper left": (top, left), "upper right": (top, right), "lower left": (bottom, left)}
    corners["lower right"] = (bottom, right)
    yield from qualifier.judged(name, judges | {word: both(*sides) for word, sides in corners.items()})


def _size(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
    people = name in words.PEOPLE
    sizes = STANDING if people else LYING_ABOUT

    def measure(each: Instance) -> float:
        return each.box[3] - each.box[1] if people else each.area**0.5

    def small(each: Instance) -> int:
        size = measure(each)
        return TRUE if size < sizes.small else FALSE if size > sizes.not_small else OPEN

    def large(each: Instance) -> int:
        size = measure(each)
        return TRUE if size > sizes.large else FALSE if size < sizes.not_large else OPEN

    yield from qualifier.judged(name, {"small": small, "large": large})


def _number(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
    """Counted where it is known how many there are: the actors of a made scene, or one that stands apart."""
    sample = qualifier.sample
    count = _count(qualifier, name)
    if count is None:
        return
    mask = sample.masks[name]
    true = {1: {"one"}, 2: {"two"}}.get(count, {"several"} if count < words.CROWD else {"several", "crowd"})
    unclear = {"several"} if count == 2 or count >= words.CROWD else {"crowd"} if count > 3 else set()
    for word in words.NUMBERS:
        if word in true - unclear:
            yield word, mask
        elif word not in true | unclear:
            yield word, None


def _count(qualifier: Qualifier, name: str) -> int | None:
    """How many of a class there are, None if that is not sure."""
    sample = qualifier.sample
    if sample.things:
        own = [thing for thing in sample.things if name in thing.names]
        seen = [thing for thing in own if thing.mask.any()]
        everything = np.logical_or.reduce([thing.mask for thing in own]) if own else None
        known = everything is not None and not (sample.masks[name] & ~everything).any()
        return len(seen) if known and seen and all(_is_seen(thing.mask) for thing in seen) else None
    if name in sample.counts:
        return sample.counts[name]
    if name not in words.COUNTABLE or len(sample.frames) > 1:
        return None
    found = qualifier.instances(name)
    areas = [each.area for each in found]
    if len(found) == 1 and (sample.dataset in SINGLE or _solid(found[0])):
        return 1 if name not in words.PEOPLE or sample.dataset in SINGLE else None
    return len(found) if len(found) > 1 and min(areas) > ALIKE * max(areas) and name not in words.PEOPLE else None


def _is_seen(mask: np.ndarray) -> bool:
    return bool(np.count_nonzero(mask, axis=(1, 2)).min() >= LEAST / 2 * mask[0].size)


def _solid(each: Instance) -> bool:
    x0, y0, x1, y1 = each.box
    return each.area > SOLID * (x1 - x0) * (y1 - y0)


def _relation(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
    """With what it carries or wears, on what it rides or stands: two masks that touch."""
    sample = qualifier.sample
    others = [other for other, mask in sample.masks.items() if other != name and mask.any()]
    if name == "person":
        for other in others:
            if other in words.RIDDEN:
                yield from _touching(qualifier, name, other, f"riding a {other}", above=True)
            elif other in words.CARRIED:
                yield from _touching(qualifier, name, other, f"with a {other}")
            elif other in words.WORN:
                yield from _touching(qualifier, name, other, f"wearing a {other}", inside=True)
        for other in sorted((words.CARRIED | words.RIDDEN | words.WORN) - set(sample.masks)):
            if qualifier.absent(other):
                how = "riding" if other in words.RIDDEN else "wearing" if other in words.WORN else "with"
                yield f"{how} a {other}", None
    if name in words.GROUNDS:
        return
    for ground in sorted(words.GROUNDS):
        if ground in sample.masks and sample.masks[ground].any():
            yield from _standing_on(qualifier, name, ground)
        elif ground not in sample.masks and qualifier.absent(ground):
            yield f"on the {ground}", None


def _touching(
    qualifier: Qualifier, name: str, other: str, word: str, *, above: bool = False, inside: bool = False
) -> Iterator[Verdict]:
    mask = qualifier.sample.masks[other]

    def says(each: Instance) -> int:
        _, y0, _, y1 = each.box
        height = each.mask.shape[0]
        beside = mask[each.t]
        if not beside.any():
            return FALSE
        away = cv2.distanceTransform((~each.mask).astype(np.uint8), cv2.DIST_C, 3)  # pixels to the instance
        reach = max(1.0, REACH * (y1 - y0) * height)
        touching = beside & (away <= reach)
        if not touching.any():
            return OPEN if (beside & (away <= 4 * reach)).any() else FALSE
        touch = touching.sum() / beside.sum()
        if above:  # what is ridden reaches from the rider's middle down
            lowest = np.flatnonzero(touching.any(1)).max() / height
            return TRUE if lowest > y0 + LEGS * (y1 - y0) and touch > RIDDEN_SHARE else OPEN
        return TRUE if touch > (WORN_SHARE if inside else CARRIED_SHARE) else OPEN

    yield from qualifier.judged(name, {word: says})


def _standing_on(qualifier: Qualifier, name: str, ground: str) -> Iterator[Verdict]:
    mask = qualifier.sample.masks[ground]

    def says(each: Instance) -> int:
        height, width = each.mask.shape
        x0, _, x1, y1 = each.box
        foot = min(height - 1, round(y1 * height))
        if foot >= height - 2:
            return OPEN  # cut off by the border
        deep = max(2, round(UNDER_FEET * height))
        left, right = round(x0 * width), max(round(x0 * width) + 1, round(x1 * width))
        below = mask[each.t, foot : foot + deep, left:right].mean()
        return TRUE if below > ON_IT else FALSE if below < NOT_ON_IT else OPEN

    yield from qualifier.judged(name, {f"on the {ground}": says})


def _facts(kind_words: Collection[str]) -> Callable[[Qualifier, str], Iterator[Verdict]]:
    """Verdicts from what a made scene knows of its actors; it must know it of all that is called so."""

    def verdicts(qualifier: Qualifier, name: str) -> Iterator[Verdict]:
        things = [thing for thing in qualifier.sample.things if name in thing.names and thing.mask.any()]
        if not things or (qualifier.sample.masks[name] & ~np.logical_or.reduce([each.mask for each in things])).any():
            return
        for word in kind_words:
            if word in words.FOR_PEOPLE and name not in words.PEOPLE:
                continue
            if word in words.FOR_VEHICLES and words.group(name) != "vehicles":
                continue
            if word == "standing" and words.group(name) == "vehicles":
                continue  # it is parked
            true = [thing for thing in things if word in thing.facts]
            if any(word in thing.open for thing in things):
                continue
            yield word, np.logical_or.reduce([thing.mask for thing in true]) if true else None

    return verdicts


KINDS: dict[str, Callable[[Qualifier, str], Iterator[Verdict]]] = {
    "colour": _colour,
    "place": _place,
    "size": _size,
    "number": _number,
    "relation": _relation,
    "motion": _facts(words.MOTIONS),
    "pose": _facts(words.POSES),
}
