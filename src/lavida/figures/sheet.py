"""Paper-like sheets in inches, and saving them."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from lavida.errors import InputError

DPI = 150
SMALL, NORMAL, LARGE = 7.5, 8.5, 10.0  # points
FORMATS = (".png", ".pdf", ".svg")
BOX = tuple[float, float, float, float]  # left, top, width, height in inches from the top left corner


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

    def picture(self, image: NDArray[np.uint8], box: BOX, *, edge: str | tuple = "0.75", line: float = 0.6) -> Axes:
        """An RGB picture that fills its box, with a thin frame."""
        axes = self.axes(box)
        axes.imshow(image, aspect="auto", interpolation="antialiased")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(edgecolor=edge, linewidth=line)
        return axes

    def write(self, text: str, left: float, top: float, *, size: float = NORMAL, **style) -> Text:
        """Literal text; its baseline is at `top` unless the style says otherwise."""
        return self.figure.text(
            left / self.width, 1 - top / self.height, text, fontsize=size, parse_math=False, **style
        )

    def save(self, path: Path) -> None:
        """Write PNG, PDF or SVG, as the name ends, in one step.

        Raises:
            InputError: the file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
                partial = Path(folder) / path.name
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message="Glyph .* missing")  # the box in the picture says enough
                    self.figure.savefig(partial, format=path.suffix[1:].lower())
                os.replace(partial, path)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"cannot write: {path} ({reason}); make room there or choose another --out") from error


def check_out(path: Path) -> None:
    """Raises InputError where a figure cannot go, before anything is analysed."""
    if path.suffix.lower() not in FORMATS or path.is_dir():
        raise InputError(f"--out {path} is no name for a picture; give one that ends in {', '.join(FORMATS)}")
