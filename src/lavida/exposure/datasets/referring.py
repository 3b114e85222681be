"""Texts that refer to objects of a video: grouping by what they mean, and `meta_expressions.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lavida.exposure.datasets.annotated_video import AnnotatedVideo
from lavida.exposure.datasets.reading import format_of, read_text


@dataclass(frozen=True, slots=True)
class Expressions:
    """The texts of one video.

    Attributes:
        targets: first text of an object, or of a set of objects -> these objects.
        more: key of `targets` -> the other texts of exactly the same objects.
        absent: texts that are true of nothing.
    """

    targets: Mapping[str, frozenset[int]]
    more: Mapping[str, tuple[str, ...]]
    absent: frozenset[str]

    @property
    def texts(self) -> Iterator[str]:
        """Everything that is said of some object."""
        return (text for first in self.targets for text in (first, *self.more.get(first, ())))

    @classmethod
    def of(cls, said: Iterable[tuple[str, Iterable[int]]]) -> Expressions:
        """Group texts, each with its objects. A text that is said of several objects means their union."""
        meant: dict[str, set[int]] = {}
        for text, objects in said:
            meant.setdefault(" ".join(text.split()), set()).update(objects)
        meant.pop("", None)
        same: dict[frozenset[int], list[str]] = {}
        for text, objects in meant.items():
            same.setdefault(frozenset(objects), []).append(text)
        absent = frozenset(same.pop(frozenset(), ()))
        return cls(
            targets={texts[0]: objects for objects, texts in same.items()},
            more={texts[0]: tuple(texts[1:]) for texts in same.values() if len(texts) > 1},
            absent=absent,
        )

    def annotate(
        self,
        video: str,
        frames: Iterable[str],
        *,
        categories: Iterable[str] = (),
        objects: frozenset[int] | None = None,
    ) -> AnnotatedVideo:
        """The video with these texts; `categories` are surely in it, `objects` all that its labels may show."""
        targets = dict.fromkeys(categories, frozenset[int]()) | self.targets
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
