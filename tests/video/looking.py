"""What the tests ask of frames."""

import numpy as np

from lavida.video.decode import Frame, Source


def levels(frames: list[Frame]) -> list[int]:
    return [round(float(frame.image.mean())) for frame in frames if frame.image is not None]


def selected(frames: list[Frame]) -> list[int]:
    return [frame.index for frame in frames if frame.image is not None]


def read(source: Source, stride: int = 1, size: tuple[int, int] | None = None) -> list[Frame]:
    return list(source.read(stride=stride, size=size))


def times_of(source: Source) -> list[float]:
    return [frame.time_s for frame in read(source, 50)]


def bright_corner(image: np.ndarray) -> tuple[str, str]:
    bright = image.mean(axis=2) > 150
    rows, columns = np.nonzero(bright)
    vertical = "top" if rows.mean() < image.shape[0] / 2 else "bottom"
    return vertical, "left" if columns.mean() < image.shape[1] / 2 else "right"
