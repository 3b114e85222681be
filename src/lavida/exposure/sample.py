"""A segmentation sample before and after anomaly exposure (Sec. 3.3)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lavida.settings import renamed


@dataclass(frozen=True, slots=True)
class Thing:
    """One actor of a made scene and what is known of it.

    Attributes:
        names: the classes it belongs to.
        mask: bool [T, H, W], what is seen of it.
        facts: qualifiers that are true of it, keys of `qualifier_words.PATTERNS`; all others are false,
        open: but for these, which may be either.
    """

    names: frozenset[str]
    mask: np.ndarray
    facts: frozenset[str]
    open: frozenset[str] = frozenset()


@renamed(left="out_of_view")
@dataclass(frozen=True, slots=True)
class SegmentationSample:
    """One segmentation sample before exposure: (x_i, y_i^p, s_i).

    Attributes:
        frames: uint8 [T, H, W, 3]; T is 1 for an image.
        masks: class name -> bool [T, H, W]. A class that is listed is in the scene; its mask may be empty
            (out of sight, or too small to be taught): then it is neither a true nor an irrelevant category.
        ignore: bool [T, H, W], pixels without a label, or None.
        dataset: name of the data set, the key of its rules in the vocabulary.
        key: name of the sample inside the data set, `scene/frame` or just `frame`.
        expressions: class name -> more phrases that are true of just this sample.
        out_of_view: classes of the sample that this view of it does not show: the hardest irrelevant names.
        before: uint8 [T, H, W, 3], for each frame its neighbour a moment earlier, or None.
        seconds: float [T], from each neighbour to its frame (negative: the neighbour is later), or None.
        motion: float16 [T, 4, H/4, W/4], what moves in each frame (`video.motion.motion_field`), or None.
        partial: classes of which there may be more than the masks show: a view without the labelled ones has not
            surely lost them.
        things: the actors of a made scene.
        counts: how many of a class there are, where that is known.
    """

    frames: np.ndarray
    masks: Mapping[str, np.ndarray]
    ignore: np.ndarray | None
    dataset: str
    key: str
    expressions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    out_of_view: frozenset[str] = frozenset()
    before: np.ndarray | None = None
    seconds: np.ndarray | None = None
    motion: np.ndarray | None = None
    partial: frozenset[str] = frozenset()
    things: tuple[Thing, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> frozenset[str]:
        """Earlier name of `out_of_view`."""
        warnings.warn("SegmentationSample.left is now called out_of_view", DeprecationWarning, stacklevel=2)
        return self.out_of_view

    @property
    def scene(self) -> str:
        """The part of the key before the first slash; empty where there is none."""
        return self.key.rpartition("/")[0].partition("/")[0]


@dataclass(frozen=True, slots=True)
class CategoryPrompt:
    """A category: its text, where it is, and of one with a qualifier where its noun is, if known, and the kind."""

    text: str
    mask: np.ndarray | None
    noun: np.ndarray | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class ExposedSample:
    """One sample after exposure: (x_i, c_i, y_i).

    Attributes:
        frames: uint8 [T, H, W, 3].
        categories: K >= 1 texts in random order, c_i.
        frame_labels: float32 [T], y_i^f.
        pixel_labels: bool [T, H, W], y_i^p: the union of the true categories, all False for a normal sample.
        category_masks: index of each true category -> bool [T, H, W]; every other category has no pixel.
        ignore: bool [T, H, W] or None.
        dataset: name of the data set.
        key: name of the sample inside the data set.
        motion: as in `SegmentationSample`.
        noun_masks: index of each category with a qualifier whose noun's place is known -> bool [T, H, W], that place.
        kinds: index of each category with a qualifier -> its kind.
        probes: further texts with qualifiers, from which only the maps of categories learn.
    """

    frames: np.ndarray
    categories: tuple[str, ...]
    frame_labels: np.ndarray
    pixel_labels: np.ndarray
    category_masks: Mapping[int, np.ndarray]
    ignore: np.ndarray | None
    dataset: str
    key: str
    motion: np.ndarray | None = None
    noun_masks: Mapping[int, np.ndarray] = field(default_factory=dict)
    kinds: Mapping[int, str] = field(default_factory=dict)
    probes: tuple[CategoryPrompt, ...] = ()


class SegmentationDataset(Protocol):
    """What the exposure needs of a data set: samples by index and the class names that occur in them."""

    name: str
    vocabulary: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> SegmentationSample: ...


_RENAMED = {"Segmented": SegmentationSample, "Exposure": ExposedSample}


def __getattr__(name: str) -> type:
    """The names of one version ago."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is now called {_RENAMED[name].__name__}", DeprecationWarning, stacklevel=2)
    return _RENAMED[name]
