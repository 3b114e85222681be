"""One stretch of gray levels for the pictures of 16 bits of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.picture_file import read_header, read_picture
from lavida.video.contrast import MOST_FRAMES, Contrast, measured

MOST_HEADERS = 1024  # looked at for pictures of 16 bits, where a set mixes them with others


class GrayLevels:
    """Which values of 16 bits are shown as black and as white, for a whole data set.

    It is measured when the first picture of 16 bits asks for it: a set of 8 bits never pays for it. The same files give
    the same stretch in every worker process; give the pictures of all splits, for a model must see held-out pictures
    as it saw those of the training.

    Args:
        pictures: gives every picture of the data set in a fixed order; those that cannot be read are passed over.
    """

    def __init__(self, pictures: Callable[[], Iterable[Path]]) -> None:
        self._pictures = pictures

    @cached_property
    def contrast(self) -> Contrast:
        """The stretch by up to 32 of the pictures of 16 bits, spread over all of them."""
        deep = [path for path in spread(list(self._pictures()), MOST_HEADERS) if _is_deep(path)]
        return measured(_values(spread(deep, MOST_FRAMES)))


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """Up to `most` of the paths, evenly spread from the first to the last, in order."""
    if len(paths) <= most:
        return list(paths)
    return [paths[index] for index in np.linspace(0, len(paths) - 1, most).round().astype(int)]


def _is_deep(path: Path) -> bool:
    try:
        return read_header(path).deep
    except InputError:  # named where its sample is read
        return False


def _values(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        try:
            values = read_picture(path)
        except InputError:  # named where its sample is read
            continue
        if values.dtype == np.uint16:
            yield values
