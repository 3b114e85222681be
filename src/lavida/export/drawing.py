"""What is drawn on a frame: masks, the score bar, the label. All of it in place on uint8 RGB `[h, w, 3]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lavida.export.palette import shorten

if TYPE_CHECKING:
    from lavida.detection import Mask

Colour = tuple[int, int, int]

_FILL = 102  # opacity of a mask's inside, of 256
_QUIET: Colour = (150, 150, 150)
_WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class MaskLayer:
    """Masks of one frame, prepared once and then laid over every frame until the next analysed one.

    Attributes:
        rows, columns: the part of the picture that the masks touch.
        keep: uint16 `[h, w, 1]`, the share of the picture that stays, of 256.
        tint: uint8 `[h, w, 3]`, what is added to it.
    """

    rows: slice
    columns: slice
    keep: np.ndarray
    tint: np.ndarray

    @classmethod
    def of(cls, masks: Sequence[Mask], *, colours: dict[str, Colour], size: tuple[int, int]) -> MaskLayer | None:
        """Paint masks in ascending order of score; None when they cover nothing."""
        keep = np.full((*size, 1), 256, dtype=np.uint16)
        tint = np.zeros((*size, 3), dtype=np.uint8)
        for mask in sorted(masks, key=lambda mask: mask.score):
            pixels = _fit(mask.pixels, size)
            colour = np.array(colours[mask.category])
            outline = _outline(pixels, width=max(2, round(size[0] / 300)))
            keep[pixels], tint[pixels] = 256 - _FILL, colour * _FILL // 256
            keep[outline], tint[outline] = 0, colour
        touched = keep[..., 0] < 256
        if not touched.any():
            return None
        rows, columns = _extent(touched.any(axis=1)), _extent(touched.any(axis=0))
        return cls(rows, columns, keep[rows, columns], tint[rows, columns])

    def draw(self, image: np.ndarray) -> None:
        """Lay the masks over the picture."""
        part = image[self.rows, self.columns]
        mixed = part * self.keep  # uint8 * uint16 -> uint16; 255 * 256 still fits
        mixed >>= 8
        mixed += self.tint
        part[...] = mixed


def _extent(used: np.ndarray) -> slice:
    indices = np.flatnonzero(used)
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _fit(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp) for new, old in zip(size, pixels.shape, strict=True)
    )
    return pixels[rows[:, None], columns]


def _outline(pixels: np.ndarray, *, width: int) -> np.ndarray:
    inside = pixels
    for _ in range(width):
        padded = np.pad(inside, 1, mode="edge")  # no line where the mask runs out of the picture
        inside = inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return pixels & ~inside


def draw_score_bar(image: np.ndarray, *, score: float, threshold: float, colour: Colour | None) -> None:
    """Draw the score along the bottom edge: a bar in `colour` (None: gray), a white threshold mark."""
    height, width = image.shape[:2]
    bar = image[height - max(4, height // 36) :]
    bar[...] = bar // 4
    bar[1:, : round(score * width)] = _QUIET if colour is None else colour
    mark = min(round(threshold * width), width - 2)
    bar[:, mark : mark + 2] = _WHITE


class Label:
    """Text on a darkened plate in the top left corner, for frames of one size."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.height, self.width = size
        self.margin = max(2, self.height // 60)
        self.font = _font(int(np.clip(min(self.height // 20, self.width // 18), 10, 26)))
        ascent, descent = self.font.getmetrics()
        self.line = ascent + descent

    def draw(self, image: np.ndarray, *, category: str, rest: str, colour: Colour) -> None:
        """Write `category rest`, shortening the category to what the frame is wide enough for."""
        text = f"{_shorten_to(self.font, category, self._room(rest))} {rest}"
        swatch = self.line // 3
        right = self.margin * 4 + swatch + int(self.font.getlength(text)) + 1
        plate = image[self.margin : self.margin * 3 + self.line, self.margin : right]
        canvas = Image.fromarray(plate // 4)
        pen = ImageDraw.Draw(canvas)
        pen.rectangle((0, 0, swatch - 1, plate.shape[0]), fill=colour)
        pen.text((swatch + self.margin, self.margin), text, font=self.font, fill=_WHITE)
        plate[...] = np.asarray(canvas)

    def _room(self, rest: str) -> int:
        # widths of digits are equal in this font, so that the cut does not jump while the numbers run
        return self.width - self.margin * 5 - self.line // 3 - int(self.font.getlength(f" {rest}"))


@lru_cache(maxsize=8)
def _font(points: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), points)


@lru_cache(maxsize=256)
def _shorten_to(font: ImageFont.FreeTypeFont, text: str, room: int) -> str:
    length = min(len(text), max(room, 1))  # hardly a letter is narrower than a pixel
    while length > 1 and font.getlength(shorten(text, length=length)) > room:
        length -= 1
    return shorten(text, length=length)
