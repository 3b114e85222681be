"""Pseudo-anomalies in motion: cut-out objects that walk, ride and drive through still pictures.

The segmentation data say what things look like and hardly how they move. Here every picture can become a scene of a
camera, with each frame's neighbour of a moment earlier: people walk at one to two metres a second, cyclists and
runners go at three to eight, vehicles faster, at one scale for the whole scene; some things stand still.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lavida.exposure.cutouts import RUN, WALK, Cutout, CutoutBank
from lavida.exposure.sample import SegmentationSample, Thing
from lavida.video.motion import PAIR_SHRINK, motion_field, small_gray

FAST, DRIVING, PARKED = "fast-moving person", "moving vehicle", "parked vehicle"
MOTION_NAMES = (FAST, DRIVING, PARKED)
VEHICLES = frozenset({"vehicle", "car", "bus", "truck"})
RIDDEN = frozenset({"bicycle", "bicyclist", "motorcycle", "scooter", "skating", "horse"})
MOTION_WEIGHT = 0.3  # for the sampler: these names would seldom be true, since many others are true of a scene
ALSO_WHEN_FAST = ("skating", "skateboard", "bicyclist")  # what a person may be doing who moves that fast
PERSON_HEIGHT = (24.0, 230.0)  # pixels; the scale of a scene, from a far camera to a doorway; a speck is smaller
MOST_ENLARGED = 2.0  # a cut-out is not blown up further
MOST_MOVERS, MOST_CLOSE, CLOSE = 7, 3, 0.35  # fewer where a person is higher than this part of the picture
CROWDS = 0.2  # part of the scenes that are crowds
FLOW, COUNTER = 0.4, 0.6  # part of the scenes in which all go one way; part of those in which one goes the other way
LYING, LEAST_UPRIGHT = 0.12, 1.8  # part of the upright people who lie on the ground; height over width of such a person
SHADOW = 0.4  # part of the scenes in which things darken the ground under them
STANDING = 0.25  # part of the cut-outs that do not move
RUNNING = 0.3  # part of the moving people that run or glide
HASTE = 1.7  # footage runs faster or slower than announced by up to this factor
CLIP_GAP = 1 / 12  # seconds between the frames of a real clip: DAVIS as it is kept here, every second of 24
GAPS = (1 / 30, 1 / 25, 1 / 25, 1 / 15, 1 / 10)  # seconds between neighbours
INTERVALS = (1, 6)  # gaps between the frames of a clip
PANNING, PAN_SPEED = 0.25, 0.4  # part of the scenes whose camera moves; heights a second
STILL_KNOWN = 0.6  # part of the single pictures that are shown as a frame of a still scene


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many people, as a camera on a wall sees them.

    Attributes:
        people: the least and the most.
        height: of a person in pixels, likewise.
        fast: part of the crowds through which one or two ride, glide or run.
        running: part of the others who run, too.
        riders: whether those one or two may ride or glide; else they run.
    """

    people: tuple[int, int] = (10, 40)
    height: tuple[float, float] = (16.0, 60.0)
    fast: float = 0.5
    running: float = RUNNING
    riders: bool = True


