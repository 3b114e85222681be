"""Fires where none were: flames cut out of photos of fires burn in other pictures, small or large, pale or dim.

Photos of fires show them large and in the middle. What an operator has to see is a flame in a window or behind a
parked car, in any picture that has been seen without it; so flames of every size are set into the views of all sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lavida.errors import InputError
from lavida.exposure.cutouts import stored
from lavida.exposure.mixture import Mixture, each_once
from lavida.exposure.sample import SegmentationSample

FIRE = "fire"
MAY_BE_THERE = ("smoke",)  # of a fire; it has no mask here
LEAST_PIXELS, LEAST_SIDE = 150, 10  # of a flame that is kept
MOST_WIDE, MOST_FILL = 2.0, 0.8  # width over height; part of its box: others are cut off, or a box that was no mask
LEAST_BRIGHT = 0.35  # part of a flame that must be bright; else its mask holds smoke or what burns
HEIGHT = (14.0, 140.0)  # pixels of a flame in a view
MOST_FLAMES = 3  # of one fire, beside each other
BRIGHT = (90.0, 170.0)  # of the brightest channel: what is darker is not seen, what is brighter hides what is behind it
HAZE = (0.0, 0.45)  # of pale air before a flame
GLOW = (0.0, 0.35)  # light that falls on what is near
GLOW_COLOUR = np.array([90.0, 45.0, 10.0], np.float32)
FLICKER, SWAY = 0.12, 0.06  # of its size and light from one moment to the next; of its width, how far it bends
DRAWS = 600
WINDOW = "window"
WINDOWS_BURN, BEHIND_WINDOW = 4.0, 0.6  # how much likelier a view with windows burns; and then behind one of them
LEAST_WINDOW = 12  # pixels of its height


@dataclass(frozen=True, slots=True)
class _Flame:
    """A flame of a fire: what it looks like and where it stands."""

    pixels: np.ndarray  # float32 [h, w, 4], RGB and cover in 0..255
    height: float  # in the view
    foot: tuple[float, float]  # x, y of the middle of its lower edge
    flipped: bool
    within: np.ndarray | None = None  # float32 [H, W], 0..1: the opening it is seen through; None: nothing is before it

    def at(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """float32 `[H, W, 4]`: how it looks at some moment; no two are the same."""
        rows, columns = self.pixels.shape[:2]
        tall, wide = self.height / rows * np.exp(rng.normal(0, FLICKER, 2))
        wide *= -1 if self.flipped else 1
        lean = float(rng.normal(0, SWAY)) * columns / rows
        linear = np.array([[wide, wide * lean], [0.0, tall]])
        matrix = np.column_stack((linear, np.array(self.foot) - linear @ (columns / 2, rows)))
        small = abs(tall) < 0.5
        layer = cv2.warpAffine(
            self.pixels, matrix, size[::-1], flags=cv2.INTER_AREA if small else cv2.INTER_LINEAR
        ).astype(np.float32)
        layer[..., :3] *= float(np.exp(rng.normal(0, FLICKER)))
        if self.within is not None:
            layer[..., 3] *= self.within
        return layer


class FlameBank:
    """Flames of all photos of fires in a mixture.

    Args:
        mixture: labelled pictures, some of which have a class `fire`.
        seed: fixes which pictures are searched.

    Raises:
        InputError: none of them has.
    """

    def __init__(self, mixture: Mixture, *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.flames: list[np.ndarray] = []
        showing = [index for index, each in enumerate(mixture.datasets) if FIRE in mixture.own_names(each.name)]

        def draw() -> SegmentationSample:
            return mixture.draw_from(showing[int(rng.integers(len(showing)))], rng)

        for sample in each_once(draw, DRAWS if showing else 0):
            if FIRE in sample.masks:
                self.flames.extend(cut_flames(sample))
        if not self.flames:
            raise InputError("data.burning: no data set of the mixture shows a fire; set it to 0, or add fire_smoke")


def cut_flames(sample: SegmentationSample) -> list[np.ndarray]:
    """Flames of the first frame, uint8 `[h, w, 4]`: RGB, and how much each pixel hides of what is behind it."""
    frame, mask = sample.frames[0], sample.masks[FIRE][0]
    if sample.ignore is not None:
        mask = mask & ~sample.ignore[0]
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    width = mask.shape[1]
    flames = []
    for label in range(1, count):
        x, y, w, h, pixels = boxes[label]
        whole = x > 1 and y > 1 and x + w < width - 1
        if not whole or pixels < LEAST_PIXELS or min(w, h) < LEAST_SIDE:
            continue
        if w > MOST_WIDE * h or pixels > MOST_FILL * w * h:
            continue
        part = np.s_[y - 1 : y + h + 1, x - 1 : x + w + 1]
        own = (labels[part] == label).astype(np.float32)
        light = frame[part].max(-1).astype(np.float32)
        bright = ((light - BRIGHT[0]) / (BRIGHT[1] - BRIGHT[0])).clip(0, 1)
        if (bright > 0.5)[own > 0].mean() < LEAST_BRIGHT:
            continue
        cover = cv2.GaussianBlur(own, (0, 0), 0.8) * own * bright
        image = np.dstack((frame[part], np.rint(cover * 255).astype(np.uint8)))
        flames.append(stored(image, w, h))
    return flames


def likely_to_burn(view: SegmentationSample) -> float:
    """How much likelier than others this view is to be set on fire.

    Lit windows teach what no fire is; as often something must burn behind one.
    """
    return WINDOWS_BURN if _window_boxes(view) else 1.0


def set_on_fire(view: SegmentationSample, bank: FlameBank, *, rng: np.random.Generator) -> SegmentationSample:
    """The view with a fire in it, in all frames and their neighbours; each shows it at another moment.

    `FIRE` is a class of the result, and what stands behind a flame loses those pixels.
    """
    size = view.frames.shape[1:3]
    windows = _window_boxes(view)
    if windows and rng.random() < BEHIND_WINDOW:
        flames = _fire_behind(windows[int(rng.integers(len(windows)))], view.masks[WINDOW][0], bank.flames, rng)
    else:
        flames = _fire(bank.flames, size, rng)
    haze, glow = float(rng.uniform(*HAZE)), float(rng.uniform(*GLOW))
    pale = float(rng.uniform(150, 235))

    def burning(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        picture, seen = frame.astype(np.float32), np.zeros(size, bool)
        for flame in flames:
            layer = flame.at(size, rng)
            cover = layer[..., 3:] / 255
            near = cv2.GaussianBlur(cover[..., 0], (0, 0), max(1.0, 0.5 * flame.height))[..., None]
            picture += glow * near * GLOW_COLOUR
            light = layer[..., :3] + haze * (pale - layer[..., :3])
            picture += (light - picture) * cover
            seen |= cover[..., 0] > 0.4
        return picture.clip(0, 255).astype(np.uint8), seen

    shown = [burning(frame) for frame in view.frames]
    seen = np.stack([mask for _, mask in shown])
    masks = {name: mask & ~seen for name, mask in view.masks.items()}
    masks[FIRE] = view.masks.get(FIRE, np.zeros_like(seen)) | seen
    for name in MAY_BE_THERE:
        masks.setdefault(name, np.zeros_like(seen))
    return replace(
        view,
        frames=np.stack([frame for frame, _ in shown]),
        masks=masks,
        ignore=None if view.ignore is None else view.ignore & ~seen,
        before=None if view.before is None else np.stack([burning(frame)[0] for frame in view.before]),
        things=tuple(replace(thing, mask=thing.mask & ~seen) for thing in view.things),
        out_of_view=view.out_of_view - {FIRE, *MAY_BE_THERE},
        counts={name: count for name, count in view.counts.items() if name != FIRE},
    )


def _fire(flames: Sequence[np.ndarray], size: tuple[int, int], rng: np.random.Generator) -> list[_Flame]:
    """One to `MOST_FLAMES` flames beside each other, of about the same size."""
    height = float(np.exp(rng.uniform(*np.log(HEIGHT))))
    place = rng.uniform(0.05, 0.95, 2) * (size[1], size[0])
    fire = []
    for _ in range(int(rng.integers(1, MOST_FLAMES + 1))):
        pixels = flames[int(rng.integers(len(flames)))].astype(np.float32)
        own = height * float(np.exp(rng.normal(0, 0.3)))
        foot = place + rng.normal(0, 1, 2) * (1.5 * height, 0.15 * height)
        fire.append(_Flame(pixels, own, (float(foot[0]), float(foot[1])), bool(rng.random() < 0.5)))
    return fire


def _window_boxes(view: SegmentationSample) -> list[tuple[int, int, int, int]]:
    """x, y, width, height of each window of the first frame that a flame can be seen through."""
    if WINDOW not in view.masks:
        return []
    count, _, boxes, _ = cv2.connectedComponentsWithStats(view.masks[WINDOW][0].astype(np.uint8), connectivity=4)
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in boxes[1:count] if min(w, h) >= LEAST_WINDOW]


def _fire_behind(
    box: tuple[int, int, int, int], windows: np.ndarray, flames: Sequence[np.ndarray], rng: np.random.Generator
) -> list[_Flame]:
    """Flames behind the window in `box`; in half of them one also comes out of it."""
    x, y, width, height = box
    hole = np.zeros(windows.shape, np.float32)
    hole[y : y + height, x : x + width] = windows[y : y + height, x : x + width]
    opening = cv2.GaussianBlur(hole, (0, 0), 0.7)
    fire = []
    for _ in range(int(rng.integers(1, MOST_FLAMES + 1))):
        pixels = flames[int(rng.integers(len(flames)))].astype(np.float32)
        foot = x + width * float(rng.uniform(0.1, 0.9)), y + height * float(rng.uniform(0.7, 1.2))
        fire.append(_Flame(pixels, height * float(rng.uniform(0.5, 1.3)), foot, bool(rng.random() < 0.5), opening))
    if rng.random() < 0.5:
        pixels = flames[int(rng.integers(len(flames)))].astype(np.float32)
        foot = x + width * float(rng.uniform(0.2, 0.8)), y + height * float(rng.uniform(0.1, 0.6))
        fire.append(_Flame(pixels, height * float(rng.uniform(0.6, 1.6)), foot, bool(rng.random() < 0.5)))
    return fire
