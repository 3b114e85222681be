"""Clips of videos in which objects are numbered, named or referred to: what the video data sets have in common."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, format_of, matching, read_indices, read_rgb, read_text
from lavida.exposure.sample import SegmentationSample
from lavida.files import as_stored

Id = TypeVar("Id", bound=int | str)  # of an object; in videos a number, the value of its pixels


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """What the annotation says of one video.

    Attributes:
        name: of the video's folder.
        frames: names of the annotated frames in order, without extension.
        targets: class name or expression -> the objects it means. Without objects: surely there, but no mask tells
            where.
        expressions: key of `targets` -> more texts of the same objects.
        absent: texts that are true of nothing in the video.
        objects: every object that a label may show; None where the annotation does not list them.
    """

    name: str
    frames: tuple[str, ...]
    targets: Mapping[str, frozenset[int]]
    expressions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    objects: frozenset[int] | None = None

    @property
    def teaches(self) -> bool:
        """Whether some text has a mask or is surely absent."""
        return bool(self.absent) or any(self.targets.values())

    @property
    def texts(self) -> Iterator[str]:
        """Everything that has a mask."""
        named = (text for text, objects in self.targets.items() if objects)
        return (text for first in named for text in (first, *self.expressions.get(first, ())))


class VideoClips(ABC):
    """Every run of `clip_length` consecutive annotated frames is one sample, from every start.

    Videos that are shorter, or have nothing to teach, are left out.

    Args:
        videos: of the split; frames and numbers only.
        pictures: folder with `<video>/<frame>.jpg`.
        clip_length: frames a clip, T.

    Raises:
        InputError: `pictures` is missing, or there is no clip.
    """

    name: ClassVar[str]
    layout: ClassVar[str]

    def __init__(self, videos: Sequence[AnnotatedVideo], *, pictures: Path, clip_length: int) -> None:
        if clip_length < 1:
            raise InputError(f"clip_length is {clip_length}; give at least 1")
        self._pictures = folder(pictures, dataset=self.name, layout=self.layout)
        self._length = clip_length
        self._names = frozenset(video.name for video in videos)
        self._videos = [video for video in videos if video.teaches and len(video.frames) >= clip_length]
        # clip numbers at which the videos end: a list of all clips of the large sets would fill the memory
        self._ends = np.cumsum([len(video.frames) - clip_length + 1 for video in self._videos])
        if not self._videos:
            raise InputError(
                f"{self.name} has no clip of {clip_length} frames: {pictures}; give shorter clips, or the data set's "
                f"own folder as root, which holds {self.layout}"
            )
        self.vocabulary: tuple[str, ...] = tuple(dict.fromkeys(text for video in self._videos for text in video.texts))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> SegmentationSample:
        index = range(len(self))[index]
        place = int(np.searchsorted(self._ends, index, side="right"))
        video = self._videos[place]
        start = index - (int(self._ends[place - 1]) if place else 0)
        frames = self._read_frames(video, start)
        masks, ignore = self._read_masks(video, start, frames)
        nothing = np.zeros(frames.shape[:3], dtype=bool)
        return SegmentationSample(
            frames=frames,
            masks={text: masks.get(text, nothing) for text in video.targets},
            ignore=ignore,
            dataset=self.name,
            key=f"{video.name}/{video.frames[start]}",
            expressions=video.expressions,
            out_of_view=video.absent,
        )

    def counts(self) -> dict[str, int]:
        """Videos of the split whose pictures are there."""
        with os.scandir(self._pictures) as entries:
            return {"videos": sum(entry.name in self._names and entry.is_dir() for entry in entries)}

    def files(self) -> Iterator[Path]:
        """Every picture and label file of the samples, whether it exists or not."""
        for video in self._videos:
            yield from (self._picture(video, frame) for frame in video.frames)
            yield from self._label_files(video)

    @abstractmethod
    def _read_masks(
        self, video: AnnotatedVideo, start: int, frames: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Masks of the targets that have objects, and what to ignore, each bool [T, H, W] from frame `start` on."""

    @abstractmethod
    def _label_files(self, video: AnnotatedVideo) -> Iterator[Path]: ...

    def _picture(self, video: AnnotatedVideo, frame: str) -> Path:
        return as_stored(self._pictures / video.name / f"{frame}.jpg")

    def _read_frames(self, video: AnnotatedVideo, start: int) -> np.ndarray:
        """uint8 [T, H, W, 3]."""
        paths = [self._picture(video, frame) for frame in video.frames[start : start + self._length]]
        frames = [read_rgb(path) for path in paths]
        for path, frame in zip(paths, frames, strict=True):
            if frame.shape != frames[0].shape:
                sizes = f"{frame.shape[:2]} after {frames[0].shape[:2]}"
                raise InputError(f"frames of one video differ in size: {path} has {sizes}; restore the data set")
        return np.stack(frames)


