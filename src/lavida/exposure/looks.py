"""Looks: other light, colour and camera quality, down to gray, coarse surveillance footage."""

from collections.abc import Callable, Collection
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from lavida.exposure.qualifier_words import COLOURS
from lavida.exposure.sample import SegmentationSample

SPECK_SHIFT = 4  # OpenCV draws in fractions of a pixel: bits after the point
SPECK_UNIT = 2**SPECK_SHIFT
GRAY = 0.3  # part of the views
NOISE = np.random.default_rng(0).normal(size=256).astype(np.float32)

Filter = Callable[[Image.Image], Image.Image]


def degrade(
    segmented: SegmentationSample, *, rng: np.random.Generator, gray: float = GRAY, light: float = 1.0
) -> SegmentationSample:
    """Other light, colour and camera quality, one draw for all frames and their neighbours of a moment earlier.

    `gray`: how often there is no colour, 0 to 1; `light`: how far light and colour may be from those of the picture,
    from 0, not at all, over 1 (saturation +-.5, contrast -.4 to +.3, gamma e^+-.4) to 2, twice as far.
    """
    look = _draw_look(segmented.frames.shape[1:3], rng, gray=gray, light=light)

    def each(frames: np.ndarray) -> np.ndarray:
        return np.stack([np.asarray(look(Image.fromarray(frame))) for frame in frames])

    before = None if segmented.before is None else each(segmented.before)
    return replace(segmented, frames=each(segmented.frames), before=before)


def recolour(segmented: SegmentationSample, *, names: Collection[str], rng: np.random.Generator) -> SegmentationSample:
    """Another colour for one of the classes `names` that can be seen: its light and shade stay, its hue does not.

    Few things of a picture are clearly red or yellow; a model that is to hear colours must see each of them often. The
    sample itself where none of them can be seen.
    """
    seen = sorted(name for name, mask in segmented.masks.items() if name in names and mask.any())
    if not seen:
        return segmented
    mask = segmented.masks[seen[int(rng.integers(len(seen)))]]
    paint = _draw_paint(rng)
    frames = np.stack([_painted(*each, paint) for each in zip(segmented.frames, mask, strict=True)])
    before = segmented.before
    if before is not None:  # what moved between the two was there, or nearly so
        before = np.stack([_painted(*each, paint) for each in zip(before, mask, strict=True)])
    return replace(segmented, frames=frames, before=before)


