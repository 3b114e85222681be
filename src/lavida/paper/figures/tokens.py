"""Figure 6: what token compression does to a frame: local density, reverse-attention weight, kept tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import matplotlib
import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from numpy.typing import NDArray

from lavida.detector import Detector
from lavida.errors import InputError
from lavida.export.drawing import shorten
from lavida.paper.figures.sheet import LARGE, MARGIN, SMALL, Sheet, picture_size, proportion
from lavida.video.clips import analysis_size, clips
from lavida.video.excerpt import Excerpt, read_frames
from lavida.video.source import Source

_PICTURE, _GAP, _HEAD, _ROW, _BAR, _FOOT = 2.1, 0.07, 0.3, 0.22, 0.09, 0.3  # inches
_OPACITY, _DARK = 0.62, 0.22
_DENSITY, _EMPHASIS = "turbo", "coolwarm"  # warmer is higher; gray in the second is an even share
_ENDS = (2, 98)  # percentiles between which colours are spread: single extremes hide the rest
_HEADINGS = ("frame", "local density ρ", "reverse-attention weight", "kept tokens")


@dataclass(frozen=True)
class FrameTokens:
    """One frame and the tokens that it became."""

    picture: NDArray[np.uint8]  # `[H, W, 3]`
    density: NDArray[np.float32]  # `[h, w]`, rho on the tokens' own grid
    # `[h, w]`, the reverse-attention weight over an even share among the tokens that are merged with it: 1 for a
    # token that stays alone, more for one that differs from the background it is merged into
    emphasis: NDArray[np.float32]
    kept: NDArray[np.bool_]  # bool `[h, w]`
    kept_of: tuple[int, int]  # how many tokens of the whole clip are kept, and of how many
    caption: str  # video and time


def look(detector: Detector, source: Source, frames: Sequence[int], *, title: str, stride: int) -> list[FrameTokens]:
    """What compression does to the tokens of some frames, each seen in a clip that begins with it, as in detection.

    Raises:
        InputError: the source cannot be read.
    """
    config, info = detector.model.config, source.info
    size = analysis_size(info.width, info.height, long_side=config.frame_side, multiple=config.frame_multiple)
    seen = []
    for frame in frames:
        wanted = [frame + stride * step for step in range(config.clip_length)]
        clip = next(clips(Excerpt(source, wanted).read(stride=1, size=size), length=config.clip_length), None)
        if clip is None:
            raise InputError(f"frame {frame} cannot be read: {info.path}; choose another time with --at")
        first = int(clip.indices[0])
        with torch.inference_mode(), detector.torch.autocast():
            (tokens,) = detector.model.semantics.token_map(
                torch.from_numpy(clip.frames)[None].to(detector.torch.device)
            )
        of_first = FrameTokens(
            picture=read_frames(source, [first], size=picture_size(info))[first],
            density=tokens.density[0].float().cpu().numpy(),
            emphasis=(tokens.weight[0].float() * tokens.merged[0]).cpu().numpy(),
            kept=tokens.kept[0].cpu().numpy(),
            kept_of=(int(tokens.kept.sum()), tokens.kept.numel()),
            caption=f"{title}, {clip.times[0]:.1f} s",
        )
        seen.append(of_first)
    return seen


def draw_tokens(rows: Sequence[FrameTokens]) -> Sheet:
    """One row a frame; warmer colours are higher values, density on a logarithmic scale."""
    heights = [_PICTURE * proportion(*row.picture.shape[:2]) for row in rows]
    width = 4 * _PICTURE + 3 * _GAP + 2 * MARGIN
    sheet = Sheet(width=width, height=_HEAD + sum(heights) + len(rows) * _ROW + _FOOT + MARGIN)
    lefts = [MARGIN + column * (_PICTURE + _GAP) for column in range(4)]
    for left, heading in zip(lefts, _HEADINGS, strict=True):
        sheet.write(heading, left + _PICTURE / 2, _HEAD - 0.07, size=LARGE, ha="center")
    top = _HEAD
    for row, height in zip(rows, heights, strict=True):
        for left, image in zip(lefts, _pictures(row), strict=True):
            sheet.picture(image, (left, top, _PICTURE, height))
        sheet.write(shorten(row.caption, length=60), lefts[0], top + height + 0.13, size=SMALL, color="0.35")
        kept, count = row.kept_of
        said = f"{kept} of {count} tokens of the clip are kept"
        sheet.write(said, lefts[3] + _PICTURE, top + height + 0.13, size=SMALL, color="0.35", ha="right")
        top += height + _ROW
    _draw_scale(sheet, lefts[1], top + 0.06, _DENSITY, {0: "low", 1: "high"})
    _draw_scale(sheet, lefts[2], top + 0.06, _EMPHASIS, {0: "low", 0.5: "even share", 1: "high"})
    return sheet


def _pictures(row: FrameTokens) -> Iterator[NDArray[np.uint8]]:
    yield row.picture
    # identical patches are infinitely dense but for the small constant in Eq. 3: only a logarithm shows the others
    density = np.log10(np.maximum(row.density, 1e-12))
    low, high = np.percentile(density, _ENDS)
    yield _heated(row.picture, density, _DENSITY, at={low: 0, high: 1})
    emphasis = np.log2(np.maximum(row.emphasis, 1e-12))
    low, high = np.percentile(np.minimum(emphasis, 0), _ENDS[0]), np.percentile(np.maximum(emphasis, 0), _ENDS[1])
    yield _heated(row.picture, emphasis, _EMPHASIS, at={low: 0, high: 1, 0: 0.5})
    yield _kept(row.picture, row.kept)


def _heated(
    picture: NDArray[np.uint8], values: NDArray[np.float32], colours: str, *, at: Mapping[float, float]
) -> NDArray[np.uint8]:
    """The frame in gray below the values of its cells as colours; `at` says where on the scale some values lie."""
    known = sorted(at.items())
    spread = np.interp(values, [value for value, _ in known], [place for _, place in known])
    heat = matplotlib.colormaps[colours](_enlarged(spread, picture))[..., :3] * 255
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    return (_OPACITY * heat + (1 - _OPACITY) * gray).astype(np.uint8)


def _kept(picture: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The frame where tokens stay, hardly anything of it where they are merged into others."""
    shown = _enlarged(kept.astype(np.float32), picture)[..., None] > 0.5
    return np.where(shown, picture, (picture * _DARK).astype(np.uint8))


def _enlarged(cells: NDArray[np.number], picture: NDArray[np.uint8]) -> NDArray[np.number]:
    """`[h, w]` -> `[H, W]`: the tokens cut the whole frame into equal cells."""
    return cv2.resize(cells.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _draw_scale(sheet: Sheet, left: float, top: float, colours: str, ticks: Mapping[float, str]) -> None:
    axes = sheet.axes((left + _PICTURE / 4, top, _PICTURE / 2, _BAR))
    bar = sheet.figure.colorbar(ScalarMappable(cmap=colours), cax=axes, orientation="horizontal")
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.outline.set_linewidth(0.4)
    axes.tick_params(labelsize=SMALL, length=0)
