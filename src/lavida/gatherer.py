"""From the model's output, clip by clip, to a Detection; memory does not grow with pixels."""

from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from lavida.detection import Detection, Mask
from lavida.resizing import nearest
from lavida.scored_clip import ScoredClip
from lavida.video.decode import Frame, SourceInfo

MASK_LOGIT = 0.0  # a pixel is abnormal when that is more likely than not
LEAST_MASK_SHARE = 0.0002  # of the frame: smaller specks are not worth a mask


class Gatherer:
    """Collects what each clip says; holds scores and run-length masks, never pixels (unless maps are kept)."""

    def __init__(self, info: SourceInfo, categories: tuple[str, ...], *, threshold: float, keep_maps: bool):
        self.info, self.categories, self.threshold = info, categories, threshold
        # Flat arrays: thousands of small tensors, held between the large ones of each step, would fragment the heap.
        self.times, self.sampled = array("d"), array("q")
        self.scores, self.category_scores = array("f"), array("f")
        self.masks: list[Mask] = []
        self.maps: list[np.ndarray] | None = [] if keep_maps else None

    def watch(self, frames: Iterable[Frame], progress: Callable[[int], None] | None) -> Iterator[Frame]:
        """Pass frames on and note the time of each."""
        for frame in frames:
            self.times.append(frame.time_s)
            if progress is not None:
                progress(len(self.times))
            yield frame

    def add(self, clip: ScoredClip) -> None:
        """Take the scores of a clip, and masks where a score is over the threshold."""
        self.sampled.frombytes(clip.indices.tobytes())
        self.scores.frombytes(clip.scores.tobytes())
        self.category_scores.frombytes(clip.category_scores.tobytes())
        for t, score in enumerate(clip.scores):
            if self.maps is not None:
                self.maps.append(clip.pixel_map(t))
            if score >= self.threshold:
                self._add_masks(clip, t)

    def _add_masks(self, clip: ScoredClip, t: int) -> None:
        """One mask a category that is over the threshold: each pixel goes to the one with the most evidence there."""
        per_category, evidence = clip.category_scores[t], clip.output.evidence
        abnormal = (clip.logits(t) >= MASK_LOGIT).cpu().numpy()  # [H, W]
        if evidence is None or len(self.categories) == 1:
            shares = {int(per_category.argmax()): abnormal}
        else:
            owner = nearest(evidence[0, t].argmax(0).to(torch.uint8).cpu().numpy(), abnormal.shape)
            shares = {index: abnormal & (owner == index) for index in np.unique(owner).tolist()}
        for index, pixels in shares.items():
            if per_category[index] >= self.threshold and pixels.mean() >= LEAST_MASK_SHARE:
                self.masks.append(
                    Mask.from_pixels(
                        pixels,
                        frame=int(clip.indices[t]),
                        category=self.categories[index],
                        score=float(per_category[index]),
                    )
                )

    def finish(self, run: dict) -> Detection:
        """The whole result."""
        return Detection(
            info=self.info,
            categories=self.categories,
            times=np.array(self.times),
            sampled=np.array(self.sampled),
            sampled_scores=np.array(self.scores),
            sampled_category_scores=np.array(self.category_scores).reshape(-1, len(self.categories)),
            threshold=self.threshold,
            masks=self.masks,
            run=run,
            pixel_maps=None if self.maps is None else np.stack(self.maps),
        )
