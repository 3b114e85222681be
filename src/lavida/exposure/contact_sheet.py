"""A picture of a few samples: masks in colour, what they are called beside them."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.export.drawing import MaskLayer, colours, font, shorten
from lavida.exposure.mixture import shrink
from lavida.exposure.sample import SegmentationSample
from lavida.files import atomic_file

COLUMNS = 3
PICTURE = (360, 270)  # largest width and height of a picture
TEXT = 300  # width of the words beside it
MARGIN, LINE, POINTS, MARK = 10, 17, 13, 15
MOST_LINES = 3  # of one expression
INK, FAINT, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


class ContactSheet:
    """Collects samples and writes them as one PNG; of a clip the frame with the most labelled pixels is shown.

    Each visible category has a colour and a number, in the picture and beside it. Names without a pixel follow in
    gray: those that are in the picture all the same, and those that are surely absent. Pixels without a label are
    dark.
    """

    def __init__(self) -> None:
        self._tiles: list[Image.Image] = []

    def __len__(self) -> int:
        return len(self._tiles)

    def add(self, split: str, sample: SegmentationSample) -> None:
        """Draw a sample; only the small drawing is kept."""
        self._tiles.append(_tile(split, sample))

    def save(self, path: Path) -> None:
        """Write the sheet.

        Raises:
            InputError: there is no sample on it, or the file cannot be written.
        """
        if not self._tiles:
            raise InputError(f"no sample to draw: {path} was not written; restore the data set")
        columns = min(COLUMNS, len(self._tiles))
        rows = -(-len(self._tiles) // columns)
        width, height = self._tiles[0].size
        sheet = Image.new("RGB", (columns * width, rows * height), PAPER)
        for index, tile in enumerate(self._tiles):
            row, column = divmod(index, columns)
            sheet.paste(tile, (column * width, row * height))
        with atomic_file(path) as partial:
            sheet.save(partial, format="PNG")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Lines beside the picture; `mark` is the number and colour of a mask."""

    text: str
    ink: tuple[int, int, int]
    mark: tuple[str, tuple[int, int, int]] | None = None
    indent: int = 0


def _tile(split: str, sample: SegmentationSample) -> Image.Image:
    small = shrink(sample, max_side=max(PICTURE))
    frame = int(np.argmax(sum((mask.sum(axis=(1, 2)) for mask in small.masks.values()), np.zeros(len(small.frames)))))
    areas = {name: int(mask[frame].sum()) for name, mask in small.masks.items()}
    seen = sorted((name for name, area in areas.items() if area), key=lambda name: -areas[name])
    tile = Image.new("RGB", (PICTURE[0] + TEXT + 3 * MARGIN, PICTURE[1] + LINE + 3 * MARGIN), PAPER)
    pen = ImageDraw.Draw(tile)
    length = f", frame {frame + 1} of {len(small.frames)}" if len(small.frames) > 1 else ""
    heading = shorten(f"{split}: {sample.key}{length}", length=80)
    pen.text((MARGIN, MARGIN), heading, font=font(POINTS), fill=FAINT)
    picture = _picture(small, frame, seen)
    top = 2 * MARGIN + LINE
    tile.paste(picture, (MARGIN, top))
    _write(pen, list(_entries(sample, seen)), left=2 * MARGIN + PICTURE[0], top=top, bottom=tile.height - MARGIN)
    return tile


def _picture(sample: SegmentationSample, frame: int, seen: list[str]) -> Image.Image:
    """The frame with its masks, the smallest on top, and the number of each."""
    image = sample.frames[frame].copy()
    if sample.ignore is not None:
        image[sample.ignore[frame]] //= 4
    layer = MaskLayer.of(
        [
            Mask.from_pixels(sample.masks[name][frame], frame=frame, category=name, score=order)
            for order, name in enumerate(seen)
        ],
        colours=colours(tuple(seen)),
        size=image.shape[:2],
    )
    if layer is not None:
        layer.draw(image)
    picture = Image.fromarray(image)
    picture.thumbnail(PICTURE)  # a picture higher than wide is still too high
    pen = ImageDraw.Draw(picture)
    places: list[np.ndarray] = []
    for number, (name, colour) in enumerate(colours(tuple(seen)).items(), start=1):
        place = _inside(sample.masks[name][frame]) * picture.width / image.shape[1]
        places.append(_free_place(place, places, size=picture.size))
        _mark(pen, str(number), colour, centre=places[-1])
    return picture


def _inside(mask: np.ndarray) -> np.ndarray:
    """The pixel [x, y] of the mask that is nearest to its middle."""
    pixels = np.argwhere(mask)[:, ::-1]  # [N, 2]
    return pixels[np.argmin(((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1))]


def _free_place(place: np.ndarray, taken: list[np.ndarray], *, size: tuple[int, int]) -> np.ndarray:
    """`place` [x, y] moved into the picture, and down from the marks that are there already, while there is room."""
    place = np.clip(place, MARK / 2, np.array(size) - 1 - MARK / 2)
    while any(np.abs(place - other).max() < MARK for other in taken) and place[1] + MARK < size[1]:
        place = place + (0, MARK)
    return place


def _mark(
    pen: ImageDraw.ImageDraw, number: str, colour: tuple[int, int, int], *, centre: Sequence[float] | np.ndarray
) -> None:
    x, y = centre
    half_width, half_height = max(MARK, 9 * len(number) + 4) / 2, MARK / 2
    pen.rectangle((x - half_width, y - half_height, x + half_width, y + half_height), fill=colour, outline=PAPER)
    light = sum(weight * part for weight, part in zip((0.3, 0.59, 0.11), colour, strict=True)) > 140
    pen.text((x, y), number, font=font(POINTS - 2), fill=INK if light else PAPER, anchor="mm")


def _entries(sample: SegmentationSample, seen: list[str]) -> Iterator[_Entry]:
    for number, (name, colour) in enumerate(colours(tuple(seen)).items(), start=1):
        yield _Entry(name, INK, mark=(str(number), colour))
        if more := sample.expressions.get(name):
            yield _Entry(f"also: {', '.join(more)}", FAINT, indent=MARK + MARGIN)
    if unseen := [name for name in sample.masks if name not in seen]:
        yield _Entry(f"there, without a mask: {', '.join(unseen)}", FAINT)
    if sample.out_of_view:
        yield _Entry(f"surely absent: {', '.join(sorted(sample.out_of_view))}", FAINT)
    if not sample.masks and not sample.out_of_view:
        yield _Entry("nothing of its classes", FAINT)


def _write(pen: ImageDraw.ImageDraw, entries: list[_Entry], *, left: int, top: int, bottom: int) -> None:
    """The entries below each other; what does not fit is counted on the last line."""
    dejavu = font(POINTS)
    for done, entry in enumerate(entries):
        indent = MARK + MARGIN if entry.mark else entry.indent
        letters = int((TEXT - indent) / dejavu.getlength("n"))
        drawable = entry.text.encode(errors="replace").decode()
        lines = textwrap.wrap(drawable, letters, max_lines=MOST_LINES, placeholder=" …") or ["?"]
        reserved = LINE if done + 1 < len(entries) else 0
        if top + len(lines) * LINE + reserved > bottom:
            pen.text((left, top), f"… and {len(entries) - done} more", font=dejavu, fill=FAINT)
            return
        if entry.mark:
            _mark(pen, *entry.mark, centre=(left + MARK / 2, top + LINE / 2))
        for line in lines:
            pen.text((left + indent, top), line, font=dejavu, fill=entry.ink)
            top += LINE
