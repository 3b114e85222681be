"""What speaks against a training with files that can all be opened: labels that do not fit, odd pictures."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets.reading import GrayLevels, Remark, spread, wrong_size
from lavida.exposure.datasets.yolo_layout import PICTURES
from lavida.exposure.sample import SegmentationDataset
from lavida.timing import Progress
from lavida.video.pixels import ON_ITS_SIDE, Header

THREADS = min(8, 2 * (os.cpu_count() or 1))
BLOCK = 256  # files in flight: enough for slow disks, few enough to keep the bar moving
MOST_LABEL_IMAGES = 1000  # of a split that are decoded, for their values; label texts are all read
MOST_NAMES = 12  # in a line

Pair = tuple[Path, ...]  # a picture, and its label file where it has one


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening the files of a data set told.

    Attributes:
        headers: of the pictures and label images that can be read.
        spoiled: files that are missing or cannot be read.
    """

    headers: Mapping[Path, Header]
    spoiled: frozenset[Path]


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture, or of a label image."""
    return path.suffix.lower() in PICTURES or path.suffix.lower() in Image.registered_extensions()


def inspect(datasets: Mapping[str, SegmentationDataset], opened: Opened, *, progress: Progress) -> Iterator[Remark]:
    """Everything that is wrong or good to know, in no order of weight.

    Args:
        datasets: split -> the data set.
        opened: of all its files.
        progress: is told of the label files that have been read.
    """
    pairs = {split: list(each.pairs()) for split, each in datasets.items() if hasattr(each, "pairs")}
    every = list(chain.from_iterable(pairs.values())) or [(path,) for path in opened.headers]
    yield from _turns(every, opened.headers)
    yield from _sizes(every, opened.headers)
    levels = next((each.levels for each in datasets.values() if hasattr(each, "levels")), None)
    yield from _depths([pair[0] for pair in every], opened.headers, levels, paired=bool(pairs))
    yield from _shared({split: [pair[0] for pair in each] for split, each in pairs.items()})
    for dataset in datasets.values():
        if hasattr(dataset, "remarks"):
            yield from dataset.remarks()
    read = {
        split: (dataset.words, _labels_to_read(pairs[split], opened))
        for split, dataset in datasets.items()
        if split in pairs and hasattr(dataset, "words")
    }
    if not read:
        return
    count = sum(len(labels) for _, labels in read.values())
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress("reading labels", done, count)

    with ThreadPoolExecutor(max_workers=THREADS) as threads:
        for split, (words, labels) in read.items():
            vocabulary = datasets[split].vocabulary
            yield from _contents(split, vocabulary, words, labels, threads, advance, of=len(pairs[split]))


def _turns(pairs: Sequence[Pair], headers: Mapping[Path, Header]) -> Iterator[Remark]:
    """Pictures that EXIF data turn, and what is made of their labels."""
    turned = [pair for pair in pairs if pair[0] in headers and headers[pair[0]].orientation != 1]
    if not turned:
        return
    texts = any(not is_picture(labels) for _, *rest in turned for labels in rest)
    told = "; polygons are taken as drawn on the upright picture" if texts else ""
    yield Remark(f"turned as EXIF data says: {len(turned)} of {len(pairs)} pictures, first: {turned[0][0]}{told}")
    stored, doubtful = [], []
    for picture, *rest in turned:
        header = headers[picture]
        for labels in (labels for labels in rest if labels in headers):
            if _fits_stored(header, headers[labels]):
                stored.append(labels)
            elif (
                header.size == headers[labels].size
                and headers[labels].orientation == 1
                and (header.orientation < ON_ITS_SIDE or header.size[0] == header.size[1])
            ):
                doubtful.append(labels)
    if stored:
        yield Remark(f"drawn on the stored picture and turned with it: {len(stored)} label images, first: {stored[0]}")
    if doubtful:
        yield Remark(
            f"taken as drawn on the upright picture, though they would fit the stored one: {len(doubtful)} "
            f"label images, first: {doubtful[0]}; look at the drawing"
        )


def _fits_stored(picture: Header, labels: Header) -> bool:
    lies = picture.orientation >= ON_ITS_SIDE and picture.size[0] != picture.size[1]
    return lies and labels.orientation == 1 and labels.size == picture.size[::-1]


def _sizes(pairs: Iterable[Pair], headers: Mapping[Path, Header]) -> Iterator[Remark]:
    """Label images that fit their picture in no orientation."""
    for picture, *rest in pairs:
        for labels in (labels for labels in rest if picture in headers and labels in headers):
            header, drawn = headers[picture], headers[labels]
            if drawn.size != header.size and not _fits_stored(header, drawn):
                why = wrong_size(drawn.size, header.size, path=labels, orientation=header.orientation)
                yield Remark(why, wrong=True)


def _depths(
    pictures: Sequence[Path], headers: Mapping[Path, Header], levels: GrayLevels | None, *, paired: bool
) -> Iterator[Remark]:
    """Pictures of more than 8 bits; `paired` tells whether `pictures` are known to be no label images."""
    deep = [picture for picture in pictures if picture in headers and headers[picture].deep]
    if deep:
        count = f"16 bits: {len(deep)} of {len(pictures)} {'pictures' if paired else 'files'}, first: {deep[0]}"
        contrast = None if levels is None else levels.contrast
        if contrast is None or contrast.share == 1:
            yield Remark(f"{count}; pictures are shown over their whole range, 0 to 65535")
        else:
            used = f"{contrast.low} is black and {contrast.high} white ({contrast.share:.1%} of the range)"
            yield Remark(f"{count}; for all of them {used}")
    if paired:
        for picture in pictures:
            if picture in headers and headers[picture].mode == "F":
                yield Remark(f"floating-point values have no fixed range: {picture}; save 8 or 16 bits", wrong=True)


def _shared(pictures: Mapping[str, Sequence[Path]]) -> Iterator[Remark]:
    """Pictures that are held out and trained on."""
    if {"train", "heldout"} <= pictures.keys():
        trained = set(pictures["train"])
        both = [path for path in pictures["heldout"] if path in trained]
        if both:
            yield Remark(
                f"also in train: {len(both)} of {len(pictures['heldout'])} held-out pictures, first: {both[0]}"
            )


def _labels_to_read(pairs: Iterable[Pair], opened: Opened) -> list[Path]:
    """All label texts; of the label images as many as take no long time, evenly spread."""
    labels = dict.fromkeys(labels for _, *rest in pairs for labels in rest if labels not in opened.spoiled)
    images = [path for path in labels if path in opened.headers]
    return [path for path in labels if path not in opened.headers] + spread(images, MOST_LABEL_IMAGES)


def _contents(
    split: str,
    vocabulary: Sequence[str],
    words: Callable[[Path], set[str]],
    labels: Sequence[Path],
    threads: ThreadPoolExecutor,
    advance: Callable[[int], object],
    *,
    of: int,
) -> Iterator[Remark]:
    """What the labels show, by `words`, and what is wrong with them; `of` is the number of samples."""

    def attempt(path: Path) -> set[str] | InputError:
        try:
            return words(path)
        except InputError as error:
            return error

    shown: set[str] = set()
    empty, failed, remaining = [], 0, iter(labels)
    while block := list(islice(remaining, BLOCK)):
        for path, found in zip(block, threads.map(attempt, block), strict=True):
            if isinstance(found, InputError):
                failed += 1
                yield Remark(str(found), wrong=True)
            elif found:
                shown |= found
            else:
                empty.append(path)
        advance(len(block))
    where = split if len(labels) == of else f"{split} ({len(labels)} of {of} labels read)"
    if empty:
        nothing = len(empty) == len(labels)
        count = f"nothing is labelled in {len(empty)} of {len(labels)} label files"
        mend = "; export the labels again, or mend the list of classes" if nothing else ""
        yield Remark(f"{where}: {count}, first: {empty[0]}{mend}", wrong=nothing)
    if shown and (unused := [name for name in vocabulary if name not in shown]):
        yield Remark(f"{where}: no label shows {_listed(unused)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