@dataclass(frozen=True, slots=True)
class _Actor:
    cutout: Cutout
    scale: float
    flipped: bool
    start: np.ndarray  # x, y of its middle at time 0
    velocity: np.ndarray  # pixels a second
    light: float
    fast: bool
    turn: float = 0.0  # degrees; people who lie are turned
    counter: bool | None = None  # goes against the others; None: there is no common way

    @property
    def moves(self) -> bool:
        return bool(np.any(self.velocity))

    @property
    def facts(self) -> tuple[frozenset[str], frozenset[str]]:
        """What qualifies it for certain, and what may: keys of `qualifier_words.PATTERNS`."""
        names = set(self.cutout.mover.names)
        if self.turn:
            return frozenset({"lying"}), frozenset({"standing"})
        facts, open_to = set(), set()
        if "person" in names:
            facts.add("upright")
            if "bicyclist" in names:
                facts.add("cycling")
            elif "skating" in names:
                facts.add("gliding")
                open_to |= {"running", "walking", "standing"}
            elif self.moves:
                facts.add("running" if self.fast else "walking")
                open_to |= {"gliding"} if self.fast else set()
            else:
                facts.add("standing")
        if VEHICLES & names:
            facts.add("driving" if self.moves else "parked")
        x, y = np.abs(self.velocity)
        way = "to the left" if self.velocity[0] < 0 else "to the right"
        if x > 2 * y:
            facts.add(way)
        elif x > 0.3 * y:
            open_to.add(way)
        if self.counter is None:
            open_to.add("against the others")
        elif self.counter:
            facts.add("against the others")
        return frozenset(facts), frozenset(open_to)

    def at(self, time: float, size: tuple[int, int]) -> np.ndarray:
        """float32 `[H, W, 4]`: the cut-out where it is at `time`, cover in 0..1."""
        height, width = self.cutout.pixels.shape[:2]
        cos, sin = self.scale * np.cos(np.radians(self.turn)), self.scale * np.sin(np.radians(self.turn))
        mirrored = -1 if self.flipped else 1
        linear = np.array([[cos * mirrored, -sin], [sin * mirrored, cos]])
        middle = self.start + self.velocity * time
        matrix = np.column_stack((linear, middle - linear @ (width / 2, height / 2)))
        area = cv2.INTER_AREA if self.scale < 0.5 else cv2.INTER_LINEAR
        return cv2.warpAffine(self.cutout.pixels, matrix, size[::-1], flags=area).astype(np.float32)


def set_in_motion(
    view: SegmentationSample,
    bank: CutoutBank,
    *,
    length: int,
    rng: np.random.Generator,
    crowd: Crowd = Crowd(),
    crowded: float = CROWDS,
) -> SegmentationSample:
    """A clip of `length` frames in which cut-outs move through the first frame of `view`.

    `crowded` is the part of the scenes that are crowds, `crowd` what these are like.

    Their masks join those of the view. `FAST`, `DRIVING` and `PARKED` are classes of the result where they are
    there, or listed with an empty mask where they may be.
    """
    size = view.frames.shape[1:3]
    gap = float(rng.choice(GAPS))
    times = gap * int(rng.integers(INTERVALS[0], INTERVALS[1])) * np.arange(length)
    actors = _cast(bank, size, rng, middle=times.mean(), crowds=crowd, crowded=crowded)
    still = view.frames[0]
    shadow = float(rng.uniform(0.2, 0.6)) if rng.random() < SHADOW else 0.0
    pan = rng.uniform(-PAN_SPEED, PAN_SPEED, 2) * size[0] * gap if rng.random() < PANNING else np.zeros(2)
    frames, before, covers = [], [], []
    for time in times:
        frame, cover = _composed(still, actors, time, shadow)
        frames.append(frame)
        covers.append(cover)
        before.append(_shifted(_composed(still, actors, time - gap, shadow)[0], pan))
    seen = np.stack(covers, 1)  # [actors, T, H, W]
    masks, ignore = _labels(view, actors, seen)
    return replace(
        view,
        frames=np.stack(frames),
        masks=masks,
        ignore=ignore,
        before=np.stack(before),
        seconds=np.full(length, gap),
        counts={},
        things=tuple(
            Thing(frozenset(actor.cutout.mover.names), mask, *actor.facts)
            for actor, mask in zip(actors, seen, strict=True)
        ),
    )


