"""Data sets without files, named in recipes as `toy_sets:<Class>`."""

from pathlib import Path

import numpy as np

from lavida.exposure.sample import SegmentationSample

HEIGHT, WIDTH = 48, 64


class Toys:
    """Every sample shows two things of the vocabulary, each a square of its own gray."""

    name: str
    vocabulary: tuple[str, ...]

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        self._length = clip_length
        if split == "heldout":
            self.vocabulary = (*self.vocabulary, "koala")

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> SegmentationSample:
        rng = np.random.default_rng(index)
        frames = rng.integers(0, 60, (self._length, HEIGHT, WIDTH, 3), dtype=np.uint8)
        masks = {}
        for place, name in enumerate(rng.choice(self.vocabulary, 2, replace=False).tolist()):
            masks[name] = np.zeros(frames.shape[:3], bool)
            masks[name][:, 8:40, 4 + 30 * place : 28 + 30 * place] = True
            frames[masks[name]] = 100 + 50 * place
        key = f"{index // 8}/{index}"
        return SegmentationSample(frames=frames, masks=masks, ignore=None, dataset=self.name, key=key)


class Animals(Toys):
    name = "toy_animals"
    vocabulary = ("cat", "dog", "zebra", "cow", "giraffe", "flamingo", "camel", "bear", "goat")


class Things(Toys):
    name = "toy_things"
    vocabulary = ("car", "boat", "pizza", "clock", "scissors", "umbrella", "oven", "kite", "fork", "bed")


class Movers(Toys):
    """Things that can be cut out and set in motion, under the name that they have there."""

    name = "coco128"
    vocabulary = ("person", "car", "dog", "bus")


class Fires(Toys):
    """Bright triangles on the ground."""

    name = "toy_fires"
    vocabulary = ("fire", "cat")

    def __getitem__(self, index: int) -> SegmentationSample:
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        flame = (rows >= 8) & (rows < 40) & (np.abs(columns - 30) < (rows - 6) / 3)
        frame = np.where(flame[..., None], (255, 180, 30), 40).astype(np.uint8)
        masks = {"fire": np.repeat(flame[None], self._length, 0)}
        return SegmentationSample(np.repeat(frame[None], self._length, 0), masks, None, self.name, str(index))


class Texts(Toys):
    """Expressions, each of one sample, and the class of what they speak of."""

    name = "toy_texts"
    said = ("a wug", "a wug beside a dog")
    vocabulary = (*(f"{thing} number {i}" for i in range(40) for thing in ("puppy", "black suv", "blarg")), *said)

    def __getitem__(self, index: int) -> SegmentationSample:
        sample = super().__getitem__(index)
        spoken = {
            f"{thing} number {index}": mask
            for thing, mask in zip(("puppy", "blarg"), sample.masks.values(), strict=True)
        }
        return SegmentationSample(
            frames=sample.frames,
            masks={"dog": np.zeros_like(spoken["puppy number " + str(index)]), **spoken},
            ignore=None,
            dataset=self.name,
            key=sample.key,
            expressions={f"blarg number {index}": self.said},
        )
