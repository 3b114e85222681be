"""Detection: when and where something abnormal happens in one video; the one result every consumer takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_rle

from lavida.errors import InputError

if TYPE_CHECKING:
    import supervision

    from lavida.export.result import EventRecord, MaskRecord, SegmentationRecord
    from lavida.video.source import Source, SourceInfo

LAST_STEPS = 6  # frames at the end that tell how long the last one lasts
# An event begins at the threshold but ends only below this share of it: one threshold for both would cut an
# event to pieces whenever the score trembles around it.
RELEASE_SHARE = 0.7
# People read two alarms less than half a second apart as one.
MERGE_GAP_S = 0.5
# An event that rests on fewer analysed frames than this, and lasts less than this, may be one bad prediction.
BRIEF_ANALYSED_FRAMES = 2
BRIEF_S = 0.25
# A brief event survives when its peak covers this share of the way from the threshold to certainty.
BRIEF_CERTAINTY = 0.5


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


@dataclass(frozen=True)
class Event:
    """One abnormal stretch of a video; times in seconds."""

    start_s: float  # of the first frame
    end_s: float  # exclusive: of the frame after the last one, or the end of the video
    peak_s: float  # of the highest score (an analysed frame, the first of equals)
    peak_score: float
    category: str  # with the highest mean score over the event
    box: tuple[float, float, float, float] | None  # x, y, w, h, displayed pixels: of the mask nearest `peak_s`

    def to_json(self) -> EventRecord:
        """The event as it stands in `events.json`."""
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "peak_s": self.peak_s,
            "peak_score": self.peak_score,
            "category": self.category,
            "box": None if self.box is None else list(self.box),
        }


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
        check_threshold(threshold)
        if (min_length_s or 0) < 0 or merge_gap_s < 0:
            raise InputError("the least length and the gap of events are seconds: give 0 or more")
        ends = np.append(self.times[1:], self.end_s)
        runs = _hysteresis(self.scores, threshold=threshold)
        masks = self.masks if threshold == self.threshold else self.masks_over(threshold)
        events: list[Event] = []
        for span in _merged(runs, starts=self.times, ends=ends, gap_s=merge_gap_s):
            lasts = ends[span.stop - 1] - self.times[span.start]
            if min_length_s is None and self._is_doubtful(span, lasts, threshold):
                continue
            if min_length_s is None or lasts >= min_length_s:
                events.append(self._event(span, ends, masks))
        return events

    def _analysed_in(self, span: slice) -> np.ndarray:
        first, stop = np.searchsorted(self.sampled, [span.start, span.stop])
        return self.sampled[first:stop]

    def _is_doubtful(self, span: slice, lasts: float, threshold: float) -> bool:
        if len(self.sampled) < BRIEF_ANALYSED_FRAMES:
            return False  # a single picture has no quiet neighbour that speaks against it
        brief = len(self._analysed_in(span)) < BRIEF_ANALYSED_FRAMES and lasts < BRIEF_S
        certain = min(1.0, threshold + BRIEF_CERTAINTY * (1 - threshold))
        return brief and bool(self.scores[span].max() < certain)

    def _event(self, span: slice, ends: np.ndarray, masks: list[Mask]) -> Event:
        analysed = self._analysed_in(span)
        # frames that share a time stamp can leave a run without an analysed frame
        candidates = analysed if len(analysed) else np.arange(span.start, span.stop)
        peak = int(candidates[self.scores[candidates].argmax()])
        peak_s = float(self.times[peak])
        category = self.categories[int(self.category_scores[span].mean(axis=0, dtype=np.float64).argmax())]
        inside = [mask for mask in masks if span.start <= mask.frame < span.stop]
        # of several masks in one frame: the event's own category first, then the surest
        inside.sort(key=lambda m: (abs(self.times[m.frame] - peak_s), m.category != category, -m.score))
        return Event(
            start_s=float(self.times[span.start]),
            end_s=float(ends[span.stop - 1]),
            peak_s=peak_s,
            peak_score=shortest(self.scores[peak]),
            category=category,
            box=next((box for mask in inside if (box := mask.box) is not None), None),
        )

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
        try:
            import supervision
        except ImportError as error:
            raise InputError("supervision is not installed: pip install supervision") from error
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


def shortest(score: float | np.floating[Any]) -> float:
    """The float that is written as a float32 is: 0.87, not 0.8700000047683716."""
    return float(str(np.float32(score)))


def check_threshold(threshold: float) -> None:
    """Raises InputError unless it lies between 0 and 1."""
    if not 0 < threshold < 1:
        raise InputError(f"threshold {threshold} is out of range: choose a value between 0 and 1")


def nearest(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """`[H, W]` brought to `size` (h, w), no values mixed: row i takes row floor(i * H / h), columns likewise."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, image.shape, strict=True))
    return image[rows[:, None], columns]  # [h, w]


def _hysteresis(scores: np.ndarray, *, threshold: float) -> list[slice]:
    over = np.concatenate([[False], scores >= RELEASE_SHARE * threshold, [False]])
    edges = np.flatnonzero(over[1:] != over[:-1])
    runs = (slice(int(first), int(stop)) for first, stop in edges.reshape(-1, 2))
    return [run for run in runs if scores[run].max() >= threshold]


def _merged(spans: list[slice], *, starts: np.ndarray, ends: np.ndarray, gap_s: float) -> list[slice]:
    merged: list[slice] = []
    for span in spans:
        if merged and starts[span.start] - ends[merged[-1].stop - 1] < gap_s:
            merged[-1] = slice(merged[-1].start, span.stop)
        else:
            merged.append(span)
    return merged
