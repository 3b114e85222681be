"""From the model's output, clip by clip, to a Detection; memory does not grow with pixels."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch.nn import functional as F

from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.model.lavida import LavidaModel, LavidaOutput
from lavida.resizing import nearest
from lavida.video.clips import Clip
from lavida.video.decode import Frame, SourceInfo

MASK_LOGIT = 0.0  # a pixel is abnormal when that is more likely than not
LEAST_MASK_SHARE = 0.0002  # of the frame: smaller specks are not worth a mask


class Gatherer:
    """Collects what each clip says; holds scores and run-length masks, never pixels (unless maps are kept)."""

    def __init__(self, info: SourceInfo, categories: tuple[str, ...], *, threshold: float, keep_maps: bool):
        self.info, self.categories, self.threshold = info, categories, threshold
        self.times: list[float] = []
        self.sampled: list[int] = []
        self.scores: list[np.ndarray] = []
        self.category_scores: list[np.ndarray] = []
        self.masks: list[Mask] = []
        self.maps: list[np.ndarray] | None = [] if keep_maps else None

    def watch(self, frames: Iterable[Frame], progress: Callable[[int], None] | None) -> Iterator[Frame]:
        """Pass frames on and note the time of each."""
        for frame in frames:
            self.times.append(frame.time_s)
            if progress is not None:
                progress(len(self.times))
            yield frame

    def add(self, clip: Clip, output: LavidaOutput, model: LavidaModel) -> None:
        """Take the scores of a clip, and masks where a score is over the threshold."""
        scores = model.calibrated(output.frame_logits[0]).sigmoid().float().cpu().numpy()  # [T]
        per_category = model.category_scores(output, count=len(self.categories))[0].float().cpu().numpy()  # [T, K]
        if not (np.isfinite(scores).all() and np.isfinite(per_category).all()):
            raise InputError("the model's scores are not numbers: its weights are damaged; save or train it again")
        self.sampled.extend(clip.indices.tolist())
        self.scores.append(scores)
        self.category_scores.append(per_category)
        for t, score in enumerate(scores):
            wanted = score >= self.threshold
            if not (wanted or self.maps is not None):
                continue
            logits = self._at_display_size(output.pixel_logits[:, t : t + 1])
            if self.maps is not None:
                self.maps.append(logits.half().cpu().numpy())
            if wanted:
                self._add_masks(int(clip.indices[t]), logits, output, t, per_category[t])

    def _at_display_size(self, logits: torch.Tensor) -> torch.Tensor:
        """`[1,1,h,w]` -> `[H,W]`."""
        size = (self.info.height, self.info.width)
        return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)[0, 0]

    def _add_masks(
        self, frame: int, logits: torch.Tensor, output: LavidaOutput, t: int, per_category: np.ndarray
    ) -> None:
        """One mask a category that is over the threshold: each pixel goes to the one with the most evidence there."""
        abnormal = (logits >= MASK_LOGIT).cpu().numpy()  # [H, W]
        if output.evidence is None or len(self.categories) == 1:
            shares = {int(per_category.argmax()): abnormal}
        else:
            owner = nearest(output.evidence[0, t].argmax(0).to(torch.uint8).cpu().numpy(), abnormal.shape)
            shares = {index: abnormal & (owner == index) for index in np.unique(owner).tolist()}
        for index, pixels in shares.items():
            if per_category[index] >= self.threshold and pixels.mean() >= LEAST_MASK_SHARE:
                self.masks.append(
                    Mask.from_pixels(
                        pixels, frame=frame, category=self.categories[index], score=float(per_category[index])
                    )
                )

    def finish(self, run: dict) -> Detection:
        """The whole result."""
        return Detection(
            info=self.info,
            categories=self.categories,
            times=np.array(self.times),
            sampled=np.array(self.sampled),
            sampled_scores=np.concatenate(self.scores),
            sampled_category_scores=np.concatenate(self.category_scores),
            threshold=self.threshold,
            masks=self.masks,
            run=run,
            pixel_maps=None if self.maps is None else np.stack(self.maps),
        )
