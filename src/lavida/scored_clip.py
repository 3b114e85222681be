"""What the model says about one clip, before anybody gathers it: scores at once, maps when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional as F

from lavida.errors import InputError
from lavida.model.lavida import LavidaModel, LavidaOutput
from lavida.video.clips import Clip


@dataclass(frozen=True)
class ScoredClip:
    """T analysed frames of one video, K categories.

    Attributes:
        indices: int64 `[T]`, each frame's index in the video, ascending.
        times: float64 `[T]`, seconds since the video's first frame.
        frame_logits: float32 `[T]`, calibrated; they tell frames apart whose scores are all 1.
        scores: float32 `[T]` in [0, 1], their sigmoid.
        category_scores: float32 `[T, K]` in [0, 1].
        output: the model's own output; holds its masks.
        model: whose output it is.
        size: (height, width) of the displayed frame.
    """

    indices: np.ndarray
    times: np.ndarray
    frame_logits: np.ndarray
    scores: np.ndarray
    category_scores: np.ndarray
    output: LavidaOutput
    model: LavidaModel
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        clip: Clip,
        output: LavidaOutput,
        *,
        model: LavidaModel,
        categories: Sequence[str],
        size: tuple[int, int],
    ) -> ScoredClip:
        """Read the scores from the model's output. Raises InputError if they are not numbers."""
        logits = model.calibrated(output.frame_logits[0])  # [T]
        frame_logits, scores = (values.float().cpu().numpy() for values in (logits, logits.sigmoid()))
        per_category = model.category_scores(output, count=len(categories))[0].float().cpu().numpy()  # [T, K]
        if not (np.isfinite(scores).all() and np.isfinite(per_category).all()):
            raise InputError("the model's scores are not numbers: its weights are damaged; save or train it again")
        return cls(clip.indices, clip.times, frame_logits, scores, per_category, output, model, size)

    @cached_property
    def _maps(self) -> torch.Tensor:
        return self.model.pixel_maps(self.output)[0]  # [T, H/4, W/4]

    def logits(self, t: int) -> torch.Tensor:
        """Logits of the mask of frame `t` at display size, float32 `[H, W]`, on the model's device."""
        return self._shown(self.output.pixel_logits[0, t])

    def pixel_map(self, t: int) -> np.ndarray:
        """One row of `Detection.pixel_maps`: float16 `[H, W]` on the CPU."""
        return self._shown(self._maps[t]).half().cpu().numpy()

    def _shown(self, small: torch.Tensor) -> torch.Tensor:
        return F.interpolate(small[None, None].float(), size=self.size, mode="bilinear", align_corners=False)[0, 0]
