"""What a model says of one clip, as arrays, and who says it: PyTorch or an exported model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Motion = NDArray[np.floating]
AskedClip = tuple[NDArray[np.uint8], Motion | None]  # frames and motion, as `Backend.answer` takes them


@dataclass(frozen=True, slots=True)
class Calibration:
    """Makes logits whose sigmoid is the share of positives that was seen on held-out exposure data."""

    temperature: float
    bias: float

    @classmethod
    def of(cls, config: Any) -> Calibration:
        """That of a model with these settings."""
        return cls(config.calibration_temperature, config.calibration_bias)

    def logits(self, uncalibrated: NDArray[np.floating]) -> Floats:
        """Of any shape."""
        return (uncalibrated.astype(np.float32) - np.float32(self.bias)) / np.float32(self.temperature)

    def probabilities(self, uncalibrated: NDArray[np.floating]) -> Floats:
        """Scores in [0, 1]."""
        return sigmoid(self.logits(uncalibrated))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of T frames and K categories.

    Attributes:
        frame_logits: `[T]`, calibrated.
        category_logits: `[T, K]`, calibrated; the largest of a frame is the frame's.
        pixel_logits: `[T, H/4, W/4]`.
        pixel_maps: Gives `[T, H/4, W/4]`, logits by which pixels of different frames are compared.
        strongest: Gives for frame t the category with the most evidence at each place, `[H/8, W/8]`; None for a model
            that cannot tell them apart.
        clean_masks: Whether masks lose specks and holes (`lavida.masks`).
    """

    frame_logits: Floats
    category_logits: Floats
    pixel_logits: Floats
    pixel_maps: Callable[[], Floats]
    strongest: Callable[[int], NDArray[np.uint8]] | None
    clean_masks: bool

    @property
    def scores(self) -> Floats:
        """`[T]` in [0, 1]."""
        return sigmoid(self.frame_logits)

    @property
    def category_scores(self) -> Floats:
        """`[T, K]` in [0, 1]."""
        return sigmoid(self.category_logits)

    @classmethod
    def of(
        cls,
        frame_logits: Floats,
        category_logits: Floats | None,
        calibration: Calibration,
        *,
        count: int,
        pixel_logits: Floats,
        pixel_maps: Callable[[], Floats],
        strongest: Callable[[int], NDArray[np.uint8]] | None,
        clean_masks: bool,
    ) -> Answer:
        """The scores of what a network puts out.

        The strongest category has the frame's own score, others as much less as they are. A model that cannot tell
        categories apart gives all of them the frame's.

        Args:
            frame_logits: `[T]`, y^f before calibration.
            category_logits: `[T, K]`; None without alignment.
            calibration: the model's.
            count: K.
            pixel_logits: As in the attributes, like the rest.
            pixel_maps: See there.
            strongest: See there.
            clean_masks: See there.
        """
        by_category = np.broadcast_to(frame_logits[:, None], (len(frame_logits), count))
        if category_logits is not None:
            by_category = by_category + (category_logits - category_logits.max(-1, keepdims=True))
        return cls(
            frame_logits=calibration.logits(frame_logits),
            category_logits=calibration.logits(by_category),
            pixel_logits=pixel_logits,
            pixel_maps=pixel_maps,
            strongest=strongest,
            clean_masks=clean_masks,
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What answered, for the record of a run.

    Attributes:
        settings: `device`, `runtime`, `precision`.
        versions: Of the packages that ran the network.
        peak_gpu_memory_mb: None without a GPU.
    """

    settings: dict[str, Any]
    versions: dict[str, str]
    peak_gpu_memory_mb: float | None


class Backend(Protocol):
    """Runs a network: `torch_backend.TorchBackend`, or `runtime.exported.ExportedModel` without PyTorch."""

    @property
    def config(self) -> Any:
        """The model's settings by the names of `LavidaConfig`; an export tells those that it needs."""

    @property
    def device(self) -> Any:
        """Where it runs, as PyTorch takes it."""

    def prepare(self) -> None:
        """Make answers faster; the model does not change any more."""

    def expect(self, height: int, width: int, categories: Sequence[str]) -> None:
        """Clips of a video with analysed frames of this size are about to be asked for these categories."""

    def answer(
        self,
        frames: NDArray[np.uint8],
        categories: Sequence[str],
        *,
        motion: Motion | None = None,
        template: int | None = None,
    ) -> Answer:
        """Read a clip.

        Args:
            frames: `[T, 3, H, W]`, sides multiples of 32.
            categories: K texts.
            motion: `[T, 4, H/4, W/4]` (`video.motion.motion_field`); None: unknown.
            template: Index into `lavida.model.prompt.TEMPLATES`; None: the paper's.
        """

    def answers(self, clips: Iterable[AskedClip], categories: Sequence[str]) -> Iterator[Answer]:
        """`answer` of clips of one video, in parts that hold no frames of two clips, in the order of the frames.

        A clip may be read before the last parts of the one before are told: what it says is made ready meanwhile.
        """

    def unfamiliar(self, categories: Sequence[str]) -> list[str]:
        """Those of the categories whose words the text encoder hardly knows: their scores mean little."""

    def surroundings(self) -> Surroundings:
        """What answers."""


def sigmoid(logits: Floats) -> Floats:
    """Without overflow at either end."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)
