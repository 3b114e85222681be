"""An exported model against the model that it comes from: both asked about the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lavida.answer import Answer, Floats, Motion
from lavida.checkpoints.pretrained import LavidaModel
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.model.phrase import split_phrase
from lavida.runtime.exported import ExportedModel
from lavida.torch_backend import TorchBackend
from lavida.video.decode import Footage

CATEGORIES = ("bicycle", "person lying on the ground", "red car", "smoke")
CLIPS = 2
STRIDE = 3
MOST = 1e-3  # of a score: more is no rounding
MOST_HALF = 5e-3  # with weights in half precision
FIELDS = ("frame_logits", "scores", "category_scores", "pixel_logits")


def compare(
    model: LavidaModel,
    exported: ExportedModel,
    *,
    source: Footage | None = None,
    categories: Sequence[str] = CATEGORIES,
    most: float = MOST,
) -> dict[str, float]:
    """The largest difference of f_sem and of each field of their answers about the first two clips of a source.

    Args:
        model: On the CPU, asked in float32.
        exported: What was made of it.
        source: Every third frame of it is looked at; by default made-up frames in which things move.
        categories: What is looked for.
        most: The largest difference of a score that is still rounding.

    Raises:
        InputError: The source cannot be read, or a score differs by more than `most`.
    """
    both = _Both(model, exported)
    detector = Detector(both, name="both")
    footage = made_up_frames(3 * detector.clip_length + 1) if source is None else source
    # things alone, too: where nothing qualifies them another graph may answer
    for asked in (categories, [split_phrase(category).noun for category in categories]):
        for _ in islice(detector.stream(footage, asked, stride=STRIDE), CLIPS):
            pass
    worst = both.differences["category_scores"]
    if not worst <= most:
        raise InputError(
            f"the exported model does not say in {exported.graphs.name} what the model says: "
            f"scores differ by {worst:.2g}; use it with PyTorch, or another version of the runtime"
        )
    return both.differences


class _Both(TorchBackend):
    """Asks both about each clip; notes the largest differences."""

    def __init__(self, model: LavidaModel, exported: ExportedModel) -> None:
        super().__init__(model, torch.device("cpu"))
        self.autocast = nullcontext  # bf16 would hide what is compared
        self._exported = exported
        self.differences = dict.fromkeys(("f_sem", *FIELDS), 0.0)

    def answer(
        self,
        frames: NDArray[np.uint8],
        categories: Sequence[str],
        *,
        motion: Motion | None = None,
        template: int | None = None,
    ) -> Answer:
        answer = super().answer(frames, categories, motion=motion, template=template)
        other = self._exported.answer(frames, categories, motion=motion, template=template)
        for name in FIELDS:
            self._note(name, getattr(answer, name), getattr(other, name))
        with torch.inference_mode():
            f_sem, _ = self.model.clip_semantics(torch.from_numpy(frames)[None], [list(categories)])
        self._note("f_sem", f_sem[0].numpy(), self._exported.f_sem(frames, categories))
        return answer

    def _note(self, name: str, one: Floats, other: Floats) -> None:
        found = np.abs(one - other).max()
        self.differences[name] = float(np.maximum(self.differences[name], found))  # what is no number stays none


def made_up_frames(count: int, *, size: tuple[int, int] = (270, 480), seed: int = 0) -> NDArray[np.uint8]:
    """Coloured things that cross a textured scene, uint8 `[count, H, W, 3]`."""
    random = np.random.default_rng(seed)
    height, width = size
    scene = cv2.resize(random.integers(40, 200, (height // 16, width // 16, 3), np.uint8), (width, height))
    grained = np.clip(scene + random.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)
    frames = np.repeat(grained[None], count, 0)
    for _ in range(6):
        colour = random.integers(0, 255, 3, np.uint8)
        high, wide = random.integers(16, 70, 2)
        y, x, speed = random.integers(0, height - high), random.integers(0, width), random.integers(-7, 8)
        for t in range(count):
            left = int(x + speed * t) % width
            frames[t, y : y + high, left : left + wide] = colour
    return frames
