"""A data set without files, named in recipes as `paper_sets:Said`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lavida.exposure.sample import SegmentationSample

# what is said of the object of each sample: classes, texts that mention some, and texts that fit many things
SAID = (
    ("a man in red", "the runner", "left one"),
    ("dog", "a brown puppy", "the animal that jumps"),
    ("a black suv", "car", "vehicle turning left"),
    ("striped animal drinking", "zebra", "the last"),
    ("two women", "people on the bench", "them"),
)


class Said:
    """One object a sample, named by the first of its texts; people may be there without a label, as in MeViS."""

    name = "mevis"
    vocabulary = tuple(text for texts in SAID for text in texts)

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        self._length = clip_length

    def __len__(self) -> int:
        return len(SAID)

    def __getitem__(self, index: int) -> SegmentationSample:
        first, *more = SAID[index]
        mask = np.zeros((self._length, 32, 32), bool)
        mask[:, 8:24, 8:24] = True
        return SegmentationSample(
            frames=np.where(mask[..., None], 200, 60).astype(np.uint8).repeat(3, axis=3),
            masks={first: mask},
            ignore=None,
            dataset=self.name,
            key=f"{index}/0",
            expressions={first: tuple(more)},
        )
