"""YouTube-VOS, short videos of 65 categories; Refer-YouTube-VOS, its objects in sentences (Seo et al. 2020)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lavida.exposure.datasets.annotated_video import (
    AnnotatedVideo,
    PaletteVideos,
    object_numbers,
    objects_by_name,
    read_meta_expressions,
)
from lavida.exposure.datasets.reading import format_of, of_split, read_text

# What people call the categories that are written otherwise; "mouse" is the animal here, not the device.
NAMES = {
    "bike": "bicycle", "earless_seal": "seal", "motorbike": "motorcycle", "mouse": "pet mouse", "sedan": "car",
}  # fmt: skip
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


class RefYouTubeVos(PaletteVideos):
    """Clips with the expressions of their objects.

    The first expression of an object names its mask. The categories of all objects of the video are listed with an
    empty mask, since they are surely there, if `train/meta.json` is. The official valid has no masks, so every
    twentieth training video, in the order of their names, is held out: the same ones as in `youtube_vos`.

    Args:
        root: folder with `meta_expressions` and `train`.
    """

    name = "ref_youtube_vos"
    layout = (
        "meta_expressions/train/meta_expressions.json, train/JPEGImages/<video>/<frame>.jpg, "
        "train/Annotations/<video>/<frame>.png, train/meta.json (optional, the categories)"
    )
    # the 12,913 expressions are counted for all 3,471 training videos together
    expected = {"train": {"videos": 3297}, "heldout": {"videos": 174}}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        (held_out,) = of_split(SPLITS, split, dataset="Refer-YouTube-VOS")
        train = Path(root) / "train"
        path = Path(root) / "meta_expressions" / "train" / "meta_expressions.json"
        said = read_meta_expressions(path, dataset="Refer-YouTube-VOS", layout=self.layout)
        labelled = _labelled_objects(train / "meta.json")
        videos = []
        with format_of("Refer-YouTube-VOS", path):
            for video, (frames, texts) in every_twentieth(said, held_out=held_out).items():
                referred = object_numbers(number for objects in texts.targets.values() for number in objects)
                objects, categories = labelled.get(video, (None, ()))
                objects = None if objects is None else objects | referred
                videos.append(texts.annotate(video, frames, categories=categories, objects=objects))
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


def _labelled_objects(path: Path) -> dict[str, tuple[frozenset[int], list[str]]]:
    """Video -> its objects and their categories, from the `meta.json` of YouTube-VOS; nothing where there is none."""
    if not path.exists():
        return {}
    text = read_text(path)
    with format_of("Refer-YouTube-VOS", path):
        return {
            video: (object_numbers(entry["objects"]), sorted(set(category_names(entry["objects"]).values())))
            for video, entry in json.loads(text)["videos"].items()
        }
