"""Reading of picture, label and text files, with errors that name the file; what a data set remarks on its files."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from lavida.errors import InputError
from lavida.video.pixels import (
    BROKEN_IMAGE,
    EXIF_TURNS,
    MOST_FRAMES,
    ON_ITS_SIDE,
    Contrast,
    Header,
    check_sign,
    deep_values,
    flaw_of,
    header_of,
    measured,
    upright,
)

BYTE_ORDER_MARK = "\ufeff"
Parts = TypeVar("Parts", bound=tuple)  # what a split is made of

MOST_HEADERS = 1024  # looked at for pictures of 16 bits, where a set mixes them with others


@dataclass(frozen=True, slots=True)
class Remark:
    """One line for people.

    Attributes:
        text: what was found and where.
        wrong: whether a training would go wrong with it; else it is good to know.
    """

    text: str
    wrong: bool = False


def folder(path: Path, *, dataset: str, layout: str = "") -> Path:
    """`path` if it is a folder, else an `InputError` that names the data set and, if given, its layout."""
    if not path.is_dir():
        holds = f", which holds {layout}" if layout else ""
        raise InputError(f"{dataset} is incomplete: no folder {path}; give the data set's own folder as root{holds}")
    return path


def files_in(place: Path, suffix: str, *, pattern: str = "*") -> list[Path]:
    """The files of a folder with this suffix, in capitals or not, in order; hidden twins from archives are left out."""
    return [each for each in sorted(place.glob(pattern)) if each.suffix.lower() == suffix and each.name[0] != "."]


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


def of_split(splits: Mapping[str, Parts], split: str, *, dataset: str) -> Parts:
    """What `split` stands for, or an `InputError` that lists the splits there are."""
    if split not in splits:
        raise InputError(f"{dataset} has no split {split!r}; use one of: {', '.join(splits)}")
    return splits[split]


def read_header(path: Path) -> Header:
    """The header of a picture file. Raises InputError where the file is missing or no picture."""
    with _opened(path) as image:
        return header_of(image)


def read_picture(path: Path) -> np.ndarray:
    """The upright picture of a file: uint8 [H, W, 3], or of 16 bits uint16 [H, W] or [H, W, 3].

    Raises:
        InputError: the file is missing, is no picture, or has values that no fixed range holds.
    """
    with _opened(path) as image:
        header = header_of(image)
        if header.mode == "F":
            raise InputError(f"floating-point values have no fixed range: {path}; save the picture with 8 or 16 bits")
        if header.deep:
            return deep_values(image, header)
        check_sign(image)
        return upright(np.array(image.convert("RGB")), image, header)


def read_values(path: Path, mode: str | None) -> np.ndarray:
    """The upright values of a file, [H, W] or [H, W, C].

    Args:
        path: the file.
        mode: that of Pillow to convert to, or None for the values as they are stored.

    Raises:
        InputError: the file is missing or no picture.
    """
    with _opened(path) as image:
        header = header_of(image)
        return upright(np.array(image if mode is None else image.convert(mode)), image, header)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    try:
        # by its name, Pillow 13 maps an uncompressed gray TIFF into memory and scrambles one that lies on its side
        with path.open("rb") as file, Image.open(file) as image:
            yield image
    except FileNotFoundError:
        raise InputError(f"file is missing: {path}; restore the data set") from None
    except BROKEN_IMAGE as error:
        raise InputError(f"cannot read image: {path} ({flaw_of(error, path)}); restore the data set") from None


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
