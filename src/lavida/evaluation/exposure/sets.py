"""What the exposure test is held on: the five picture sets of the data kit, and clips of every video set."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from lavida.exposure.datasets import DATASETS, load
from lavida.exposure.heldout import HeldoutQuestions, evenly_spread
from lavida.exposure.vocabulary import Vocabulary

MOST_PICTURES = 250  # a set; DAVIS val has about 700 frames of 20 sequences
MOST_CLIPS = 60
CLIP_LENGTH = 8


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One row of the test.

    Attributes:
        row: its name in the table.
        dataset: key of `DATASETS`.
        folder: the data set's folder below the root.
        clip_length: frames a sample, T; 1 is single pictures.
    """

    row: str
    dataset: str
    folder: str
    clip_length: int = 1

    def questions(
        self,
        root: Path,
        *,
        split: str = "heldout",
        removed: Collection[str] = (),
        calibrating: bool = False,
        seeds: Sequence[int] = (0,),
    ) -> tuple[HeldoutQuestions, frozenset[int]]:
        """The questions about a split, and the indices of the samples that calibration may learn from.

        Args:
            root: holds the folder.
            split: `heldout`, or `train` for a baseline that learns by the rule of the test.
            removed: names removed from training, see `HeldoutQuestions`.
            calibrating: only the samples that calibration may learn from.
            seeds: pairs of prompts for a sample.

        Raises:
            InputError: the data set or the split is not there.
        """
        options = {} if self.clip_length == 1 else {"clip_length": self.clip_length}
        dataset = load(self.dataset, root / self.folder, split, **options)
        asked = evenly_spread(len(dataset), MOST_PICTURES if self.clip_length == 1 else MOST_CLIPS)
        learns = frozenset(asked[::2]) if self.clip_length == 1 else frozenset[int]()
        questions = HeldoutQuestions(
            dataset,
            vocabulary=Vocabulary.builtin(),
            asked=learns if calibrating else asked,
            removed=removed,
            seeds=seeds,
        )
        return questions, learns


PICTURES = (
    HeldOut("camvid", "camvid", "camvid"),
    HeldOut("idd_lite", "idd_lite", "idd_lite"),
    HeldOut("humans", "humans", "humans"),
    HeldOut("coco128", "coco128", "coco128-seg"),
    HeldOut("davis", "davis", "davis2016"),
)


def check_pictures(root: Path) -> None:
    """Raise InputError unless all of `PICTURES` are below `root`."""
    for each in PICTURES:
        load(each.dataset, root / each.folder, "heldout")


def clip_sets(root: Path) -> list[HeldOut]:
    """Every data set of videos that is below `root`, in the kit's folder or in one of the data set's own name."""
    folders = {each.dataset: each.folder for each in PICTURES}
    videos = [name for name, kind in DATASETS.items() if "clip_length" in inspect.signature(kind).parameters]
    sets = [HeldOut(f"{name} clips", name, folders.get(name, name), CLIP_LENGTH) for name in videos]
    return [each for each in sets if (root / each.folder).is_dir()]
