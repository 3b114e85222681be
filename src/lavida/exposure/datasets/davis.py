"""DAVIS-2016: clips with one foreground object each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.exposure.datasets.reading import folder, matching, of_split, read_labels, read_rgb, read_text
from lavida.exposure.sample import Segmented

SPLITS = {"train": ("train",), "heldout": ("val",)}
RESOLUTION = "480p"


class Davis:
    """Clips of consecutive kept frames; `heldout` is the official val.

    A clip's class is its sequence's category. The mask covers the whole foreground object, rider included,
    and is empty where the object has left the picture.

    Args:
        root: folder with `JPEGImages`, `Annotations`, `ImageSets` and `expressions.json`.
        split: `train` or `heldout`.
        clip_length: frames a clip, T.
    """

    name = "davis"
    layout = (
        "JPEGImages/480p/<sequence>/<frame>.jpg, Annotations/480p/<sequence>/<frame>.png, "
        "ImageSets/480p/{train,val}.txt, expressions.json"
    )
    expected = {"train": {"sequences": 30}, "heldout": {"sequences": 20}}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        if clip_length < 1:
            raise InputError(f"clip_length is {clip_length}; give at least 1")
        self._root = folder(Path(root), dataset="DAVIS")
        (part,) = of_split(SPLITS, split, dataset="DAVIS")
        self._texts: dict[str, tuple[str, str]] = json.loads(read_text(self._root / "expressions.json"))
        self._length = clip_length
        self._sequences = sequences = self._kept_frames(part)
        self._clips = [
            (sequence, frames[start : start + clip_length])
            for sequence, frames in sequences.items()
            for start in range(len(frames) - clip_length + 1)
        ]
        if not self._clips:
            raise InputError(f"no DAVIS clip of {clip_length} frames: {root}; give its own folder or shorter clips")
        missing = sorted(set(sequences) - set(self._texts))
        if missing:
            raise InputError(f"no category for sequence {missing[0]}: {root}/expressions.json; add it there")
        self.vocabulary = tuple(sorted({self._texts[sequence][0] for sequence in sequences}))

    def _kept_frames(self, part: str) -> dict[str, list[str]]:
        """Sequence -> frame names of the official list that exist on disk, in order."""
        images = folder(self._root / "JPEGImages" / RESOLUTION, dataset="DAVIS")
        existing = {(path.parent.name, path.stem) for path in images.glob("*/*.jpg")}
        sequences: dict[str, list[str]] = {}
        for line in read_text(self._root / "ImageSets" / RESOLUTION / f"{part}.txt").splitlines():
            if line.strip():
                image = Path(line.split()[0])
                if (image.parent.name, image.stem) in existing:
                    sequences.setdefault(image.parent.name, []).append(image.stem)
        return sequences

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Segmented:
        sequence, names = self._clips[index]
        frames, masks = zip(*(self._frame(sequence, name) for name in names), strict=True)
        category, expression = self._texts[sequence]
        return Segmented(
            frames=np.stack(frames),  # [T, H, W, 3]
            masks={category: np.stack(masks)},  # [T, H, W]
            ignore=None,
            dataset=self.name,
            key=f"{sequence}/{names[0]}",
            expressions={category: (expression,)},
        )

    def counts(self) -> dict[str, int]:
        """Sequences of the official list that have a picture."""
        return {"sequences": len(self._sequences)}

    def files(self) -> Iterator[Path]:
        """The picture and the label of every kept frame, whether they exist or not."""
        return (path for pair in self.pairs() for path in pair)

    def pairs(self) -> Iterator[tuple[Path, Path]]:
        """Picture and label of every kept frame, whether they exist or not."""
        return (self._paths(sequence, name) for sequence, names in self._sequences.items() for name in names)

    def _paths(self, sequence: str, name: str) -> tuple[Path, Path]:
        picture = self._root / "JPEGImages" / RESOLUTION / sequence / f"{name}.jpg"
        return picture, self._root / "Annotations" / RESOLUTION / sequence / f"{name}.png"

    def _frame(self, sequence: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        picture, label = self._paths(sequence, name)
        frame = read_rgb(picture)
        return frame, matching(frame, read_labels(label), path=label, picture=picture) > 0
