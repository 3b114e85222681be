"""Reading of image and label files, with errors that name the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets.gray_levels import GrayLevels
from lavida.exposure.datasets.picture_file import read_header, read_picture, read_values
from lavida.video.contrast import Contrast
from lavida.video.pixels import ON_ITS_SIDE
from lavida.video.turn import EXIF_TURNS

BYTE_ORDER_MARK = "\ufeff"


def folder(path: Path, *, dataset: str, layout: str = "") -> Path:
    """`path` if it is a folder, else an `InputError` that names the data set and, if given, its layout."""
    if not path.is_dir():
        holds = f", which holds {layout}" if layout else ""
        raise InputError(f"{dataset} is incomplete: no folder {path}; give the data set's own folder as root{holds}")
    return path


def read_rgb(path: Path, *, levels: GrayLevels | None = None) -> np.ndarray:
    """An image file as uint8 [H, W, 3], upright: turned as its EXIF data says.

    Args:
        path: the file.
        levels: of the data set, for pictures of 16 bits; None shows their whole range, 0 to 65535.
    """
    picture = read_picture(path)
    if picture.dtype == np.uint8:
        return picture
    shown = (Contrast() if levels is None else levels.contrast).eight_bit(picture)
    return shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)


def read_labels(path: Path) -> np.ndarray:
    """A label file with one grey value a pixel as uint8 [H, W]; a palette is turned into the grey of its colours.

    It is turned as its own EXIF data says.
    """
    return read_values(path, "L")


def read_indices(path: Path) -> np.ndarray:
    """A label file as the integers that it stores, [H, W] of uint8, uint16 or int32: a palette is not applied.

    It is turned as its own EXIF data says.

    Raises:
        InputError: the file is missing, not an image or holds colours instead of one value a pixel.
    """
    values = read_values(path, None)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise InputError(f"not one label value a pixel: {path}; give the label image, not a coloured picture of it")
    return values.astype(np.uint8) if values.dtype == bool else values


def read_text(path: Path, *, layout: str = "") -> str:
    """A text file in UTF-8, or in UTF-16 with a byte-order mark; such marks are left out.

    Raises:
        InputError: the file is missing or no text; names it and, if given, the data set's layout.
    """
    holds = f", which holds {layout}" if layout else ""
    try:
        return decoded(path.read_bytes())
    except OSError:
        raise InputError(f"file is missing: {path}; restore the data set{holds}") from None
    except UnicodeDecodeError:
        raise InputError(f"not a text file in UTF-8: {path}; restore the data set{holds}") from None


def decoded(content: bytes) -> str:
    """The text of a file; raises UnicodeDecodeError. Files that were joined have marks in their middle, too."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8").replace(BYTE_ORDER_MARK, "")


@contextmanager
def format_of(dataset: str, path: Path) -> Iterator[None]:
    """Turns the errors of a block that takes `path` apart into an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"not in the format of {dataset}: {path} ({reason}); restore the official file") from None


def matching(image: np.ndarray, labels: np.ndarray, *, path: Path, picture: Path | None = None) -> np.ndarray:
    """`labels` with the height and width of `image`.

    Args:
        image: [H, W, ...], upright.
        labels: [H, W], or [W, H] where they were drawn on the picture as it is stored, on its side: then they are
            turned with it. Labels that fit the upright picture are left as they are.
        path: the file of the labels, for errors.
        picture: the file of the image, which knows how it was turned.

    Raises:
        InputError: they fit neither way.
    """
    if image.shape[:2] == labels.shape:
        return labels
    orientation = 1 if picture is None else read_header(picture).orientation
    if orientation >= ON_ITS_SIDE and image.shape[1::-1] == labels.shape and not _turned_itself(path):
        return EXIF_TURNS[orientation].applied(labels)
    raise InputError(wrong_size(labels.shape, image.shape[:2], path=path, orientation=orientation))


def _turned_itself(labels: Path) -> bool:
    """Whether labels are an image that was turned by EXIF data of its own: nobody knows how it lies then."""
    return labels.suffix.lower() in Image.registered_extensions() and read_header(labels).orientation != 1


def wrong_size(labels: tuple[int, ...], image: tuple[int, ...], *, path: Path, orientation: int) -> str:
    """What is said of labels that do not fit their picture, and how to mend it."""
    turn = f", which EXIF data turn (orientation {orientation})," if orientation != 1 else ""
    cause = "draw them on the upright picture" if turn else "restore the data set"
    return f"labels of the wrong size: {path} has {labels} for an image of {image}{turn}; {cause}"


def of_split(splits: Mapping[str, tuple[str, ...]], split: str, *, dataset: str) -> tuple[str, ...]:
    """What `split` stands for, or an `InputError` that lists the splits there are."""
    if split not in splits:
        raise InputError(f"{dataset} has no split {split!r}; use one of: {', '.join(splits)}")
    return splits[split]