def _draw_paint(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Mean lightness, its spread, and the two axes of colour, in CIELAB."""
    hues = list(COLOURS.values())
    drawn = int(rng.integers(len(hues) + 3))
    if drawn >= len(hues):
        lightness, spread = ((12.0, 0.3), (93.0, 0.2), (54.0, 0.3))[drawn - len(hues)]  # black, white, gray
        return lightness, spread, 0.0, 0.0
    (first, last), least, (dark, light) = hues[drawn]
    hue, chroma = np.radians(rng.uniform(first + 4, last - 4)), least * rng.uniform(1.2, 1.8)
    lightness = rng.uniform(dark + 0.3 * (light - dark), light - 0.3 * (light - dark))
    return float(lightness), 0.5, float(chroma * np.cos(hue)), float(chroma * np.sin(hue))


def _painted(frame: np.ndarray, mask: np.ndarray, paint: tuple[float, float, float, float]) -> np.ndarray:
    if not mask.any():
        return frame
    mean, spread, a, b = paint
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    light = mean + spread * (lab[..., 0] - lab[..., 0][mask].mean())
    own = np.stack([light.clip(2, 98), np.full_like(light, a), np.full_like(light, b)], -1)
    own[..., 1:] += 0.15 * (lab[..., 1:] - lab[..., 1:][mask].mean(0))
    painted = cv2.cvtColor(own.astype(np.float32), cv2.COLOR_LAB2RGB).clip(0, 1) * 255
    edge = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None] * mask[..., None]
    return np.rint(edge * painted + (1 - edge) * frame).astype(np.uint8)


def _draw_look(size: tuple[int, int], rng: np.random.Generator, *, gray: float, light: float) -> Filter:
    """Light, colour and camera quality; drawn once, applied to every frame."""
    filters: list[Filter] = [_draw_light(rng, light)]
    if rng.random() < gray:
        filters.append(lambda image: image.convert("L").convert("RGB"))
    if rng.random() < 0.15:
        filters.append(_specks(size, count=int(rng.integers(4, 60)), rng=rng))
    if rng.random() < 0.2:
        filters.append(_coarse(size, factor=float(rng.uniform(1.5, 4))))
    if rng.random() < 0.1:
        filters.append(_noise(size, strength=float(rng.uniform(3, 14)), rng=rng))
    if rng.random() < 0.1:
        radius = float(rng.uniform(0.5, 1.6))
        filters.append(lambda image: image.filter(ImageFilter.BoxBlur(radius)))
    if rng.random() < 0.2:
        filters.append(_jpeg(quality=int(rng.integers(12, 60))))

    def apply(image: Image.Image) -> Image.Image:
        for one in filters:
            image = one(image)
        return image

    return apply


def _draw_light(rng: np.random.Generator, far: float) -> Filter:
    """Saturation, then one curve a channel of gamma, contrast, brightness and tint."""
    saturation = float(1 + far * rng.uniform(-0.5, 0.5))
    gamma = float(np.exp(far * rng.uniform(-0.4, 0.4)))
    contrast, brightness = float(1 + far * rng.uniform(-0.4, 0.3)), float(far * rng.uniform(-0.1, 0.1))
    tint = 1 + far * rng.uniform(-0.08, 0.08, size=(3, 1))
    ramp = np.linspace(0, 1, 256) ** gamma
    curves = ((ramp - 0.5) * contrast + 0.5 + brightness) * tint  # [3, 256]
    table = (curves * 255).clip(0, 255).astype(np.uint8).ravel().tolist()
    return lambda image: ImageEnhance.Color(image).enhance(saturation).point(table)


def _coarse(size: tuple[int, int], *, factor: float) -> Filter:
    small = (max(1, round(size[1] / factor)), max(1, round(size[0] / factor)))
    how = Image.Resampling
    return lambda image: image.resize(small, how.BOX).resize(image.size, how.BILINEAR)


def _noise(size: tuple[int, int], *, strength: float, rng: np.random.Generator) -> Filter:
    curve = (NOISE * strength).astype(np.int16)

    def apply(image: Image.Image) -> Image.Image:
        grain = curve[np.frombuffer(rng.bytes(size[0] * size[1]), np.uint8)].reshape(*size, 1)
        return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))

    return apply


def _specks(size: tuple[int, int], *, count: int, rng: np.random.Generator) -> Filter:
    """Litter, marks, snow, dirt on the lens: seen from afar they are as small as a person, and none."""
    layer = np.zeros(size, np.float32)
    for x, y in rng.uniform((0, 0), size[::-1], (count, 2)):
        strength = float(rng.uniform(30, 160)) * rng.choice((-1, 1))
        axes = rng.uniform(0.4, 2.5, 2) * SPECK_UNIT
        cv2.ellipse(
            layer,
            (int(x * SPECK_UNIT), int(y * SPECK_UNIT)),
            (int(axes[0]), int(axes[1])),
            angle=float(rng.uniform(0, 180)),
            startAngle=0,
            endAngle=360,
            color=strength,
            thickness=-1,
            lineType=cv2.LINE_AA,
            shift=SPECK_SHIFT,
        )

    def apply(image: Image.Image) -> Image.Image:
        return Image.fromarray((np.asarray(image) + layer[..., None]).clip(0, 255).astype(np.uint8))

    return apply


def _jpeg(*, quality: int) -> Filter:
    def apply(image: Image.Image) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return apply
