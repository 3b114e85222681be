"""Detection: when and where something abnormal happens in one video; the one result every consumer takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_rle

from lavida.export.events import Event, find_events

if TYPE_CHECKING:
    from lavida.video.decode import SourceInfo


LAST_STEPS = 6  # frames at the end that tell how long the last one lasts


@dataclass(frozen=True)
class Mask:
    """The pixels of one category in one analysed frame.

    Attributes:
        frame: index of the frame in presentation order.
        category: the category the pixels belong to.
        score: how sure the model is, in [0, 1].
        size: (height, width) in displayed pixels.
        counts: COCO compressed RLE (column-major).
    """

    frame: int
    category: str
    score: float
    size: tuple[int, int]
    counts: str

    @classmethod
    def from_pixels(cls, pixels: np.ndarray, *, frame: int, category: str, score: float) -> Mask:
        """Encode a boolean map `[H, W]` at display size."""
        rle = coco_rle.encode(np.asfortranarray(pixels, dtype=np.uint8))
        size = (int(pixels.shape[0]), int(pixels.shape[1]))
        return cls(int(frame), category, float(str(np.float32(score))), size, rle["counts"].decode("ascii"))

    @property
    def rle(self) -> dict[str, Any]:
        """The mask as pycocotools takes it."""
        return {"size": list(self.size), "counts": self.counts}

    @property
    def pixels(self) -> np.ndarray:
        """The decoded mask, bool `[H, W]`."""
        return coco_rle.decode(self.rle).astype(bool)

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """Bounding box (x, y, w, h) in displayed pixels; None for an empty mask."""
        if coco_rle.area(self.rle) == 0:
            return None
        x, y, width, height = (float(side) for side in coco_rle.toBbox(self.rle))
        return x, y, width, height

    def to_json(self) -> dict[str, Any]:
        """The mask as it stands in `masks.json`."""
        return {"frame": self.frame, "category": self.category, "score": self.score, "segmentation": self.rle}


@dataclass(eq=False, kw_only=True)
class Detection:
    """Everything found in one video. N frames, S of them analysed, K categories.

    Attributes:
        info: the source.
        categories: the K texts that describe what counts as abnormal.
        times: float64 `[N]`, seconds, never decreasing, one for every frame.
        sampled: int64 `[S]`, the analysed frames, ascending: the first, the last, and those of the stride between,
            less those that could not be read.
        sampled_scores: float32 `[S]` in [0, 1].
        sampled_category_scores: float32 `[S, K]` in [0, 1].
        masks: masks of the analysed frames whose score is over the threshold.
        threshold: score from which a frame counts as abnormal.
        run: how the result came about, written to `run.json`.
        pixel_maps: float16 logits `[S, H, W]` at display size, the maximum over categories, where asked for.
    """

    info: SourceInfo
    categories: tuple[str, ...]
    times: np.ndarray
    sampled: np.ndarray
    sampled_scores: np.ndarray
    sampled_category_scores: np.ndarray
    threshold: float
    masks: list[Mask] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    pixel_maps: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.categories = tuple(self.categories)
        self.times = np.asarray(self.times, dtype=np.float64)
        self.sampled = np.asarray(self.sampled, dtype=np.int64)
        self.sampled_scores = np.asarray(self.sampled_scores, dtype=np.float32)
        self.sampled_category_scores = np.asarray(self.sampled_category_scores, dtype=np.float32)
        self._check()

    def _check(self) -> None:
        frames, analysed, kinds = len(self.times), len(self.sampled), len(self.categories)
        if not frames or np.any(np.diff(self.times) < 0):
            raise ValueError("times must hold at least one frame and never decrease")
        if not analysed or self.sampled[0] < 0 or self.sampled[-1] >= frames or np.any(np.diff(self.sampled) < 1):
            raise ValueError(f"sampled must hold at least one frame and ascend within 0 to {frames - 1}")
        if self.sampled_scores.shape != (analysed,):
            raise ValueError(f"sampled_scores must be [{analysed}], not {list(self.sampled_scores.shape)}")
        if not kinds:
            raise ValueError("categories must hold at least one text")
        shape = self.sampled_category_scores.shape
        if shape != (analysed, kinds):
            raise ValueError(f"sampled_category_scores must be [{analysed}, {kinds}], not {list(shape)}")
        for scores in (self.sampled_scores, self.sampled_category_scores):
            if not np.all((scores >= 0) & (scores <= 1)):  # False for NaN as well
                raise ValueError("scores must be finite and in [0, 1]")

    @cached_property
    def end_s(self) -> float:
        """The end of the last frame, in seconds: it lasts as long as those before it do."""
        usual = 1 / self.info.fps
        steps = np.diff(self.times[-LAST_STEPS:])
        last = float(np.median(steps[steps > 0])) if np.any(steps > 0) else usual
        return float(self.times[-1]) + (usual if abs(last - usual) < usual / 2 else last)

    @cached_property
    def scores(self) -> np.ndarray:
        """Score of every frame, float32 `[N]`, linear in time between analysed frames."""
        return self._every_frame(self.sampled_scores)

    @cached_property
    def category_scores(self) -> np.ndarray:
        """Score of every frame for every category, float32 `[N, K]`."""
        return np.stack([self._every_frame(column) for column in self.sampled_category_scores.T], axis=1)

    def _every_frame(self, values: np.ndarray) -> np.ndarray:
        filled = np.interp(self.times, self.times[self.sampled], values).astype(np.float32)
        filled[self.sampled] = values  # frames may share a time stamp; an analysed frame keeps its own value
        return filled

    @property
    def category(self) -> list[str]:
        """The most responsible category of every frame, `[N]`."""
        return [self.categories[index] for index in self.category_scores.argmax(axis=1)]

    def events(self) -> list[Event]:
        """The abnormal stretches of the video in order, found by hysteresis on `scores`."""
        return find_events(self)

    def save(self, folder: str | Path, *, overlay: bool = True, progress: Callable[[int], None] | None = None) -> Path:
        """Write the result folder in one atomic step, replacing an older result there.

        Args:
            folder: the folder to become the result; its parents are made.
            overlay: also draw `overlay.mp4`, which reads the source a second time.
            progress: called with the number of overlay frames done.

        Returns:
            The folder as an absolute path.

        Raises:
            InputError: the folder cannot be written, the disk is full, or something else lives there.
        """
        from lavida.export.result import write_result  # drawing libraries are slow to import

        return write_result(self, Path(folder), overlay=overlay, progress=progress)