class PaletteVideos(VideoClips):
    """Clips whose labels are 8-bit images `<video>/<frame>.png` of object numbers, 0 for the background.

    Args:
        videos: of the split.
        pictures: folder with `<video>/<frame>.jpg`.
        labels: folder with `<video>/<frame>.png`.
        clip_length: frames a clip, T.
    """

    void: ClassVar[int | None] = None  # the value of pixels that nobody labelled

    def __init__(self, videos: Sequence[AnnotatedVideo], *, pictures: Path, labels: Path, clip_length: int) -> None:
        super().__init__(videos, pictures=pictures, clip_length=clip_length)
        self._labels = folder(labels, dataset=self.name, layout=self.layout)

    def _label(self, video: AnnotatedVideo, frame: str) -> Path:
        return as_stored(self._labels / video.name / f"{frame}.png")

    def _label_files(self, video: AnnotatedVideo) -> Iterator[Path]:
        return (self._label(video, frame) for frame in video.frames)

    def _read_masks(
        self, video: AnnotatedVideo, start: int, frames: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        names = video.frames[start : start + self._length]
        labels = np.stack([self._read(video, name, frame) for name, frame in zip(names, frames, strict=True)])
        masks = {}
        for text, objects in video.targets.items():
            if objects:
                meant = np.zeros(256, dtype=bool)
                meant[list(objects)] = True
                masks[text] = meant[labels]  # [T, H, W]
        ignore = None if self.void is None else labels == self.void
        return masks, ignore if ignore is not None and ignore.any() else None

    def _read(self, video: AnnotatedVideo, frame: str, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W] of values that the annotation knows, for the picture `image` of a frame."""
        path = self._label(video, frame)
        labels = matching(image, read_indices(path), path=path)
        if labels.dtype != np.uint8:
            raise InputError(f"not an 8-bit label image: {path}; restore the data set")
        if video.objects is not None:
            values = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()
            unknown = sorted(set(values) - video.objects - {0, self.void})
            if unknown:
                raise InputError(f"label {unknown[0]} is no object of {video.name}: {path}; restore the data set")
        return labels


def objects_by_name(names: Mapping[int, str]) -> dict[str, frozenset[int]]:
    """Name -> all objects that have it."""
    objects: dict[str, set[int]] = {}
    for number, name in names.items():
        objects.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in objects.items()}


def object_numbers(values: Iterable[int | str]) -> frozenset[int]:
    """Object numbers of a palette image; raises ValueError outside 1..255."""
    numbers = frozenset(int(value) for value in values)
    if not all(1 <= number <= 255 for number in numbers):
        raise ValueError(f"object numbers {sorted(numbers)} are not in 1..255")
    return numbers


@dataclass(frozen=True, slots=True)
class Expressions(Generic[Id]):
    """The texts of one video, or of one picture.

    Attributes:
        targets: first text of an object, or of a set of objects -> these objects.
        more: key of `targets` -> the other texts of exactly the same objects.
        absent: texts that are true of nothing.
    """

    targets: Mapping[str, frozenset[Id]]
    more: Mapping[str, tuple[str, ...]]
    absent: frozenset[str]

    @property
    def texts(self) -> Iterator[str]:
        """Everything that is said of some object."""
        return (text for first in self.targets for text in (first, *self.more.get(first, ())))

    @classmethod
    def of(cls, said: Iterable[tuple[str, Iterable[Id]]]) -> Expressions[Id]:
        """Group texts, each with its objects. A text that is said of several objects means their union."""
        meant: dict[str, set[Id]] = {}
        for text, objects in said:
            meant.setdefault(" ".join(text.split()), set()).update(objects)
        meant.pop("", None)
        same: dict[frozenset[Id], list[str]] = {}
        for text, objects in meant.items():
            same.setdefault(frozenset(objects), []).append(text)
        absent = frozenset(same.pop(frozenset(), ()))
        return cls(
            targets={texts[0]: objects for objects, texts in same.items()},
            more={texts[0]: tuple(texts[1:]) for texts in same.values() if len(texts) > 1},
            absent=absent,
        )

    def annotate(
        self: Expressions[int],
        video: str,
        frames: Iterable[str],
        *,
        categories: Iterable[str] = (),
        objects: frozenset[int] | None = None,
    ) -> AnnotatedVideo:
        """The video with these texts; `categories` are surely in it, `objects` all that its labels may show."""
        targets = {**dict.fromkeys(categories, frozenset[int]()), **self.targets}
        return AnnotatedVideo(
            name=video,
            frames=tuple(frames),
            targets=targets,
            expressions=self.more,
            absent=self.absent - targets.keys(),
            objects=objects,
        )


def read_meta_expressions(
    path: Path, *, dataset: str, layout: str, key: str = "obj_id"
) -> dict[str, tuple[tuple[str, ...], Expressions]]:
    """Video -> its frames in order and its texts, from a `meta_expressions.json`.

    Args:
        path: `{"videos": {video: {"frames": [...], "expressions": {id: {"exp": text, key: number(s)}}}}}`.
        dataset: name for errors.
        layout: the data set's layout, for errors.
        key: what gives the objects of an expression, one number or a list; an empty list means none.

    Raises:
        InputError: the file is missing or in another format.
    """
    text = read_text(path, layout=layout)
    with format_of(dataset, path):
        return {
            video: (
                tuple(sorted(entry["frames"])),
                Expressions.of((said["exp"], _numbers(said[key])) for said in entry["expressions"].values()),
            )
            for video, entry in json.loads(text)["videos"].items()
        }


def _numbers(value: Any) -> list[int]:
    return [int(each) for each in (value if isinstance(value, list) else [value])]
