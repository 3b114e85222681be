"""Tiny segmentation samples for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lavida.exposure.sample import SegmentationSample
from lavida.exposure.vocabulary import Vocabulary

HEIGHT, WIDTH = 24, 32
DATASET = "toys"


def box(top: int, bottom: int, left: int, right: int, *, frames: int = 1) -> np.ndarray:
    """A rectangle as a mask, bool [frames, HEIGHT, WIDTH]."""
    mask = np.zeros((frames, HEIGHT, WIDTH), bool)
    mask[:, top:bottom, left:right] = True
    return mask


def scene(masks: Mapping[str, np.ndarray], *, dataset: str = DATASET, **fields: object) -> SegmentationSample:
    """Black frames with `masks`; the pixels of a mask are white."""
    shape = next(iter(masks.values())).shape if masks else (1, HEIGHT, WIDTH)
    frames = np.zeros((*shape, 3), np.uint8)
    for mask in masks.values():
        frames[mask] = 255
    return SegmentationSample(frames=frames, masks=masks, ignore=None, dataset=dataset, key="0", **fields)


class Scenes:
    """A data set of given samples."""

    def __init__(self, samples: Sequence[SegmentationSample], *, name: str = DATASET) -> None:
        self.name = name
        self.vocabulary = tuple(dict.fromkeys(label for sample in samples for label in sample.masks))
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> SegmentationSample:
        return self._samples[index]


def toy_vocabulary(**relations: Mapping[str, Sequence[str]]) -> Vocabulary:
    """Twelve words w0 ... w11 with one phrase each; `relations` add to single words."""
    classes = {f"w{i}": {"phrases": [f"word {i}"], **relations.get(f"w{i}", {})} for i in range(12)}
    return Vocabulary(
        classes=classes,
        datasets={DATASET: {"exhaustive": ["w7"], "unsafe": ["w8", "w9"], "scenes": {"shelf": ["w8", "w1"]}}},
    )
