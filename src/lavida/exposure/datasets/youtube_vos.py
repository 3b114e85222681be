"""YouTube-VOS (2018, 2019): thousands of short videos with objects of 65 categories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lavida.exposure.datasets.annotated_video import (
    AnnotatedVideo,
    PaletteVideos,
    object_numbers,
    objects_by_name,
)
from lavida.exposure.datasets.reading import format_of, of_split, read_text

# What people call the categories that are written otherwise; "mouse" is the animal here, not the device.
NAMES = {
    "bike": "bicycle",
    "earless_seal": "seal",
    "motorbike": "motorcycle",
    "mouse": "pet mouse",
    "sedan": "car",
}
NAMELESS = "others"  # a mixed bag: the word is true of nothing in particular
SPLITS = {"train": (False,), "heldout": (True,)}
HELD_OUT_EVERY = 20

Entry = TypeVar("Entry")


class YouTubeVos(PaletteVideos):
    """Clips of annotated frames (every fifth of the video); a class is a category, its mask all its objects.

    The official valid has only masks of first frames, so every twentieth training video, in the order of their
    names, is held out. Objects of the category "others" have no name and are not listed.

    Args:
        root: folder with `train`.
        split: `train` or `heldout`.
        clip_length: frames a clip, T.
    """

    name = "youtube_vos"
    layout = "train/meta.json, train/JPEGImages/<video>/<frame>.jpg, train/Annotations/<video>/<frame>.png"
    # objects are left out: the releases differ (5,945 in 2018, 6,459 in 2019)
    expected = {"train": {"videos": 3297}, "heldout": {"videos": 174}}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        (held_out,) = of_split(SPLITS, split, dataset="YouTube-VOS")
        train = Path(root) / "train"
        path = train / "meta.json"
        text = read_text(path, layout=self.layout)
        with format_of("YouTube-VOS", path):
            entries = every_twentieth(json.loads(text)["videos"], held_out=held_out)
            videos = [
                AnnotatedVideo(
                    name=video,
                    frames=tuple(sorted({frame for each in entry["objects"].values() for frame in each["frames"]})),
                    targets=objects_by_name(category_names(entry["objects"])),
                    objects=object_numbers(entry["objects"]),
                )
                for video, entry in entries.items()
            ]
        super().__init__(videos, pictures=train / "JPEGImages", labels=train / "Annotations", clip_length=clip_length)


def every_twentieth(videos: Mapping[str, Entry], *, held_out: bool) -> dict[str, Entry]:
    """Every twentieth video in the order of their names, or all the others."""
    return {name: videos[name] for i, name in enumerate(sorted(videos)) if (i % HELD_OUT_EVERY == 0) == held_out}


def category_names(objects: Mapping[str, Mapping[str, Any]]) -> dict[int, str]:
    """Object number -> its category as people say it, from the `objects` of a video; without the nameless."""
    categories = {int(number): each["category"] for number, each in objects.items()}
    return {
        number: NAMES.get(category, category.replace("_", " "))
        for number, category in categories.items()
        if category != NAMELESS
    }
