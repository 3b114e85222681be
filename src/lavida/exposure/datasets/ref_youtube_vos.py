"""Refer-YouTube-VOS: the objects of YouTube-VOS described in whole sentences (Seo et al. 2020)."""

from __future__ import annotations

import json
from pathlib import Path

from lavida.exposure.datasets.annotated_video import PaletteVideos, object_numbers
from lavida.exposure.datasets.reading import format_of, of_split, read_text
from lavida.exposure.datasets.referring import read_meta_expressions
from lavida.exposure.datasets.youtube_vos import SPLITS, category_names, every_twentieth


class RefYouTubeVos(PaletteVideos):
    """Clips with the expressions of their objects.

    The first expression of an object names its mask. The categories of all objects of the video are listed with an
    empty mask, since they are surely there, if `train/meta.json` is. The official valid has no masks, so every
    twentieth training video, in the order of their names, is held out: the same ones as in `youtube_vos`.

    Args:
        root: folder with `meta_expressions` and `train`.
        split: `train` or `heldout`.
        clip_length: frames a clip, T.
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
