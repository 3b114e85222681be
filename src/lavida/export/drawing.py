"""What is drawn on frames: masks in their category's colour, the score bar, the label; RGB uint8 `[h, w, 3]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lavida.detection import Mask, nearest
from lavida.errors import one_line

Colour = tuple[int, int, int]

# Okabe and Ito's palette, which colour-blind people can tell apart, with Paul Tol's wine in place of black.
# What stands out on footage comes first and the yellow, hard to see on white paper, last.
_PALETTE: tuple[Colour, ...] = (
    (213, 94, 0),
    (86, 180, 233),
    (0, 158, 115),
    (230, 159, 0),
    (204, 121, 167),
    (0, 114, 178),
    (136, 34, 85),
    (240, 228, 66),
)
TRUTH: Colour = (255, 46, 147)  # pink outlines of what is annotated

_FILL = 102  # opacity of a mask's inside, of 256
_QUIET: Colour = (150, 150, 150)
_WHITE: Colour = (255, 255, 255)


def colours(categories: Sequence[str]) -> dict[str, Colour]:
    """RGB in 0..255 by category, the same in all pictures; the palette repeats after eight."""
    return {category: _PALETTE[index % len(_PALETTE)] for index, category in enumerate(categories)}


def shorten(text: str, *, length: int) -> str:
    """A category or file name on one line of at most `length` characters."""
    line = one_line(text.encode(errors="replace").decode())  # a file name may be no valid text
    return line if len(line) <= length else line[: max(length - 1, 0)].rstrip() + "…"


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
    def of(cls, masks: Sequence[Mask], *, colours: Mapping[str, Colour], size: tuple[int, ...]) -> MaskLayer | None:
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
        rows, columns = (slice(int(used.min()), int(used.max()) + 1) for used in np.nonzero(touched))
        return cls(rows, columns, keep[rows, columns], tint[rows, columns])

    def draw(self, image: np.ndarray) -> None:
        """Lay the masks over the picture."""
        part = image[self.rows, self.columns]
        mixed = part * self.keep  # uint8 * uint16 -> uint16; 255 * 256 still fits
        mixed >>= 8
        mixed += self.tint
        part[...] = mixed


def _fit(pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
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


def paint(
    picture: NDArray[np.uint8],
    *,
    found: Sequence[Mask] = (),
    colours: Mapping[str, Colour],
    true: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """A copy of the picture `[h, w, 3]`: `found` tinted and outlined in the category's colour, `true` outlined in pink.

    The masks may have any size.
    """
    painted = picture.copy()
    layer = MaskLayer.of(found, colours=colours, size=painted.shape[:2])
    if layer is not None:
        layer.draw(painted)
    if true is not None:
        fitted = nearest(true, painted.shape[:2]).astype(np.uint8)
        borders, _ = cv2.findContours(fitted, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(painted, borders, -1, TRUTH, max(2, round(painted.shape[0] / 160)), cv2.LINE_AA)
    return painted


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
        self.font = font(int(np.clip(min(self.height // 20, self.width // 18), 10, 26)))
        ascent, descent = self.font.getmetrics()
        self.line = ascent + descent

    def draw(self, image: np.ndarray, *, category: str, rest: str, colour: Colour) -> None:
        """Write `category rest`, shortening the category to what the frame is wide enough for."""
        swatch = self.line // 3
        # widths of digits are equal in this font, so that the cut does not jump while the numbers run
        room = self.width - self.margin * 5 - swatch - int(self.font.getlength(f" {rest}"))
        text = f"{_shorten_to(self.font, category, room)} {rest}"
        right = self.margin * 4 + swatch + int(self.font.getlength(text)) + 1
        plate = image[self.margin : self.margin * 3 + self.line, self.margin : right]
        canvas = Image.fromarray(plate // 4)
        pen = ImageDraw.Draw(canvas)
        pen.rectangle((0, 0, swatch - 1, plate.shape[0]), fill=colour)
        pen.text((swatch + self.margin, self.margin), text, font=self.font, fill=_WHITE)
        plate[...] = np.asarray(canvas)


@lru_cache(maxsize=8)
def font(points: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with the package: the same letters everywhere."""
    return ImageFont.truetype(Path(__file__).with_name("fonts") / "DejaVuSans.ttf", points)


@lru_cache(maxsize=256)
def _shorten_to(font: ImageFont.FreeTypeFont, text: str, room: int) -> str:
    length = min(len(text), max(room, 1))  # hardly a letter is narrower than a pixel
    while length > 1 and font.getlength(shorten(text, length=length)) > room:
        length -= 1
    return shorten(text, length=length)
