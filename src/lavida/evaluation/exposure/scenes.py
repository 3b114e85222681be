"""Motion in the exposure test: scenes from held-out pictures in which held-out cut-outs move or stand.

In one frame a runner looks like a walker and a driving car like a parked one, so these rows say whether the motion
input is used. Nothing of them was in training: pictures and cut-outs are of the held-out splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lavida.exposure.augment import reframe
from lavida.exposure.cutouts import CutoutBank
from lavida.exposure.datasets import load
from lavida.exposure.heldout import CATEGORIES, Prompt, Question
from lavida.exposure.mixture import Mixture
from lavida.exposure.moving import DRIVING, FAST, PARKED, set_in_motion
from lavida.exposure.sample import Segmented
from lavida.exposure.vocabulary import Vocabulary

SCENES = 240
SIZE = (352, 512)  # of a scene, height and width
ZOOM = (1.0, 1.6)
STREETS = (("camvid", "camvid"), ("idd_lite", "idd_lite"))  # data set and folder of the still pictures
ACTORS = (*STREETS, ("humans", "humans"), ("davis", "davis2016"))  # and of the cut-outs
# the row's category, and what must be in sight in a scene without it: the same things, moving otherwise
ROWS = {f"moving: {FAST}": (FAST, "person"), f"moving: {DRIVING}": (DRIVING, PARKED)}


class MovingScenes:
    """Questions about one motion word: each scene is asked for it among absent names.

    Scenes in which the answer is doubtful (a cyclist is a fast-moving person, too) are left out.

    Args:
        root: the data kit.
        row: a key of `ROWS`.
        scenes: how many to make; a scene depends on its number alone.
    """

    def __init__(self, root: Path, row: str, *, scenes: int = SCENES) -> None:
        self._word, self._otherwise = ROWS[row]
        self._streets = _heldout(root, STREETS)
        self._bank = CutoutBank(_heldout(root, ACTORS))
        self._scenes = scenes

    def __len__(self) -> int:
        """How many scenes are made."""
        return self._scenes

    def __iter__(self) -> Iterator[Question]:
        for index in range(self._scenes):
            rng = np.random.default_rng((index, len(self._word)))
            view = reframe(self._streets.draw(rng), size=SIZE, rng=rng, scale=ZOOM, without=0)
            scene = set_in_motion(view, self._bank, length=1, rng=rng)
            prompts = () if self._doubtful(scene) else (self._prompt(scene, index, rng),)
            yield Question(scene, index, prompts, ())

    def _doubtful(self, scene: Segmented) -> bool:
        listed = scene.masks.get(self._word)
        if listed is not None:
            return not listed.any()
        return self._otherwise not in scene.masks or not scene.masks[self._otherwise].any()

    def _prompt(self, scene: Segmented, index: int, rng: np.random.Generator) -> Prompt:
        vocabulary = Vocabulary.builtin()
        conflicts = vocabulary.picture(scene.masks, scene.dataset, scene=scene.scene).names
        absent = [name for name in vocabulary.names if name not in conflicts]
        names = [self._word, *rng.choice(absent, CATEGORIES - 1, replace=False).tolist()]
        return Prompt(index, tuple(rng.permutation(names).tolist()), self._word if self._word in scene.masks else None)


def _heldout(root: Path, sets: tuple[tuple[str, str], ...]) -> Mixture:
    return Mixture([load(name, root / folder, "heldout") for name, folder in sets], [1.0] * len(sets))
