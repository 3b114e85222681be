"""Detection: when and where something abnormal happens in one video; the one result every consumer takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_rle

from lavida.errors import InputError, needed
from lavida.events import MERGE_GAP_S as MERGE_GAP_S
from lavida.events import Event as Event
from lavida.events import EventSettings, ScoredFrame, cut
from lavida.events import check_threshold as check_threshold
from lavida.events import shortest as shortest

if TYPE_CHECKING:
    import supervision

    from lavida.export.result import MaskRecord, SegmentationRecord
    from lavida.video.source import Source, SourceInfo

LAST_STEPS = 6  # frames at the end that tell how long the last one lasts


@dataclass(frozen=True)
class Mask:
    """The pixels of one category in one analysed frame."""

    frame: int  # index in presentation order
    category: str
    score: float  # how sure the model is, in [0, 1]
    size: tuple[int, int]  # height, width in displayed pixels
    counts: str  # COCO compressed RLE (column-major)

    @classmethod
    def from_pixels(cls, pixels: np.ndarray, *, frame: int, category: str, score: float) -> Mask:
        """Encode a boolean map `[H, W]` at display size."""
        rle = coco_rle.encode(np.asfortranarray(pixels, dtype=np.uint8))
        size = (int(pixels.shape[0]), int(pixels.shape[1]))
        return cls(int(frame), category, shortest(score), size, rle["counts"].decode("ascii"))

    @property
    def rle(self) -> SegmentationRecord:
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

    def to_json(self) -> MaskRecord:
        """The mask as it stands in `masks.json`."""
        return {"frame": self.frame, "category": self.category, "score": self.score, "segmentation": self.rle}

    @classmethod
    def from_json(cls, record: MaskRecord) -> Mask:
        """A mask as it stands in `masks.json`."""
        (height, width), counts = record["segmentation"]["size"], record["segmentation"]["counts"]
        return cls(record["frame"], record["category"], record["score"], (height, width), counts)


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
        threshold: score from which a frame counts as abnormal.
        candidates: masks of the analysed frames whose score is at least 0.2, so that another threshold can be chosen.
        masks: those of them over the threshold.
        run: how the result came about, written to `run.json`.
        source: where the frames came from, None for a result that was loaded; `save` draws the overlay from it.
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
    candidates: list[Mask] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    source: Source | None = None
    pixel_maps: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.categories = tuple(self.categories)
        self.times = np.asarray(self.times, dtype=np.float64)
        self.sampled = np.asarray(self.sampled, dtype=np.int64)
        self.sampled_scores = np.asarray(self.sampled_scores, dtype=np.float32)
        self.sampled_category_scores = np.asarray(self.sampled_category_scores, dtype=np.float32)
        self._check()
        self.candidates = self.candidates or list(self.masks)
        self.masks = self.masks or self.masks_over(self.threshold)

    def _check(self) -> None:
        frames, analysed, kinds = len(self.times), len(self.sampled), len(self.categories)
        if not frames or np.any(np.diff(self.times) < 0):
            raise ValueError("times must hold at least one frame and never decrease")
        if not analysed or self.sampled[0] < 0 or self.sampled[-1] >= frames or np.any(np.diff(self.sampled) < 1):
            raise ValueError(f"sampled must hold at least one frame and ascend within 0 to {frames - 1}")
        if not kinds:
            raise ValueError("categories must hold at least one text")
        for name, shape in {"sampled_scores": (analysed,), "sampled_category_scores": (analysed, kinds)}.items():
            scores = getattr(self, name)
            if scores.shape != shape:
                raise ValueError(f"{name} must be {list(shape)}, not {list(scores.shape)}")
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
    def categories_by_frame(self) -> list[str]:
        """The most responsible category of every frame, `[N]`."""
        return [self.categories[index] for index in self.category_scores.argmax(axis=1)]

    @property
    def category(self) -> list[str]:
        """Earlier name of `categories_by_frame`."""
        warnings.warn("Detection.category is now called categories_by_frame", DeprecationWarning, stacklevel=2)
        return self.categories_by_frame

    def at(self, threshold: float) -> Detection:
        """The same result at another threshold, with the masks of that one; the video is not read again."""
        return replace(self, threshold=threshold, masks=[])

    def masks_over(self, threshold: float) -> list[Mask]:
        """The masks at another threshold, from 0.2 on: of the frames and categories whose score reaches it."""
        scores = dict(zip(self.sampled.tolist(), self.sampled_scores.tolist(), strict=True))
        return [m for m in self.candidates if m.score >= threshold and scores.get(m.frame, 1.0) >= threshold]

    def events(
        self,
        threshold: float | None = None,
        *,
        min_length_s: float | None = None,
        merge_gap_s: float = MERGE_GAP_S,
    ) -> list[Event]:
        """The abnormal stretches of the video in order, found by hysteresis on `scores`.

        Args:
            threshold: score from which a frame is abnormal; that of the detection if None.
            min_length_s: shorter ones are left out; None leaves out only those of a single frame that is not sure.
            merge_gap_s: stretches less than this apart are one.

        Raises:
            InputError: a threshold that is not between 0 and 1, or a length or gap below 0.

        Example:
            >>> import numpy as np
            >>> from pathlib import Path
            >>> from lavida import Detection
            >>> from lavida.video.source import SourceInfo
            >>> found = Detection(
            ...     info=SourceInfo(Path("street.mp4"), "street", 64, 48, 10.0, 6),
            ...     categories=("bicycle",),
            ...     times=np.arange(6) / 10,
            ...     sampled=np.arange(6),
            ...     sampled_scores=np.array([0.1, 0.3, 0.9, 0.8, 0.3, 0.1]),
            ...     sampled_category_scores=np.array([[0.1], [0.3], [0.9], [0.8], [0.3], [0.1]]),
            ...     threshold=0.5,
            ... )
            >>> [(event.start_s, event.end_s, event.category) for event in found.events()]
            [(0.2, 0.4, 'bicycle')]
            >>> found.events(threshold=0.95)
            []
        """
        threshold = self.threshold if threshold is None else threshold
        settings = EventSettings(threshold=threshold, min_length_s=min_length_s, merge_gap_s=merge_gap_s)
        masks = self.masks if threshold == self.threshold else self.masks_over(threshold)
        return cut(self._scored_frames(masks), self.categories, settings, end_s=self.end_s)

    def _scored_frames(self, masks: list[Mask]) -> Iterator[ScoredFrame]:
        analysed = np.zeros(len(self.times), bool)
        analysed[self.sampled] = True
        by_frame: dict[int, list[Mask]] = {}
        for mask in masks:
            by_frame.setdefault(mask.frame, []).append(mask)
        columns = zip(self.times.tolist(), self.scores.tolist(), self.category_scores, analysed.tolist(), strict=True)
        for index, (time_s, score, category_scores, is_analysed) in enumerate(columns):
            yield ScoredFrame(time_s, score, category_scores, is_analysed, by_frame.get(index, ()))

    def to_supervision(self, frame: int) -> supervision.Detections:
        """The masks of frame number `frame` for the tools of `supervision`: those of the last analysed one up to it.

        Returns:
            Detections with `xyxy`, `mask`, `confidence`, `class_id` (the category's place) and `data["class_name"]`.

        Raises:
            InputError: supervision is not installed, or there is no such frame.

        Example:
            >>> import lavida, numpy
            >>> found = lavida.load("nano").detect(numpy.zeros((4, 48, 64, 3), numpy.uint8), ["bicycle"], fps=10)
            >>> type(found.to_supervision(2)).__name__  # needs the package supervision
            'Detections'
        """
        supervision = needed("supervision")
        if not 0 <= frame < len(self.times):
            raise InputError(f"no frame {frame}: {self.info.path} has frames 0 to {len(self.times) - 1}")
        analysed = int(self.sampled[max(int(np.searchsorted(self.sampled, frame, side="right")) - 1, 0)])
        masks = [mask for mask in self.masks if mask.frame == analysed and mask.box is not None]
        if not masks:
            return supervision.Detections.empty()
        boxes, names = np.array([mask.box for mask in masks], np.float32), [mask.category for mask in masks]
        return supervision.Detections(
            xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
            mask=np.stack([mask.pixels for mask in masks]),
            confidence=np.array([mask.score for mask in masks], np.float32),
            class_id=np.array([self.categories.index(name) for name in names]),
            data={"class_name": np.array(names)},
        )

    def save(
        self,
        folder: str | Path,
        *,
        overlay: bool = True,
        source: Source | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Path:
        """Write the result folder in one atomic step, replacing an older result there; returns its absolute path.

        Args:
            folder: the folder to become the result; its parents are made.
            overlay: also draw `overlay.mp4`, which reads the source a second time.
            source: where to read it; that of the detection if None, else the file it came from.
            progress: called with the number of overlay frames done.

        Raises:
            InputError: the folder cannot be written, the disk is full, something else lives there, or the source cannot
                be read again.

        Example:
            >>> import lavida, numpy, tempfile
            >>> found = lavida.load("nano").detect(numpy.zeros((4, 48, 64, 3), numpy.uint8), ["bicycle"], fps=10)
            >>> with tempfile.TemporaryDirectory() as place:
            ...     folder = found.save(f"{place}/result", overlay=False)
            ...     print(sorted(file.name for file in folder.iterdir())[:3])
            ...     lavida.Detection.load(folder).categories
            ['analysis.npz', 'candidates.json.gz', 'events.json']
            ('bicycle',)
        """
        from lavida.export.result import write_result  # drawing libraries are slow to import

        return write_result(self, Path(folder), overlay=overlay, source=source, progress=progress)

    @classmethod
    def load(cls, folder: str | Path) -> Detection:
        """What `save` wrote, but for `pixel_maps` and the source. Raises InputError for anything else.

        See `save` for an example.
        """
        from lavida.export.result import read_result

        return read_result(Path(folder))


def nearest(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """`[H, W]` brought to `size` (h, w), no values mixed: row i takes row floor(i * H / h), columns likewise."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, image.shape, strict=True))
    return image[rows[:, None], columns]  # [h, w]
