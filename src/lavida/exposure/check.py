"""Checks a data set on disk: is all of it there, can it be opened, do its samples have the right form."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from lavida.checking import Count
from lavida.errors import InputError, one_line
from lavida.exposure.inspection import BLOCK, THREADS, Opened, inspect, is_picture
from lavida.exposure.sample import SegmentationDataset, SegmentationSample
from lavida.timing import Progress, untold
from lavida.video.pixels import Header, flaw_of, header_of

TAIL = 1024  # where the end marker of a JPEG is looked for
JPEG_END = b"\xff\xd9"
MISSING = "missing"


@runtime_checkable
class CheckedDataset(SegmentationDataset, Protocol):
    """A data set that knows what it should consist of.

    It may tell more: `pairs() -> Iterator[tuple[Path, ...]]`, each picture and its label file, where it has one;
    beside that `words(labels: Path) -> set[str]`, what a label file shows (raises InputError where it cannot be used);
    `remarks() -> Iterator[Remark]`, what else there is to say of its files; `empty_labels`, whether a label file
    without a byte says that nothing is shown: others are damaged if they are empty.

    Attributes:
        layout: what its folder holds, on one line for people.
        expected: split -> unit, such as "images" -> official count; units that nobody is sure of are left out.
    """

    layout: str
    expected: Mapping[str, Mapping[str, int]]

    def counts(self) -> dict[str, int]:
        """What was found, in the units of `expected`, from listings alone."""
        ...

    def files(self) -> Iterator[Path]:
        """Every image and label file that the samples read, whether it exists or not."""
        ...


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that cannot be used: a file by its path or a sample by its name, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found out about a data set.

    Attributes:
        counts: one entry for each split and unit.
        files: how many files the samples read.
        missing: files that are not there.
        unreadable: files that are there but cannot be opened.
        wrong: what a training would go wrong with, though every file can be opened; how to mend it at the end of each.
        notes: what is good to know.
        looked: how many samples were read.
        refused: samples that could not be read, or have the wrong form.
    """

    dataset: str
    layout: str
    counts: tuple[Count, ...]
    files: int
    missing: tuple[Path, ...]
    unreadable: tuple[Flaw, ...]
    wrong: tuple[str, ...]
    notes: tuple[str, ...]
    looked: int
    refused: tuple[Flaw, ...]

    @property
    def problem(self) -> str | None:
        """What is wrong and how to mend it, on one line; None where the data set is complete."""
        parts = []
        if self.missing:
            parts.append(f"{_number(len(self.missing), 'file')} missing of {self.files}, first: {self.missing[0]}")
        if self.unreadable:
            parts.append(f"{_number(len(self.unreadable), 'file')} unreadable, first: {_said(self.unreadable[0])}")
        if self.wrong:
            if not parts:
                return self.wrong[0] if len(self.wrong) == 1 else f"{len(self.wrong)} faults, first: {self.wrong[0]}"
            parts.append(f"{_number(len(self.wrong), 'fault')}, first: {self.wrong[0].partition('; ')[0]}")
        if self.refused and not parts:  # else the files are the reason, most likely
            refused = f"{len(self.refused)} of {_number(self.looked, 'sample')} refused"
            parts.append(f"{refused}, first: {_said(self.refused[0])}")
        if parts:
            return f"{', '.join(parts)}; restore what is named"
        differing = [
            f"{count.split} has {count.found} {count.unit} instead of {count.expected}"
            for count in self.counts
            if count.differs
        ]
        return f"{', '.join(differing)}; compare the folder with its layout: {self.layout}" if differing else None


def check(
    datasets: Mapping[str, SegmentationDataset],
    *,
    samples: int = 0,
    look: Callable[[str, SegmentationSample], object] = lambda split, sample: None,
    progress: Progress = untold,
) -> CheckReport:
    """Compare counts, open every file, look into the labels and read a few samples.

    Args:
        datasets: split -> the same data set with that split; at least one.
        samples: how many samples to read, spread evenly over the splits.
        look: is given the split and the sample of each that could be read, in order.
        progress: is told of the files that have been opened, then of the label files that have been read.

    Raises:
        InputError: the data set does not say what it consists of.
    """
    name, checked = _checked(datasets)
    counts = tuple(count for split, dataset in checked.items() for count in _counts(split, dataset))
    paths = list(dict.fromkeys(path for dataset in checked.values() for path in dataset.files()))
    missing, unreadable, headers = _open_all(
        paths,
        lambda done: progress(f"{name}: looking at files", done, len(paths)),
        may_be_empty=any(getattr(dataset, "empty_labels", False) for dataset in checked.values()),
    )
    spoiled = frozenset((*missing, *(Path(flaw.where) for flaw in unreadable)))
    remarks = dict.fromkeys(inspect(datasets, Opened(headers, spoiled), progress=progress))  # splits may say the same
    looked, refused = 0, []
    for split, index in _spread({split: len(dataset) for split, dataset in checked.items()}, samples):
        looked += 1
        try:
            sample = datasets[split][index]
        except InputError as error:
            refused.append(Flaw(f"{split} sample {index}", str(error)))
            continue
        if why := malformed(sample, dataset=name):
            refused.append(Flaw(f"{split} sample {index} ({sample.key})", why))
        else:
            look(split, sample)
    layout = next(iter(checked.values())).layout
    return CheckReport(
        dataset=name,
        layout=layout,
        counts=counts,
        files=len(paths),
        missing=missing,
        unreadable=unreadable,
        wrong=tuple(remark.text for remark in remarks if remark.wrong),
        notes=tuple(remark.text for remark in remarks if not remark.wrong),
        looked=looked,
        refused=tuple(refused),
    )


