"""What a figure shows of one video, and paper-like sheets in inches to draw it on."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import Truth
from lavida.files import atomic_file
from lavida.video.excerpt import read_frames
from lavida.video.source import Source, SourceInfo

PICTURE_WIDTH = 640  # pixels of a frame in a figure, at most
TALLEST = 1.3  # of a picture on a sheet, as a multiple of its width
MARGIN = 0.15  # inches
DPI = 150
SMALL, NORMAL, LARGE = 7.5, 8.5, 10.0  # points
FORMATS = (".png", ".pdf", ".svg")
COLOUR = str | tuple[float, float, float]  # as matplotlib takes it
BOX = tuple[float, float, float, float]  # left, top, width, height in inches from the top left corner


@dataclass(frozen=True, kw_only=True)
class Case:
    """One video of a figure."""

    title: str  # what it is called
    source: Source  # its frames, numbered as in `detection`
    detection: Detection  # what was found
    truth: Truth | None = None  # its annotation, None where there is none
    first: int = 0  # number in the annotation of frame 0 of `source`, which may be a part of the video

    def labels(self) -> NDArray[np.uint8] | None:
        """`[frames]`, 1 where abnormal; None without an annotation.

        Raises:
            InputError: the annotation is shorter than the video.
        """
        if self.truth is None:
            return None
        labels, frames = self.truth.labels(), self.first + len(self.detection.times)
        if len(labels) < frames:  # headers announce a few frames less than there are
            labels = self.truth.labels(frames)
        return labels[self.first : frames]

    def true_masks(self, frames: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
        """Annotated pixels `[H, W]` by frame; empty where nothing is annotated."""
        if self.truth is None:
            return {}
        masks = self.truth.masks(frame + self.first for frame in frames)
        return {frame - self.first: mask for frame, mask in masks.items()}

    def found_masks(self, frame: int) -> list[Mask]:
        """The masks found in one analysed frame."""
        return [mask for mask in self.detection.masks if mask.frame == frame]

    def pictures(self, frames: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
        """Pictures `[h, w, 3]` by frame, at most 640 pixels wide; black where a frame cannot be read."""
        wanted, size = list(frames), picture_size(self.source.info)
        read = read_frames(self.source, wanted, size=size)
        return {frame: read.get(frame, np.zeros((*size, 3), np.uint8)) for frame in wanted}


def picture_size(info: SourceInfo) -> tuple[int, int]:
    """(height, width) of a frame in a figure: its own, or less to be at most 640 pixels wide."""
    scale = min(1.0, PICTURE_WIDTH / info.width)
    return max(1, round(info.height * scale)), max(1, round(info.width * scale))


def proportion(height: int, width: int) -> float:
    """How high a picture of this size is drawn, as a multiple of the width."""
    return min(height / width, TALLEST)


class Sheet:
    """A white figure of a size in inches; all places are inches from its top left corner."""

    def __init__(self, *, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, box: BOX) -> Axes:
        left, top, width, height = box
        bottom = self.height - top - height
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def picture(self, image: NDArray[np.uint8], box: BOX, *, edge: COLOUR = "0.75", line: float = 0.6) -> Axes:
        """An RGB picture that fills its box, with a thin frame."""
        axes = self.axes(box)
        axes.imshow(image, aspect="auto", interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(edgecolor=edge, linewidth=line)
        return axes

    def write(self, text: str, left: float, top: float, *, size: float = NORMAL, **style: Any) -> Text:
        """Literal text; its baseline is at `top` unless the style says otherwise."""
        x, y = left / self.width, 1 - top / self.height
        return self.figure.text(x, y, text, fontsize=size, parse_math=False, **style)

    def save(self, path: Path) -> None:
        """Write PNG, PDF or SVG, as the name ends, in one step. Raises InputError if the file cannot be written."""
        with atomic_file(path) as partial, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the box in the picture says enough
            self.figure.savefig(partial, format=path.suffix[1:].lower())


def check_out(path: Path) -> None:
    """Raises InputError where a figure cannot go, before anything is analysed."""
    if path.suffix.lower() not in FORMATS or path.is_dir():
        raise InputError(f"--out {path} is no name for a picture; give one that ends in {', '.join(FORMATS)}")
