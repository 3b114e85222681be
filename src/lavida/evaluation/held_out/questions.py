"""What the held-out test is held on: the five picture sets of the data kit, clips of every video set, moving scenes.

In one frame a runner looks like a walker and a driving car like a parked one, so the rows of moving scenes say whether
the motion input is used. Nothing of them was in training: pictures and cut-outs are of the held-out splits.
"""

import inspect
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lavida.exposure.cutouts import CutoutBank
from lavida.exposure.datasets import DATASETS, load
from lavida.exposure.heldout import CATEGORIES, HeldoutQuestions, Query, Question, evenly_spread
from lavida.exposure.mixture import Mixture
from lavida.exposure.moving import DRIVING, FAST, PARKED, Crowd, set_in_motion
from lavida.exposure.sample import SegmentationDataset, SegmentationSample
from lavida.exposure.views import reframe
from lavida.exposure.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MOST_PICTURES = 250  # a set; DAVIS val has about 700 frames of 20 sequences
MOST_CLIPS = 60
CLIP_LENGTH = 8


@dataclass(frozen=True)
class HeldOut:
    """One row of the test."""

    row: str  # its name in the table
    dataset: str  # key of `DATASETS`
    folder: str  # the data set's folder below the root
    clip_length: int = 1  # frames a sample, T; 1 is single pictures
    most: int | None = None  # samples that are asked; None is `MOST_PICTURES` or `MOST_CLIPS`
    names: tuple[str, ...] = ()  # asked as absent beside those of the vocabulary
    valid: bool = False  # whether IoU counts only pixels with a label

    def load(self, root: Path, split: str = "heldout") -> SegmentationDataset:
        """The data set below `root`. Raises InputError where it or the split is not there."""
        options = {} if self.clip_length == 1 else {"clip_length": self.clip_length}
        return load(self.dataset, root / self.folder, split, **options)

    def questions(
        self,
        root: Path,
        *,
        split: str = "heldout",
        removed: Collection[str] = (),
        calibrating: bool = False,
        seeds: Sequence[int] = (0,),
        most: int | None = None,
    ) -> tuple[HeldoutQuestions, frozenset[int]]:
        """The questions about a split, and the indices of the samples that calibration may learn from.

        At most `most` samples are asked, spread evenly (None: `MOST_PICTURES` or `MOST_CLIPS`), or with `calibrating`
        those of them that it may learn from; a pair of queries for each of the `seeds`. For `removed` see
        `HeldoutQuestions`.

        Raises:
            InputError: the data set or the split is not there.
        """
        dataset, of_pictures, words = self.load(root, split), self.clip_length == 1, Vocabulary.builtin()
        most = most or self.most or (MOST_PICTURES if of_pictures else MOST_CLIPS)
        asked = evenly_spread(len(dataset), most)
        learns = frozenset(asked[::2] if of_pictures else ())
        chosen = learns if calibrating else asked
        questions = HeldoutQuestions(
            dataset,
            vocabulary=words,
            asked=chosen,
            removed=removed,
            seeds=seeds,
            names=self.names,
            valid=self.valid,
        )
        return questions, learns


PICTURES = (
    HeldOut("camvid", "camvid", "camvid"),
    HeldOut("idd_lite", "idd_lite", "idd_lite"),
    HeldOut("humans", "humans", "humans"),
    HeldOut("coco128", "coco128", "coco128-seg"),
    HeldOut("davis", "davis", "davis2016"),
)


def check_pictures(root: Path, *, pictures: Sequence[HeldOut] = PICTURES) -> None:
    """Raise InputError unless all of `pictures` are below `root`."""
    for each in pictures:
        each.load(root)


def clip_sets(root: Path, *, clip_length: int = CLIP_LENGTH) -> list[HeldOut]:
    """Every data set of videos that is below `root`, in the kit's folder or in one of the data set's own name."""
    folders = {each.dataset: each.folder for each in PICTURES}
    videos = [name for name, kind in DATASETS.items() if "clip_length" in inspect.signature(kind).parameters]
    sets = [HeldOut(f"{name} clips", name, folders.get(name, name), clip_length) for name in videos]
    return [each for each in sets if (root / each.folder).is_dir()]


