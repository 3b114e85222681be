"""Views: other framing of a sample, some without one of its objects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from lavida.exposure.looks import degrade
from lavida.exposure.mentions import says_where
from lavida.exposure.sample import SegmentationSample

SLIVER = 0.001  # part of the picture under which a class is neither taught nor denied
DROP_SHARE = 0.25  # part of the views that are chosen to lose a class: the same scene without the object
DROP_ZOOM = (1.2, 4.0)
DROP_TRIES = 8
EDGE = 0.02  # part of the view beyond its border in which a class still counts as near


def augment(
    segmented: SegmentationSample,
    *,
    size: int | tuple[int, int],
    rng: np.random.Generator,
    scale: tuple[float, float] = (0.35, 2.0),
    drop_share: float = DROP_SHARE,
) -> SegmentationSample:
    """A random view of a sample with a random look: `reframe`, then `degrade`."""
    return degrade(reframe(segmented, size=size, rng=rng, scale=scale, drop_share=drop_share), rng=rng)


def reframe(
    segmented: SegmentationSample,
    *,
    size: int | tuple[int, int],
    rng: np.random.Generator,
    scale: tuple[float, float] = (0.35, 2.0),
    drop_share: float = DROP_SHARE,
) -> SegmentationSample:
    """A random view of a sample; the same for all frames of a clip.

    A class out of the view is no longer listed: it may be asked for and is not there. A class just beside the
    view, or that covers less than `SLIVER` of it, stays listed with an empty mask, and so does a `partial` one.

    Args:
        segmented: the sample, T frames of any size.
        size: (H, W) of the result, or one number for both.
        rng: source of every choice.
        scale: range of the zoom; 1 fills the result with the largest view of its aspect, less leaves a border
            (gray and ignored above and below, the same or mirrored at the sides), more shows a part. Half of
            the views are at most 1.
        drop_share: part of the views that zoom in until a class of the sample is out of sight, where that is possible.
    """
    shape = (size, size) if isinstance(size, int) else size
    view = _View.draw(segmented.frames.shape[1:3], shape, scale, rng)
    if rng.random() < drop_share:
        view = _view_without(segmented, shape, rng) or view
    if _tells_left_from_right(segmented):
        view = view.unmirrored()
    return _seen(segmented, view, least=SLIVER)


def stretched(segmented: SegmentationSample, *, size: tuple[int, int]) -> SegmentationSample:
    """The whole of a sample, stretched to `size` (H, W); what has a pixel there is shown."""
    return _seen(segmented, _View.whole(segmented.frames.shape[1:3], size), least=0.0)


def _seen(segmented: SegmentationSample, view: _View, *, least: float) -> SegmentationSample:
    """A sample through a view; a class that covers less than the part `least` of it has an empty mask."""
    height, width = view.rows.length, view.columns.length
    frames = np.stack([np.asarray(view.picture(frame)) for frame in segmented.frames])  # [T, H, W, 3]
    masks = {
        name: view.mask(mask) if mask.any() else np.zeros((len(mask), height, width), bool)
        for name, mask in segmented.masks.items()
        if not mask.any() or view.shows(mask) or name in segmented.partial
    }
    for name, mask in masks.items():
        if np.count_nonzero(mask, axis=(1, 2)).max() < least * height * width:
            masks[name] = np.zeros_like(mask)
    ignore = None if segmented.ignore is None else view.mask(segmented.ignore)
    outside = view.outside()
    if outside is not None:
        ignore = np.repeat(outside[None], len(frames), 0) if ignore is None else ignore | outside
    out_of_view = segmented.out_of_view | (frozenset(segmented.masks) - frozenset(masks))
    counts = {
        name: count
        for name, count in segmented.counts.items()
        if name in masks and view.shows_once(segmented.masks[name])
    }
    return replace(segmented, frames=frames, masks=masks, ignore=ignore, out_of_view=out_of_view, counts=counts)


def _tells_left_from_right(segmented: SegmentationSample) -> bool:
    """Whether a text of the sample would be wrong in a mirror."""
    texts = (text for said in segmented.expressions.values() for text in said)
    return any(says_where(text) for text in (*segmented.masks, *texts))


def _view_without(segmented: SegmentationSample, size: tuple[int, int], rng: np.random.Generator) -> _View | None:
    """A view in which some class of the sample is out of sight; None if a few tries find none."""
    shown = [mask for name, mask in segmented.masks.items() if mask.any() and name not in segmented.partial]
    for _ in range(DROP_TRIES):
        view = _View.draw(segmented.frames.shape[1:3], size, DROP_ZOOM, rng)
        if not all(view.shows(mask) for mask in shown):
            return view
    return None


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of a view: output pixel i shows source position start + (i + .5) * step."""

    start: float
    step: float
    length: int  # of the result
    source: int  # of the picture
    flipped: bool

    def positions(self) -> np.ndarray:
        """Source pixel of each output pixel; outside the picture the count goes on."""
        positions = np.floor(self.start + (np.arange(self.length) + 0.5) * self.step).astype(np.intp)
        return positions[::-1] if self.flipped else positions

    def beyond(self) -> np.ndarray:
        """Which output pixels lie outside the picture."""
        positions = self.positions()
        return (positions < 0) | (positions >= self.source)

    def inside(self) -> tuple[float, float, int, int]:
        """The part of the picture in the view (low, high), and its first output pixel and length."""
        low, high = max(0.0, self.start), min(float(self.source), self.start + self.step * self.length)
        length = max(1, round((high - low) / self.step))
        before = min(round((low - self.start) / self.step), self.length - length)
        return low, high, self.length - before - length if self.flipped else before, length

    def span(self, margin: float = 0.0) -> tuple[int, int]:
        """First and last + 1 source pixel of the view, `margin` of it added at both ends."""
        extent = self.step * self.length
        low = max(0, int(np.floor(self.start - margin * extent)))
        return low, min(self.source, int(np.ceil(self.start + (1 + margin) * extent)))