def neighbours(view: SegmentationSample, *, rng: np.random.Generator) -> SegmentationSample:
    """The sample with a neighbour for each frame.

    In a clip that is the frame before. A single picture is either left alone (its motion stays unknown) or taken
    as a frame of a still scene, sometimes with a camera that moves: what does not move is still there.
    """
    length, height = view.frames.shape[:2]
    if length > 1:
        return own_neighbours(view, seconds=CLIP_GAP * np.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() >= STILL_KNOWN:
        return view
    gap = float(rng.choice(GAPS))
    pan = rng.uniform(-PAN_SPEED, PAN_SPEED, 2) * height * gap if rng.random() < PANNING else np.zeros(2)
    return replace(view, before=_shifted(view.frames[0], pan)[None], seconds=np.array([gap]))


def own_neighbours(clip: SegmentationSample, *, seconds: float = CLIP_GAP) -> SegmentationSample:
    """A clip with the frame before as the neighbour of each frame; the first one has the second."""
    order = [1, *range(len(clip.frames) - 1)]
    gaps = np.full(len(clip.frames), seconds)
    gaps[0] *= -1
    return replace(clip, before=clip.frames[order], seconds=gaps)


def with_own_motion(segmented: SegmentationSample, *, size: tuple[int, int] | None = None) -> SegmentationSample:
    """The sample with its motion fields, computed from the frames as they look in the end.

    `size` is that of the analysed frames `(H, W)`, their own if None.
    """
    if segmented.before is None or segmented.seconds is None:
        return segmented
    height, width = size or segmented.frames.shape[1:3]
    half = (height // PAIR_SHRINK, width // PAIR_SHRINK)
    pairs = zip(segmented.frames, segmented.before, segmented.seconds, strict=True)
    fields = [
        motion_field(small_gray(now, half), small_gray(before, half), seconds=float(gap)) for now, before, gap in pairs
    ]
    return replace(segmented, motion=np.stack(fields), before=None, seconds=None)


def _cast(
    bank: CutoutBank,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    middle: float,
    crowds: Crowd,
    crowded: float,
) -> list[_Actor]:
    """Who is in the scene; all at one scale, in the picture, or half in it, at the time `middle`."""
    walkers = [mover for mover in bank.movers if mover.speed == WALK]
    others = [mover for mover in bank.movers if mover.speed != WALK]
    crowd = crowds if walkers and rng.random() < crowded else None
    metre = float(np.exp(rng.uniform(*np.log(crowd.height if crowd else PERSON_HEIGHT)))) / 1.7  # pixels
    haste = float(np.exp(rng.uniform(-1, 1) * np.log(HASTE)))
    most = MOST_MOVERS if 1.7 * metre < CLOSE * size[0] else MOST_CLOSE
    count = int(rng.integers(*crowd.people, endpoint=True)) if crowd else int(rng.integers(1, most + 1))
    fast = int(rng.integers(1, 3)) if crowd and rng.random() < crowd.fast else 0
    riders = [mover for mover in others if crowd.riders and "person" in mover.names] if crowd else others
    running = crowd.running if crowd else RUNNING
    way = float(rng.choice((-1, 1))) if rng.random() < FLOW else 0.0
    counter = int(rng.integers(count)) if way and count >= 4 and rng.random() < COUNTER else None
    actors = []
    for index in range(count):
        walks = index >= fast if crowd else bool(walkers) and (not others or rng.random() < 0.6)
        kinds = walkers if walks or not riders else riders
        cutout = bank.draw(kinds[int(rng.integers(len(kinds)))], rng)
        place = rng.uniform(-0.05, 1.05, 2) * np.array(size[::-1])
        hurries = crowd is not None and index < fast
        actor = _act(cutout, place, rng, metre=metre, haste=haste, middle=middle, hurries=hurries, running=running)
        if way and count >= 4:
            against = index == counter
            forward = actor.velocity * [1, 0.3] if abs(actor.velocity[0]) > 0 else actor.velocity
            sign = -way if against else way
            velocity = np.array([sign * abs(forward[0]), forward[1]])
            actor = replace(
                actor,
                velocity=velocity,
                start=place - velocity * middle,
                counter=against if velocity.any() else False,
            )
        actors.append(actor)
    return sorted(actors, key=lambda actor: actor.start[1])  # what is lower in the picture is nearer


def _act(
    cutout: Cutout,
    place: np.ndarray,
    rng: np.random.Generator,
    *,
    metre: float,
    haste: float,
    middle: float,
    hurries: bool,
    running: float,
) -> _Actor:
    """Size, pace and direction of one cut-out that is at `place` at the time `middle`.

    `hurries`: it moves, and fast; `running`: part of the other people who do.
    """
    mover, (rows, columns) = cutout.mover, cutout.pixels.shape[:2]
    height = metre * mover.height * float(np.exp(rng.uniform(-0.2, 0.2)))
    scale = min(height / rows, MOST_ENLARGED)
    walker = mover.speed == WALK and "person" in mover.names
    fast = walker and (hurries or rng.random() < running)
    low, high = RUN if fast else mover.speed
    pace = haste * float(np.exp(rng.uniform(np.log(low), np.log(high))))  # metres a second
    lies = walker and not hurries and rows > LEAST_UPRIGHT * columns and rng.random() < LYING
    stands = lies or (rng.random() < STANDING and not hurries)
    # what is shown smaller than the scene's scale goes slower, too: it is farther away
    speed = 0.0 if stands else pace * metre * scale * rows / height
    angle = rng.normal(0, 0.5) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    velocity = speed * np.array([np.cos(angle), np.sin(angle)]) * (1 if rng.random() < 0.5 else -1)
    return _Actor(
        cutout=cutout,
        scale=scale,
        flipped=bool(rng.random() < 0.5),
        start=place - velocity * middle,
        velocity=velocity,
        light=float(np.exp(rng.uniform(-0.35, 0.35))),
        fast=fast and speed > 0,
        turn=float(rng.choice((-90, 90)) + rng.normal(0, 12)) if lies else 0.0,
    )


def _composed(
    still: np.ndarray, actors: list[_Actor], time: float, shadow: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The picture at `time` `[H, W, 3]` and what is seen of each actor, bool `[actors, H, W]`."""
    size = still.shape[:2]
    picture = still.astype(np.float32)
    seen = np.zeros((len(actors), *size), bool)
    for index, actor in enumerate(actors):
        layer = actor.at(time, size)
        cover = layer[..., 3:] / 255
        if shadow or actor.turn:
            picture *= 1 - max(shadow, 0.3 if actor.turn else 0.0) * _ground_shadow(cover[..., 0], size)[..., None]
        picture += (layer[..., :3] * actor.light - picture) * cover
        hides = cover[..., 0] > 0.5
        seen[:index, hides] = False
        seen[index] = hides
    return picture.clip(0, 255).astype(np.uint8), seen


def _labels(
    view: SegmentationSample, actors: list[_Actor], seen: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Masks of all names and what is ignored; `seen` `[actors, T, H, W]`."""
    length = seen.shape[1]
    hidden = seen.any(0)  # [T, H, W], where an actor is in front of the view
    masks = {name: np.repeat(mask[:1], length, 0) & ~hidden for name, mask in view.masks.items()}
    ignore = None if view.ignore is None else np.repeat(view.ignore[:1], length, 0) & ~hidden

    def teach(name: str, mask: np.ndarray) -> None:
        masks[name] = masks.get(name, False) | mask

    def may_be_there(*names: str) -> None:
        for name in names:
            masks.setdefault(name, np.zeros_like(hidden))

    for name in VEHICLES & view.masks.keys():
        teach(PARKED, masks[name])
    for actor, mask in zip(actors, seen, strict=True):
        mover = actor.cutout.mover
        for name in mover.names:
            teach(name, mask)
        may_be_there(*mover.also)
        if VEHICLES & set(mover.names):
            teach(DRIVING if actor.moves else PARKED, mask)
        if actor.fast:
            teach(FAST, mask)
            may_be_there(*ALSO_WHEN_FAST)
        elif RIDDEN & set(mover.names):
            may_be_there(FAST, DRIVING, PARKED)
    if RIDDEN & view.masks.keys():
        may_be_there(PARKED)
    return masks, ignore


def _shifted(picture: np.ndarray, by: np.ndarray) -> np.ndarray:
    if not by.any():
        return picture
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


def _ground_shadow(cover: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """0..1 `[H, W]`: a soft dark patch under a thing that covers `cover` of each pixel."""
    rows, columns = np.flatnonzero(cover.max(1) > 0.5), np.flatnonzero(cover.max(0) > 0.5)
    shade = np.zeros(size, np.float32)
    if len(rows) and len(columns):
        wide, high = len(columns), max(2, round(0.12 * max(len(rows), len(columns))))
        middle = (int(columns.mean()), int(rows[-1]))
        cv2.ellipse(shade, middle, (max(1, round(0.55 * wide)), high), 0, 0, 360, 1.0, -1)
        return cv2.blur(shade, (high // 2 * 2 + 1, high // 2 * 2 + 1)).astype(np.float32)
    return shade
