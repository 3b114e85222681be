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
EXPRESSIONS, FORM = "expressions.json", "{sequence: [category, expression]}"
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
        f"ImageSets/480p/{{train,val}}.txt, {EXPRESSIONS} with {FORM}"
    )
    expected = {"train": {"sequences": 30}, "heldout": {"sequences": 20}}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        base = folder(Path(root), dataset="DAVIS")
        (part,) = of_split(SPLITS, split, dataset="DAVIS")
        texts = _texts(base / EXPRESSIONS)
        sequences = _kept_frames(base, part)
        if missing := sorted(set(sequences) - set(texts)):
            raise InputError(f"no category for sequence {missing[0]}: {base / EXPRESSIONS}; add it there")
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


def _texts(path: Path) -> dict[str, tuple[str, str]]:
    """Sequence -> its category and an expression of its object, which DAVIS-2016 itself does not bring."""
    if not path.exists():
        raise InputError(
            f"what the sequences of DAVIS-2016 show is missing: {path}; write {FORM} for each sequence, as in "
            '{"bear": ["bear", "a bear walking"]}'
        )
    text = read_text(path)
    try:
        texts = {sequence: (category, expression) for sequence, (category, expression) in json.loads(text).items()}
        if not all(isinstance(said, str) for both in texts.values() for said in both):
            raise TypeError
    except (ValueError, TypeError, AttributeError):
        raise InputError(f"not in the form {FORM}: {path}; mend it") from None
    return texts


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