@dataclass(frozen=True, slots=True)
class _View:
    """A window on the picture, possibly larger than it."""

    rows: _Axis
    columns: _Axis
    gray: int  # colour of what lies outside
    mirrored: bool  # the sides show the picture again, mirrored

    @classmethod
    def draw(
        cls, source: tuple[int, int], size: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator
    ) -> _View:
        """A window of random zoom, aspect and place."""
        low, high = scale
        middle = min(max(1.0, low), high)
        ends = (low, middle) if rng.random() < 0.5 else (middle, high)
        zoom = float(np.exp(rng.uniform(*np.log(ends))))
        stretch = float(np.exp(rng.uniform(-0.18, 0.18)))
        step = min(source[0] / size[0], source[1] / size[1]) / zoom
        flipped = (False, bool(rng.random() < 0.5))
        axes = []
        for i, one_step in enumerate((step * stretch**0.5, step / stretch**0.5)):
            free = source[i] - one_step * size[i]
            axes.append(_Axis(float(rng.uniform(0, 1)) * free, one_step, size[i], source[i], flipped[i]))
        return cls(axes[0], axes[1], int(rng.integers(0, 256)), bool(rng.random() < 0.5))

    @classmethod
    def whole(cls, source: tuple[int, int], size: tuple[int, int]) -> _View:
        """All of the picture and nothing else."""
        rows, columns = (_Axis(0.0, source[i] / size[i], size[i], source[i], flipped=False) for i in range(2))
        return cls(rows, columns, gray=0, mirrored=False)

    def unmirrored(self) -> _View:
        """The same view the right way round, with nothing mirrored at its sides."""
        return replace(self, columns=replace(self.columns, flipped=False), mirrored=False)

    def shows(self, mask: np.ndarray) -> bool:
        """Whether anything of a mask [T, H, W] is in or just beside the view."""
        (top, bottom), (left, right) = self.rows.span(EDGE), self.columns.span(EDGE)
        return bool(mask[:, top:bottom, left:right].any())

    def shows_once(self, mask: np.ndarray) -> bool:
        """Whether all of a mask [T, H, W] is in the view, and not once more in its mirrored sides."""
        (top, bottom), (left, right) = self.rows.span(), self.columns.span()
        whole = np.count_nonzero(mask[:, top:bottom, left:right]) == np.count_nonzero(mask)
        return whole and not (self.mirrored and bool(self.columns.beyond().any()))

    def outside(self) -> np.ndarray | None:
        """bool [H, W]: what lies beyond the picture and carries no label; None if nothing does."""
        above, beside = self.rows.beyond(), self.columns.beyond() & (not self.mirrored)
        return above[:, None] | beside[None, :] if above.any() or beside.any() else None

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A mask [T, H, W] through the view, by nearest pixel."""
        rows = self.rows.positions().clip(0, self.rows.source - 1)
        columns = _mirrored(self.columns.positions(), self.columns.source)
        seen = mask.take(rows, axis=1).take(columns, axis=2)
        outside = self.outside()
        return seen if outside is None else seen & ~outside

    def picture(self, frame: np.ndarray) -> Image.Image:
        """A frame [H, W, 3] through the view, smoothly resized."""
        top, bottom, first_row, rows = self.rows.inside()
        left, right, first_column, columns = self.columns.inside()
        image = Image.fromarray(frame)
        image = image.resize((columns, rows), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        if self.columns.flipped:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.mirrored and columns < self.columns.length:
            column_of = _mirrored(np.arange(self.columns.length) - first_column, columns)
            image, first_column = Image.fromarray(np.asarray(image)[:, column_of]), 0
        if image.size == (self.columns.length, self.rows.length):
            return image
        canvas = Image.new("RGB", (self.columns.length, self.rows.length), (self.gray,) * 3)
        canvas.paste(image, (first_column, first_row))
        return canvas


def _mirrored(positions: np.ndarray, length: int) -> np.ndarray:
    """Positions beyond 0..length-1 mirrored back at the edges."""
    folded = positions % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