def _checked(datasets: Mapping[str, SegmentationDataset]) -> tuple[str, dict[str, CheckedDataset]]:
    checked = {}
    for split, dataset in datasets.items():
        if not isinstance(dataset, CheckedDataset):
            parts = ("name", "vocabulary", "layout", "expected", "counts", "files")
            lacks = [part for part in parts if not hasattr(dataset, part)]
            raise InputError(f"the data set {type(dataset).__name__} has no {', no '.join(lacks)}; add it to its class")
        checked[split] = dataset
    return next(iter(checked.values())).name, checked


def _counts(split: str, dataset: CheckedDataset) -> Iterator[Count]:
    found, expected = dataset.counts(), dataset.expected.get(split, {})
    for unit in dict.fromkeys((*expected, *found)):
        yield Count(split, unit, found.get(unit, 0), expected.get(unit))


def _open_all(
    paths: list[Path], opened: Callable[[int], object], *, may_be_empty: bool
) -> tuple[tuple[Path, ...], tuple[Flaw, ...], Mapping[Path, Header]]:
    """Missing files and unreadable ones, both in the order of `paths`, and the headers of the other pictures."""
    missing, unreadable, headers = [], [], {}
    remaining, done = iter(paths), 0
    look = partial(_opened, may_be_empty=may_be_empty)
    with ThreadPoolExecutor(max_workers=THREADS) as threads:
        while block := list(islice(remaining, BLOCK)):
            for path, (why, header) in zip(block, threads.map(look, block), strict=True):
                if why == MISSING:
                    missing.append(path)
                elif why is not None:
                    unreadable.append(Flaw(str(path), why))
                elif header is not None:
                    headers[path] = header
            done += len(block)
            opened(done)
    return tuple(missing), tuple(unreadable), headers


def _opened(path: Path, *, may_be_empty: bool) -> tuple[str | None, Header | None]:
    """Why a file cannot be used, or None; the header of a picture that can.

    A picture is opened and, as far as its format tells, known to be whole.
    """
    try:
        if not is_picture(path):
            with path.open("rb") as file:
                return None if file.read(1) or may_be_empty else "empty", None
        with Image.open(path) as image:
            header = header_of(image)
        with Image.open(path) as image:
            image.verify()  # PNG: every checksum; JPEG: the header only
            cut = image.format == "JPEG" and not _has_end(path)
        if cut:  # or there is more behind the end than was looked at: only decoding tells
            with Image.open(path) as image:
                image.load()
    except FileNotFoundError:
        return MISSING, None
    except Exception as error:  # a damaged picture can raise nearly anything
        return one_line(flaw_of(error, path)).replace(str(path), path.name), None
    return None, header


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return JPEG_END in file.read()


def _spread(lengths: Mapping[str, int], samples: int) -> Iterable[tuple[str, int]]:
    """Split and index of samples, evenly spread over each split; the splits share them as evenly as they can."""
    left = samples
    for done, (split, length) in enumerate(lengths.items()):
        share = min(length, -(-left // (len(lengths) - done)))
        left -= share
        for index in np.linspace(0, length - 1, share).round().astype(int).tolist():
            yield split, index


def malformed(sample: SegmentationSample, *, dataset: str) -> str | None:
    """What breaks the contract of `SegmentationSample`, or None."""
    frames = sample.frames
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        return f"its frames are {frames.dtype} {list(frames.shape)}, not uint8 [T, H, W, 3]"
    if sample.dataset != dataset:
        return f"its dataset is {sample.dataset!r}, not {dataset!r}"
    planes = {f"the mask of {name!r}": mask for name, mask in sample.masks.items()}
    if sample.ignore is not None:
        planes["its ignore"] = sample.ignore
    for what, plane in planes.items():
        if plane.dtype != bool or plane.shape != frames.shape[:3]:
            return f"{what} is {plane.dtype} {list(plane.shape)}, not bool {list(frames.shape[:3])}"
    for name in (*sample.masks, *sample.out_of_view):
        if not name.strip():
            return "one of its names is empty"
    if both := sample.out_of_view & sample.masks.keys():
        return f"{min(both)!r} is both in the picture and out of view"
    return None


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _said(flaw: Flaw) -> str:
    return f"{flaw.where} ({flaw.why.partition('; ')[0]})"
