"""From the model's output, clip by clip, to a Detection; memory does not grow with pixels."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from lavida import __version__
from lavida.answer import Answer, Floats
from lavida.detection import Detection, Mask, nearest
from lavida.errors import InputError
from lavida.masks import cleaned
from lavida.smoothing import looks
from lavida.timing import StageClock, peak_memory_mb
from lavida.video.clips import Clip
from lavida.video.decode import ReadAhead
from lavida.video.source import Frame, Source

MASK_LOGIT = 0.0  # a pixel is abnormal when that is more likely than not
LEAST_MASK_SHARE = 0.0002  # of the frame: smaller specks are not worth a mask
CANDIDATE_FLOOR = 0.2  # score from which masks are kept, so that a threshold can be chosen later


@dataclass(frozen=True)
class ScoredClip:
    """What the model says of T analysed frames of one video, K categories: scores at once, maps when asked for."""

    indices: np.ndarray  # int64 [T], each frame's index in the video, ascending
    times: np.ndarray  # float64 [T], seconds since the video's first frame
    answer: Answer
    size: tuple[int, int]  # height, width of the displayed frame
    looks: np.ndarray  # float32 [T, 16, 16], of `smoothing.looks`

    @classmethod
    def of(cls, clip: Clip, answer: Answer, *, size: tuple[int, int]) -> ScoredClip:
        """Raises InputError if the scores are not numbers."""
        if not (np.isfinite(answer.frame_logits).all() and np.isfinite(answer.category_logits).all()):
            raise InputError("the model's scores are not numbers: its weights are damaged; save or train it again")
        return cls(clip.indices, clip.times, answer, size, looks(clip.frames))

    @property
    def frame_logits(self) -> Floats:
        """`[T]`, calibrated; they tell frames apart whose scores are all 1."""
        return self.answer.frame_logits

    @cached_property
    def scores(self) -> Floats:
        """`[T]` in [0, 1]."""
        return self.answer.scores

    @cached_property
    def category_scores(self) -> Floats:
        """`[T, K]` in [0, 1]."""
        return self.answer.category_scores

    @cached_property
    def _masks(self) -> dict[tuple[float, int], list[Mask]]:
        return {}  # asked for by whoever shows them, and again by the result

    @cached_property
    def _maps(self) -> Floats:
        return self.answer.pixel_maps()  # [T, H/4, W/4]

    def pixel_map(self, t: int) -> np.ndarray:
        """One row of `Detection.pixel_maps`: float16 `[H, W]`."""
        return self._shown(self._maps[t]).astype(np.float16)

    def masks(self, t: int) -> dict[int, np.ndarray]:
        """The abnormal pixels of frame `t` at display size, bool `[H, W]`, by category.

        Each goes to the category with the most evidence there, or all to the surest where the model cannot tell
        them apart.
        """
        logits = self._shown(self.answer.pixel_logits[t])  # [H, W]
        abnormal = logits >= MASK_LOGIT
        clean = cleaned if self.answer.clean_masks else lambda mask, _: mask
        strongest = self.answer.strongest
        if strongest is None or self.category_scores.shape[1] == 1:
            return {int(self.category_scores[t].argmax()): clean(abnormal, logits)}
        owner = nearest(strongest(t), abnormal.shape)
        # what is filled is not another category's
        masks = {index: abnormal & (owner == index) for index in np.unique(owner).tolist()}
        return {index: clean(mask, logits) & (mask | ~abnormal) for index, mask in masks.items()}

    def masks_over(self, floor: float, t: int, categories: Sequence[str]) -> list[Mask]:
        """The masks of frame `t` if its score reaches the floor, of the categories that do; specks are left out."""
        if (floor, t) not in self._masks:
            self._masks[floor, t] = self._masks_over(floor, t, categories)
        return self._masks[floor, t]

    def _masks_over(self, floor: float, t: int, categories: Sequence[str]) -> list[Mask]:
        scores = self.category_scores[t]
        if self.scores[t] < floor or scores.max() < floor:
            return []
        return [
            Mask.from_pixels(pixels, frame=int(self.indices[t]), category=categories[index], score=float(scores[index]))
            for index, pixels in self.masks(t).items()
            if scores[index] >= floor and pixels.mean() >= LEAST_MASK_SHARE
        ]

    def _shown(self, small: Floats) -> Floats:
        return np.asarray(cv2.resize(small, self.size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


class FrameLog:
    """Passes the frames of a source on and notes the time of each, whether it is analysed or not."""

    def __init__(self, frames: Iterable[Frame], progress: Callable[[int], object] | None = None) -> None:
        self._frames, self._progress = frames, progress
        self.times = array("d")  # flat: a list of floats would take four times as much

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.times.append(frame.time_s)
            if self._progress is not None:
                self._progress(len(self.times))
            yield frame


class DetectionBuilder:
    """Collects what each clip says; holds scores and run-length masks, never pixels (unless maps are kept)."""

    def __init__(self, source: Source, categories: tuple[str, ...], *, threshold: float, keep_maps: bool) -> None:
        self._source, self._categories, self._threshold = source, categories, threshold
        self._floor = min(CANDIDATE_FLOOR, threshold)
        # Flat arrays: thousands of small tensors, held between the large ones of each step, would fragment the heap.
        self.sampled = array("q")
        self._scores, self._category_scores = array("f"), array("f")
        self._candidates: list[Mask] = []
        self._maps: list[np.ndarray] | None = [] if keep_maps else None

    def add(self, clip: ScoredClip) -> None:
        """Take the scores of a clip, and masks of what may be abnormal at some threshold."""
        self.sampled.frombytes(clip.indices.tobytes())
        self._scores.frombytes(clip.scores.tobytes())
        self._category_scores.frombytes(clip.category_scores.tobytes())
        for t in range(len(clip.scores)):
            if self._maps is not None:
                self._maps.append(clip.pixel_map(t))
            self._candidates += clip.masks_over(self._floor, t, self._categories)

    def finish(self, log: FrameLog, run: dict[str, Any], clock: StageClock) -> Detection:
        """The whole result; `log` has seen every frame, `run` tells of the model what the record of a run holds."""
        return Detection(
            info=self._source.info,
            categories=self._categories,
            times=np.array(log.times),
            sampled=np.array(self.sampled),
            sampled_scores=np.array(self._scores),
            sampled_category_scores=np.array(self._category_scores).reshape(-1, len(self._categories)),
            threshold=self._threshold,
            candidates=self._candidates,
            run=self._record(run, clock, frames=len(log.times)),
            source=getattr(self._source, "source", self._source),  # without what reads it ahead
            pixel_maps=None if self._maps is None else np.stack(self._maps),
        )

    def _record(self, run: dict[str, Any], clock: StageClock, *, frames: int) -> dict[str, Any]:
        """A `RunRecord`."""
        source = self._source
        contrast = source.info.contrast
        return {
            **run,
            "source": str(source.info.path),
            "categories": list(self._categories),
            "versions": {"lavida": __version__, **run["versions"]},
            "width": source.info.width,
            "height": source.info.height,
            "fps": source.info.fps,
            "stage_ms": clock.milliseconds() | (source.clock.milliseconds() if isinstance(source, ReadAhead) else {}),
            "frames_per_second": round(frames / clock.elapsed(), 2),
            "peak_memory_mb": peak_memory_mb(),
            "contrast": None if contrast is None else [contrast.low, contrast.high],
            "warnings": list(source.warnings),
            "notes": [*run.get("notes", ()), *getattr(source, "notes", ())],  # own sources may have none
            "frames": frames,
            "analysed_frames": len(self.sampled),
        }
