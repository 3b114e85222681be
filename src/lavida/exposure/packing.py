"""Packs the sets of a recipe into one file: pictures, their masks without loss, names and splits in one list.

`lavida data pack` writes it, and `data.root=FILE` reads it (`exposure/datasets/packed.py`). A pack holds samples, not
files: what the readers make of labels, boxes and polygons, at the size that training sees (`data.max_side`). Pictures
are WebP, which at the same size is nearer to the picture than JPEG by 2 dB, masks are WebP without loss.
"""

import io
import json
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets import load
from lavida.exposure.datasets.packed import FORMAT, INDEX, LABELS, NO_LABEL, OUT_OF_VIEW, PICTURE, entry_name
from lavida.exposure.mixture import shrink
from lavida.exposure.sample import SegmentationDataset, SegmentationSample
from lavida.files import atomic_file
from lavida.timing import Progress, untold

MOST_BYTES = 60_000_000
QUALITIES = range(20, 91)  # of the pictures; the highest that leaves room is taken
TRIED = 40  # every so many pictures tell how large all will be
MARGIN = 0.96  # of the room, for what those pictures do not tell
OVERHEAD = 300  # bytes of a sample in the headers of the file


@dataclass(frozen=True, slots=True)
class PackedSet:
    """One data set of a recipe: `name` of its reader, its folder below the root, split, and whether clips are drawn."""

    name: str
    folder: str
    split: str
    clips: bool = False


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What was written: number of samples, bytes of the file, quality of its pictures."""

    samples: int
    size: int
    quality: int


def pack(
    sets: Sequence[PackedSet],
    *,
    root: Path,
    out: Path,
    max_side: int,
    most_bytes: int = MOST_BYTES,
    progress: Progress = untold,
) -> PackSummary:
    """Write the sets into one file at the best quality that fits.

    Args:
        sets: what to pack; the same one twice is packed once.
        root: folder that holds theirs.
        out: file to write.
        max_side: longer pictures are reduced to this many pixels.
        most_bytes: size of the file.
        progress: is told of every sample that has been packed.

    Raises:
        InputError: a set is not there or damaged, the file cannot be written, or does not fit at any quality.
    """
    opened = [(each, _open(each, root)) for each in dict.fromkeys(sets)]
    quality = _quality(opened, max_side=max_side, most_bytes=most_bytes)
    done, count = 0, sum(len(dataset) for _, dataset in opened)
    entries: list[dict[str, Any]] = []
    with atomic_file(out) as path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
            for number, (each, dataset) in enumerate(opened):
                samples = []
                for index, sample in enumerate(_samples(each, dataset, root, max_side=max_side)):
                    labels, entry = _described(*sample)
                    file.writestr(entry_name(number, index, PICTURE), _picture(sample[0].frames[0], quality))
                    file.writestr(entry_name(number, index, LABELS), _labels(labels))
                    samples.append(entry)
                    done += 1
                    progress("packing", done, count)
                head = {"name": each.name, "folder": each.folder, "split": each.split, "clips": each.clips}
                entries.append(
                    {
                        **head,
                        "dataset": dataset.name,
                        "vocabulary": list(dataset.vocabulary),
                        "other_vocabulary": _other_vocabulary(each, root),
                        "samples": samples,
                    }
                )
            index_of_all = {"format": FORMAT, "max_side": max_side, "sets": entries}
            file.writestr(INDEX, json.dumps(index_of_all), compress_type=zipfile.ZIP_DEFLATED)
        size = path.stat().st_size
        if size > most_bytes:
            raise _too_large(size, most_bytes)
    return PackSummary(samples=count, size=size, quality=quality)


def _open(each: PackedSet, root: Path, *, clip_length: int = 1) -> SegmentationDataset:
    return load(each.name, root / each.folder, each.split, **({"clip_length": clip_length} if each.clips else {}))


def _other_vocabulary(each: PackedSet, root: Path) -> list[str]:
    """The names in the pictures of the other split, if that is there: a removed category may be in no other."""
    other = replace(each, split="train" if each.split == "heldout" else "heldout")
    with suppress(InputError):
        return list(_open(other, root).vocabulary)
    return []


def _samples(
    each: PackedSet, dataset: SegmentationDataset, root: Path, *, max_side: int
) -> Iterator[tuple[SegmentationSample, Mapping[str, np.ndarray] | None, bool]]:
    """Each sample with its masks as a frame of a clip, where clips are drawn, and whether the next one follows it."""
    if not each.clips:
        for index in range(len(dataset)):
            yield shrink(dataset[index], max_side=max_side), None, False
        return
    pairs = _open(each, root, clip_length=2)
    numbers = iter(range(len(pairs)))
    pair = shrink(pairs[next(numbers)], max_side=max_side)
    left: Mapping[str, np.ndarray] | None = None
    for index in range(len(dataset)):
        sample = shrink(dataset[index], max_side=max_side)
        follows = pair is not None and pair.key == sample.key
        if follows:
            yield sample, {name: mask[:1] for name, mask in pair.masks.items()}, True
            left = {name: mask[1:] for name, mask in pair.masks.items()}
            number = next(numbers, None)
            pair = pair if number is None else shrink(pairs[number], max_side=max_side)
        else:
            yield sample, left, False
            left = None  # what follows is another video, which may be of one frame


def _described(
    sample: SegmentationSample, in_clips: Mapping[str, np.ndarray] | None, follows: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """One value a pixel, [H, W], and what the values mean: each is a set of planes, masks and what is ignored."""
    planes = {name: mask[0] for name, mask in sample.masks.items()}
    clip = {} if in_clips is None else {name: mask[0] for name, mask in in_clips.items()}
    differing = {name: mask for name, mask in clip.items() if name not in planes or (mask != planes[name]).any()}
    ignore = np.zeros(sample.frames.shape[1:3], bool) if sample.ignore is None else sample.ignore[0]
    labels, values = _combined([*planes.values(), *differing.values(), ignore])
    entry: dict[str, Any] = {"key": sample.key, "names": list(planes), "values": values}
    if differing:
        entry["in_clips"] = list(differing)
    if sample.ignore is None:
        entry[NO_LABEL] = False
    if sample.expressions:
        entry["expressions"] = {name: list(texts) for name, texts in sample.expressions.items()}
    if sample.counts:
        entry["counts"] = dict(sample.counts)
    for key, listed in ((OUT_OF_VIEW, sample.out_of_view), ("partial", sample.partial)):
        if listed:
            entry[key] = sorted(listed)
    if follows:
        entry["follows"] = True
    return labels, entry


def _combined(planes: Sequence[np.ndarray]) -> tuple[np.ndarray, list[list[int]]]:
    """One value a pixel for all planes, bool [H, W] each, and for each value the planes that are true there."""
    labels = np.zeros(planes[0].shape, dtype=np.int64)
    values: list[list[int]] = [[]]
    for number, plane in enumerate(planes):
        split = 2 * labels + plane
        counts = np.bincount(split.ravel())
        labels = (np.cumsum(counts > 0) - 1)[split]  # without the values that no pixel has
        values = [values[value // 2] + [number] * (value % 2) for value in np.flatnonzero(counts).tolist()]
    return labels, values


def _picture(frame: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def _labels(labels: np.ndarray) -> bytes:
    """Values below 65,536 as the red and green of a picture."""
    low, high = labels % 256, labels // 256
    buffer = io.BytesIO()
    colours = np.stack([low, high, np.zeros_like(low)], -1).astype(np.uint8)
    Image.fromarray(colours).save(buffer, "WEBP", lossless=True, method=3, quality=75)
    return buffer.getvalue()


def _quality(opened: Sequence[tuple[PackedSet, SegmentationDataset]], *, max_side: int, most_bytes: int) -> int:
    """The best quality at which all fits, by every `TRIED`-th sample."""
    tried: list[tuple[float, np.ndarray]] = []  # how many samples a picture stands for
    rest = 0.0
    for _, dataset in opened:
        indices = range(0, len(dataset), TRIED)
        for index in indices:
            sample = shrink(dataset[index], max_side=max_side)
            weight = len(dataset) / len(indices)
            labels, entry = _described(sample, None, follows=False)
            rest += weight * (len(_labels(labels)) + OVERHEAD + len(json.dumps(entry)) / 5)  # the list is compressed
            tried.append((weight, sample.frames[0]))

    def size(quality: int) -> float:
        return rest + sum(weight * len(_picture(frame, quality)) for weight, frame in tried)

    fitting = bisect_right(QUALITIES, MARGIN * most_bytes, key=size)
    if not fitting:
        raise _too_large(round(size(QUALITIES[0])), most_bytes)
    return QUALITIES[fitting - 1]


def _too_large(size: int, most: int) -> InputError:
    return InputError(
        f"the pack would have {size / 1e6:.3g} MB, more than {most / 1e6:.3g}; "
        "set data.max_side lower, or leave sets out"
    )
