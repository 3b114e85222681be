"""Reading of image and label files, with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lavida.errors import InputError


def folder(path: Path, *, dataset: str, layout: str = "") -> Path:
    """`path` if it is a folder, else an `InputError` that names the data set and, if given, its layout."""
    if not path.is_dir():
        holds = f", which holds {layout}" if layout else ""
        raise InputError(f"{dataset} is incomplete: no folder {path}; give the data set's own folder as root{holds}")
    return path


def read_rgb(path: Path) -> np.ndarray:
    """An image file as uint8 [H, W, 3]."""
    return _read(path, "RGB")


def read_labels(path: Path) -> np.ndarray:
    """A label file with one grey value a pixel as uint8 [H, W]; a palette is turned into the grey of its colours."""
    return _read(path, "L")


def read_indices(path: Path) -> np.ndarray:
    """A label file as the integers that it stores, [H, W] of uint8, uint16 or int32: a palette is not applied.

    Raises:
        InputError: the file is missing, not an image or holds colours instead of one value a pixel.
    """
    values = _read(path, None)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise InputError(f"not one label value a pixel: {path}; give the label image, not a coloured picture of it")
    return values.astype(np.uint8) if values.dtype == bool else values


def _read(path: Path, mode: str | None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image if mode is None else image.convert(mode))
    except FileNotFoundError:
        raise InputError(f"file is missing: {path}; restore the data set") from None
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"cannot read image: {path} ({error}); restore the data set") from None


def read_text(path: Path, *, layout: str = "") -> str:
    """A text file, or an `InputError` that names it and, if given, the data set's layout."""
    holds = f", which holds {layout}" if layout else ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise InputError(f"file is missing: {path}; restore the data set{holds}") from None
    except UnicodeDecodeError:
        raise InputError(f"not a text file: {path}; restore the data set{holds}") from None


@contextmanager
def format_of(dataset: str, path: Path) -> Iterator[None]:
    """Turns the errors of a block that takes `path` apart into an `InputError` that names it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"not in the format of {dataset}: {path} ({reason}); restore the official file") from None


def matching(image: np.ndarray, labels: np.ndarray, *, path: Path) -> np.ndarray:
    """`labels` if they have the height and width of `image`, else an `InputError`."""
    if image.shape[:2] != labels.shape:
        sizes = f"{labels.shape} for an image of {image.shape[:2]}"
        raise InputError(f"labels of the wrong size: {path} has {sizes}; restore the data set")
    return labels


def of_split(splits: Mapping[str, tuple[str, ...]], split: str, *, dataset: str) -> tuple[str, ...]:
    """What `split` stands for, or an `InputError` that lists the splits there are."""
    if split not in splits:
        raise InputError(f"{dataset} has no split {split!r}; use one of: {', '.join(splits)}")
    return splits[split]
