"""Looks: other light, colour and camera quality, down to gray, coarse surveillance footage."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from lavida.exposure.sample import SegmentationSample

SPECK_SHIFT = 4  # OpenCV draws in fractions of a pixel: bits after the point
SPECK_UNIT = 2**SPECK_SHIFT
NOISE = np.random.default_rng(0).normal(size=256).astype(np.float32)

Filter = Callable[[Image.Image], Image.Image]


def degrade(segmented: SegmentationSample, *, rng: np.random.Generator) -> SegmentationSample:
    """Other light, colour and camera quality, one draw for all frames and their neighbours of a moment earlier."""
    look = _draw_look(segmented.frames.shape[1:3], rng)

    def each(frames: np.ndarray) -> np.ndarray:
        return np.stack([np.asarray(look(Image.fromarray(frame))) for frame in frames])

    before = None if segmented.before is None else each(segmented.before)
    return replace(segmented, frames=each(segmented.frames), before=before)


def _draw_look(size: tuple[int, int], rng: np.random.Generator) -> Filter:
    """Light, colour and camera quality; drawn once, applied to every frame."""
    filters: list[Filter] = [_draw_light(rng)]
    if rng.random() < 0.3:
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


def _draw_light(rng: np.random.Generator) -> Filter:
    """Saturation, then one curve a channel of gamma, contrast, brightness and tint."""
    saturation = float(rng.uniform(0.5, 1.5))
    gamma = float(np.exp(rng.uniform(-0.4, 0.4)))
    contrast, brightness = float(rng.uniform(0.6, 1.3)), float(rng.uniform(-0.1, 0.1))
    tint = rng.uniform(0.92, 1.08, size=(3, 1))
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
