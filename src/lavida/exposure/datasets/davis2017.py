"""DAVIS-2017: clips in which several objects are labelled in every frame."""

from __future__ import annotations

import json
from pathlib import Path

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import (
    AnnotatedVideo,
    PaletteVideos,
    object_numbers,
    objects_by_name,
)
from lavida.exposure.datasets.reading import folder, format_of, of_split, read_text

SPLITS = {"train": ("train",), "heldout": ("val",)}
RESOLUTION = "480p"
VOID = 255
SEMANTICS = "davis_semantics.json"
# What people call the categories that are written otherwise.
NAMES = {
    "cellphone": "cell phone",
    "chamaleon": "chameleon",
    "kart": "go-kart",
    "paraglide": "paraglider",
    "rhino": "rhinoceros",
    "scale": "weighing scale",
    "ski": "skis",
    "varanus": "monitor lizard",
}


class Davis2017(PaletteVideos):
    """Clips of all frames; a class is a category, its mask all its objects. `heldout` is the official val.

    The categories are a download of their own on the site of DAVIS-2017, below "Object categories".

    Args:
        root: folder with `JPEGImages`, `Annotations`, `ImageSets` and `davis_semantics.json`, or with `DAVIS`.
        split: `train` or `heldout`.
        clip_length: frames a clip, T.
    """

    name = "davis2017"
    layout = (
        f"JPEGImages/{RESOLUTION}/<video>/<frame>.jpg, Annotations/{RESOLUTION}/<video>/<frame>.png, "
        f"ImageSets/2017/{{train,val}}.txt, {SEMANTICS} (all of them also below DAVIS/)"
    )
    expected = {"train": {"videos": 60}, "heldout": {"videos": 30}}
    void = VOID

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        (part,) = of_split(SPLITS, split, dataset="DAVIS-2017")
        base = davis_folder(Path(root))
        frames = davis_frames(base, part, dataset="DAVIS-2017", layout=self.layout)
        path = base / SEMANTICS
        if not path.exists():
            raise InputError(
                f"the categories of DAVIS-2017 are missing: {path}; take {SEMANTICS} from "
                "DAVIS-2017_semantics-480p.zip ('Object categories' on the page of DAVIS-2017)"
            )
        categories = davis_categories(path)
        missing = sorted(set(frames) - set(categories))
        if missing:
            raise InputError(f"no categories for video {missing[0]}: {path}; restore the official file")
        videos = [
            AnnotatedVideo(
                name=video,
                frames=names,
                targets=objects_by_name(categories[video]),
                objects=frozenset(categories[video]),
            )
            for video, names in frames.items()
        ]
        pictures, labels = base / "JPEGImages" / RESOLUTION, base / "Annotations" / RESOLUTION
        super().__init__(videos, pictures=pictures, labels=labels, clip_length=clip_length)


def davis_folder(root: Path) -> Path:
    """Where DAVIS itself lies: its archives unpack into a folder of that name."""
    return root / "DAVIS" if (root / "DAVIS").is_dir() else root


def davis_frames(base: Path, part: str, *, dataset: str, layout: str) -> dict[str, tuple[str, ...]]:
    """Video of the official list -> its frames: those that have a picture or a label."""
    pictures = folder(base / "JPEGImages" / RESOLUTION, dataset=dataset, layout=layout)
    labels = folder(base / "Annotations" / RESOLUTION, dataset=dataset, layout=layout)
    videos = read_text(base / "ImageSets" / "2017" / f"{part}.txt", layout=layout).split()
    return {
        video: tuple(
            sorted(
                {path.stem for path in (pictures / video).glob("*.jpg")}
                | {path.stem for path in (labels / video).glob("*.png")}
            )
        )
        for video in videos
    }


def davis_categories(path: Path) -> dict[str, dict[int, str]]:
    """Video -> object number -> plain name of its category, from `davis_semantics.json`."""
    text = read_text(path)
    with format_of("DAVIS-2017", path):
        return {
            video: {number: plain_name(objects[str(number)]) for number in sorted(object_numbers(objects))}
            for video, objects in json.loads(text).items()
        }


def plain_name(category: str) -> str:
    """A category of DAVIS as people say it."""
    return NAMES.get(category, category.replace("_", " "))
