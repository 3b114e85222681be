"""A finding as a picture for TensorBoard: frame, truth and what was found, side by side over a caption."""

import math
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lavida.training.held_out import Finding

WIDTH, POINTS = 320, 13  # of one panel, of the caption's letters
TRUTH, FOUND = (0, 158, 115), (213, 94, 0)  # green and red that colour-blind people can tell apart
OPACITY = 0.5


def draw_finding(finding: Finding) -> np.ndarray:
    """uint8 `[h, 3 * WIDTH, 3]`; the caption gives the score and the categories, the present one in brackets."""
    panels = [finding.frame, _tinted(finding.frame, finding.truth, TRUTH), _tinted(finding.frame, finding.found, FOUND)]
    height = max(1, round(WIDTH * finding.frame.shape[0] / finding.frame.shape[1]))
    row = np.concatenate([np.asarray(Image.fromarray(panel).resize((WIDTH, height))) for panel in panels], 1)
    names = ", ".join(f"[{name}]" if name == finding.present else name for name in finding.categories)
    score = 1 / (1 + math.exp(-min(max(finding.logit, -30), 30)))
    return np.concatenate([row, _caption(f"score {score:.2f}: {names}", width=row.shape[1])])


def _tinted(frame: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    tinted = frame.copy()
    tinted[mask] = (1 - OPACITY) * frame[mask] + OPACITY * np.array(colour)
    return tinted


def _caption(text: str, *, width: int) -> np.ndarray:
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), POINTS)
    lines, room = [""], width - POINTS
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= room else [*lines, word]
    canvas = Image.new("RGB", (width, round(1.4 * POINTS * len(lines)) + POINTS))
    ImageDraw.Draw(canvas).multiline_text((POINTS // 2, POINTS // 2), "\n".join(lines), font=font)
    return np.asarray(canvas)