SCENES = 240
SIZE = (352, 512)  # of a scene, height and width
ZOOM = (1.0, 1.6)
STREETS = PICTURES[:2]  # of the still pictures
ACTORS = tuple(each for each in PICTURES if each.row != "coco128")  # of the cut-outs
# the row's category, and what must be in sight in a scene without it: the same things, moving otherwise
ROWS = {
    f"moving: {FAST}": (FAST, "person"),
    f"moving: {DRIVING}": (DRIVING, PARKED),
    f"crowd: {FAST}": (FAST, "person"),
}
# people of 20 to 60 analysed pixels who all walk, and in half of the scenes one or two who run
WALKERS = {f"crowd: {FAST}": Crowd(people=(15, 40), height=(20.0, 60.0), running=0.0, riders=False)}


@lru_cache(maxsize=1)  # it takes seconds, and all rows ask the same
def scene_bank(root: Path) -> CutoutBank:
    """The cut-outs of the held-out sets: who moves through made scenes."""
    return CutoutBank(Mixture([each.load(root) for each in ACTORS], [1.0] * len(ACTORS)))


class MovingScenes:
    """Questions about one motion word: each scene is asked for it among absent names.

    Scenes in which the answer is doubtful (a cyclist is a fast-moving person, too) are left out. `row` is a key of
    `ROWS`; a scene depends on its number alone.
    """

    def __init__(self, root: Path, row: str, *, scenes: int = SCENES) -> None:
        self._word, self._otherwise = ROWS[row]
        self._crowd: dict[str, Any] = {"crowd": WALKERS[row], "crowded": 1.0} if row in WALKERS else {}
        self._streets = Mixture([each.load(root) for each in STREETS], [1.0] * len(STREETS))
        self._bank = scene_bank(root)
        self._scenes = scenes

    def __len__(self) -> int:
        return self._scenes

    def __iter__(self) -> Iterator[Question]:
        for index in range(self._scenes):
            rng = np.random.default_rng((index, len(self._word)))
            view = reframe(self._streets.draw(rng), size=SIZE, rng=rng, scale=ZOOM, drop_share=0)
            scene = set_in_motion(view, self._bank, length=1, rng=rng, **self._crowd)
            queries = () if self._doubtful(scene) else (self._query(scene, index, rng),)
            yield Question(scene, index, queries, ())

    def _doubtful(self, scene: SegmentationSample) -> bool:
        listed = scene.masks.get(self._word)
        if listed is not None:
            return not listed.any()
        return self._otherwise not in scene.masks or not scene.masks[self._otherwise].any()

    def _query(self, scene: SegmentationSample, index: int, rng: np.random.Generator) -> Query:
        vocabulary = Vocabulary.builtin()
        conflicts = vocabulary.picture(scene.masks, scene.dataset, scene=scene.scene).names
        absent = [name for name in vocabulary.names if name not in conflicts]
        names = [self._word, *rng.choice(absent, CATEGORIES - 1, replace=False).tolist()]
        return Query(index, tuple(rng.permutation(names).tolist()), self._word if self._word in scene.masks else None)


class WordsAlone:
    """A bag of names: logistic regression on which names a query holds, and nothing else.

    Learns from queries about training samples, drawn by the rule of the test.
    """

    def __init__(self, model: "Pipeline") -> None:
        self._model = model

    @classmethod
    def learn(cls, queries: Sequence[Query]) -> "WordsAlone | None":
        """None where the queries are not of both kinds, so that there is nothing to learn."""
        from sklearn.feature_extraction.text import CountVectorizer  # slow to import
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        labels = [query.positive is not None for query in queries]
        if len(set(labels)) < 2:
            return None
        # a name is one word, however many it is written with
        model = make_pipeline(CountVectorizer(analyzer=tuple), LogisticRegression(max_iter=1000))
        return cls(model.fit([query.categories for query in queries], labels))

    def scores(self, queries: Iterable[tuple[str, ...]]) -> NDArray[np.float64]:
        """Logits `[N]` that a named category is there; names that were never learnt from say nothing."""
        queries = list(queries)
        return self._model.decision_function(queries) if queries else np.zeros(0)
