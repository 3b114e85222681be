"""DAVIS-2016: clips with one foreground object each."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import AnnotatedVideo, PaletteVideos
from lavida.exposure.datasets.reading import files_in, folder, matching, of_split, read_labels, read_text

SPLITS = {"train": ("train",), "heldout": ("val",)}
RESOLUTION = "480p"
FOREGROUND = frozenset(range(1, 256))


class Davis(PaletteVideos):
    """Clips of consecutive kept frames; `heldout` is the official val.

    A clip's class is its sequence's category. The mask covers the whole foreground object, rider included,
    and is empty where the object has left the picture.

    Args:
        root: folder with `JPEGImages`, `Annotations`, `ImageSets` and `expressions.json`.
    """

    name = "davis"
    layout = (
        "JPEGImages/480p/<sequence>/<frame>.jpg, Annotations/480p/<sequence>/<frame>.png, "
        "ImageSets/480p/{train,val}.txt, expressions.json"
    )
    expected = {"train": {"sequences": 30}, "heldout": {"sequences": 20}}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        base = folder(Path(root), dataset="DAVIS")
        (part,) = of_split(SPLITS, split, dataset="DAVIS")
        texts: dict[str, tuple[str, str]] = json.loads(read_text(base / "expressions.json"))
        sequences = _kept_frames(base, part)
        if missing := sorted(set(sequences) - set(texts)):
            raise InputError(f"no category for sequence {missing[0]}: {root}/expressions.json; add it there")
        videos = [
            AnnotatedVideo(name, tuple(frames), {texts[name][0]: FOREGROUND}, {texts[name][0]: (texts[name][1],)})
            for name, frames in sequences.items()
        ]
        pictures, labels = base / "JPEGImages" / RESOLUTION, base / "Annotations" / RESOLUTION
        super().__init__(videos, pictures=pictures, labels=labels, clip_length=clip_length)
        self.vocabulary = tuple(sorted({texts[sequence][0] for sequence in sequences}))

    def counts(self) -> dict[str, int]:
        """Sequences of the official list that have a picture."""
        return {"sequences": super().counts()["videos"]}

    def pairs(self) -> Iterator[tuple[Path, Path]]:
        """Picture and label of every kept frame, whether they exist or not."""
        return ((self._picture(each, name), self._label(each, name)) for each in self._videos for name in each.frames)

    def _read(self, video: AnnotatedVideo, frame: str, image: np.ndarray) -> np.ndarray:
        path = self._label(video, frame)
        return matching(image, read_labels(path), path=path, picture=self._picture(video, frame))


def _kept_frames(base: Path, part: str) -> dict[str, list[str]]:
    """Sequence -> frame names of the official list that exist on disk, in order."""
    images = folder(base / "JPEGImages" / RESOLUTION, dataset="DAVIS")
    existing = {(path.parent.name, path.stem) for path in files_in(images, ".jpg", pattern="*/*")}
    sequences: dict[str, list[str]] = {}
    for line in read_text(base / "ImageSets" / RESOLUTION / f"{part}.txt").splitlines():
        if line.strip():
            image = Path(line.split()[0])
            if (image.parent.name, image.stem) in existing:
                sequences.setdefault(image.parent.name, []).append(image.stem)
    return sequences
