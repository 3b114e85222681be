"""The detector: source and categories -> Detection, clip by clip, with flat memory."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, repeat
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from lavida.answer import Answer, AskedClip, Backend, Calibration
from lavida.builder import DetectionBuilder, FrameLog, ScoredClip
from lavida.detection import Detection, check_threshold
from lavida.errors import InputError, unknown
from lavida.model.wording import TEMPLATES, clean_category
from lavida.smoothing import smoothed
from lavida.timing import StageClock
from lavida.video.clips import Clip, analysis_size, clips
from lavida.video.decode import Footage, Frame, ReadAhead, Source, decoded_ahead
from lavida.video.image_folder import FOLDER_FPS
from lavida.video.motion import PAIR_SHRINK, with_motion
from lavida.video.sampling import steady_stride

if TYPE_CHECKING:
    import torch

    from lavida.checkpoints.pretrained import LavidaModel
    from lavida.torch_backend import TorchBackend

DEFAULT_THRESHOLD = 0.5  # scores are calibrated: more likely than not
MOST_CATEGORIES = 200
UNFAMILIAR = "{text}: the model hardly knows these words, its scores mean little; use plain English for what is seen"


class Detector:
    """Asks a model about videos.

    Attributes:
        backend: What runs the network.
        name: What `run.json` calls it.
        motion: False: a model that sees motion looks at each frame as at a single picture.
        smoothing: Whether neighbouring frames of a steady scene have a say in each other's scores (`lavida.smoothing`).
    """

    def __init__(self, backend: Backend, *, name: str, device: torch.device | None = None):
        if device is not None:
            self._told_otherwise("Detector(model, name=, device=) is now called Detector.of(model, name=, device=)")
            backend = Detector.of(cast("LavidaModel", backend), name=name, device=device).backend
        self.backend: Backend = backend
        self.name = name
        self.motion: bool = backend.config.motion
        self.smoothing = True

    @classmethod
    def of(cls, model: LavidaModel, *, name: str, device: torch.device) -> Detector:
        """The detector that asks `model` on a device, with PyTorch."""
        from lavida.torch_backend import TorchBackend  # PyTorch is not imported for exported models

        return cls(TorchBackend(model, device), name=name)

    @property
    def torch(self) -> TorchBackend:
        """The backend where that is PyTorch. Raises InputError for an exported model."""
        if not hasattr(self.backend, "model"):
            raise InputError(
                f"this needs the model itself, and {self.name} is an export of it: give the model with --model"
            )
        return cast("TorchBackend", self.backend)

    @property
    def model(self) -> LavidaModel:
        """The model itself. Raises InputError for an exported one."""
        return self.torch.model

    @property
    def device(self) -> Any:
        """Where the model runs, as PyTorch takes it."""
        return self.backend.device

    @property
    def autocast(self) -> Callable[[], AbstractContextManager]:
        """The earlier place of `TorchBackend.autocast`."""
        self._told_otherwise("Detector.autocast is now Detector.torch.autocast")
        return self.torch.autocast

    def prepare(self) -> None:
        """The earlier place of `Backend.prepare`."""
        self._told_otherwise("Detector.prepare() is now Detector.backend.prepare()")
        self.backend.prepare()

    @staticmethod
    def _told_otherwise(what: str) -> None:
        warnings.warn(what, DeprecationWarning, stacklevel=3)

    @property
    def clip_length(self) -> int:
        """T, the most frames of a clip."""
        return self.config.clip_length

    @property
    def config(self) -> Any:
        """The model's settings, or those of them that its export tells."""
        return self.backend.config

    def probabilities(self, frame_logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """What frame logits before calibration mean: scores in [0, 1]."""
        return Calibration.of(self.config).probabilities(frame_logits)

    @property
    def knobs(self) -> dict[str, Any]:
        """What may be changed at inference, by the names of `LavidaConfig`."""
        return {name: getattr(*place) for name, place in self._places().items()}

    @contextmanager
    def changed(self, **knobs: Any) -> Iterator[None]:
        """The detector with other knobs while the block runs. Raises InputError for one that it has not."""
        places, before = self._places(), self.knobs
        if strange := sorted(knobs.keys() - places.keys()):
            raise unknown("knob", strange[0], places)
        try:
            for name, value in knobs.items():
                setattr(*places[name], value)
            yield
        finally:
            for name in knobs:
                setattr(*places[name], before[name])

    def _places(self) -> dict[str, tuple[Any, str]]:
        semantics, config = self.model.semantics, self.model.config
        return {
            "compression_ratio": (semantics, "ratio"),
            "keep_positions": (semantics, "keep_positions"),
            "use_f_sem": (config, "use_f_sem"),
            "use_f_a": (config, "use_f_a"),
            "clean_masks": (config, "clean_masks"),
            "motion": (self, "motion"),
        }

    def detect(
        self,
        source: Footage,
        anomalies: Sequence[str],
        *,
        stride: int | None = None,
        threshold: float = DEFAULT_THRESHOLD,
        pixel_maps: bool = False,
        fps: float = FOLDER_FPS,
        progress: Callable[[int], object] | None = None,
        scored: Callable[[ScoredClip], object] | None = None,
    ) -> Detection:
        """Find when and where the described anomalies happen. A path is decoded in a thread while the model works.

        Args:
            source: A video file, a picture or a folder of pictures, an opened source, an array of frames uint8 RGB
                `[T, H, W, 3]`, a list of Pillow's pictures, or an iterable of `(frame, time_s)`.
            anomalies: What counts as abnormal, 1 to 200 texts.
            stride: Analyse frames 0, stride, 2 stride, ... and the last; by default as many as leave no gap of more
                than 0.2 s, by the time of each frame.
            threshold: Score in (0, 1) from which a frame is abnormal.
            pixel_maps: Also keep the logits of every analysed frame at display size (grows with the video).
            fps: Frames a second of arrays, lists and folders; a video and an iterable know their times.
            progress: Called with the number of frames read so far.
            scored: Called with clips, or parts of them, as soon as they have scores; what it raises ends the detection.

        Raises:
            InputError: The source, the categories or a setting cannot be used.

        Example:
            A file, frames that OpenCV has read, turned from its blue, green, red to red, green, blue, and frames with
            times of their own:

            >>> import cv2, numpy, lavida, tempfile
            >>> from pathlib import Path
            >>> detector = lavida.load("nano")
            >>> bgr = [numpy.full((48, 64, 3), shade, numpy.uint8) for shade in (0, 60, 120, 180)]
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = Path(folder) / "street.png"
            ...     _ = cv2.imwrite(str(path), bgr[2])
            ...     len(detector.detect(path, ["bicycle"]).times)
            1
            >>> frames = numpy.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in bgr])
            >>> found = detector.detect(frames, ["bicycle", "smoke"], fps=10)
            >>> found.scores.shape, found.category_scores.shape
            ((4,), (4, 2))
            >>> detector.detect(((frame, 0.5 * i) for i, frame in enumerate(frames)), ["bicycle"]).times.tolist()
            [0.0, 0.5, 1.0, 1.5]
        """
        anomalies = check_categories(anomalies)
        check_settings(stride=stride, threshold=threshold)
        with decoded_ahead(source, fps=fps) as opened:
            clock = StageClock()
            if opened.info.frames_hint != 1:
                self.backend.expect(*self._size(opened), anomalies)
            builder = DetectionBuilder(opened, anomalies, threshold=threshold, keep_maps=pixel_maps)
            log = FrameLog(self._read(opened, stride, clock=clock), progress)
            # what says how long it is has its next frames; a live source does not, and may wait for them
            live = opened.info.frames_hint is None and not isinstance(opened, ReadAhead)
            told = self._scored(log, opened, lambda clips: self._in_parts(clips, anomalies, live=live), clock=clock)
            for clip in smoothed(told, told_each=self.clip_length if live else None) if self.smoothing else told:
                with clock.stage("masks"):
                    builder.add(clip)
                if scored is not None:
                    scored(clip)
            stride = stride or steady_stride(builder.sampled)
            settings = {"stride": stride, "threshold": threshold, "analysed_size": list(self._size(opened))}
            return builder.finish(log, self._record(settings, anomalies), clock)

    def _record(self, settings: dict[str, Any], anomalies: Sequence[str]) -> dict[str, Any]:
        """What `run.json` tells of the model and of how it was asked."""
        told = self.backend.surroundings()
        return {
            "model": self.name,
            "settings": settings | {"motion": self.motion, "smoothing": self.smoothing} | told.settings,
            "versions": told.versions,
            "peak_gpu_memory_mb": told.peak_gpu_memory_mb,
            "notes": [UNFAMILIAR.format(text=text) for text in self.backend.unfamiliar(anomalies)],
        }

    def stream(
        self,
        source: Footage,
        anomalies: Sequence[str],
        *,
        stride: int | None = None,
        templates: Iterable[int] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Iterator[ScoredClip]:
        """Score a source clip by clip, not smoothed, holding no more than two: for maps of videos of any length.

        Arguments and errors as in `detect`, but `templates`: for each clip an index into
        `lavida.model.prompt.TEMPLATES`; the paper's by default.
        """
        anomalies = check_categories(anomalies)
        check_settings(stride=stride, threshold=DEFAULT_THRESHOLD)
        clock = StageClock()
        with decoded_ahead(source) as opened:
            frames = FrameLog(self._read(opened, stride, clock=clock), progress)
            yield from self._scored(frames, opened, lambda clips: self._whole(clips, anomalies, templates), clock=clock)

    def _read(self, source: Source, stride: int | None, *, clock: StageClock) -> Iterator[Frame]:
        size = height, width = self._size(source)
        pair_size = (height // PAIR_SHRINK, width // PAIR_SHRINK) if self.motion else None
        frames = source.read(stride=stride, size=size, pair_size=pair_size)
        if isinstance(source, ReadAhead):  # has a clock of its own for what its thread does
            return clock.iterate("waiting", frames)
        return with_motion(clock.iterate("decode", frames), clock)

    def _scored(
        self,
        frames: Iterable[Frame],
        source: Source,
        ask: Callable[[Iterator[AskedClip]], Iterator[Answer]],
        *,
        clock: StageClock,
    ) -> Iterator[ScoredClip]:
        """Clips of the frames, or parts of them, as answers to them come; each clip goes when all of it is answered."""
        size = (source.info.height, source.info.width)
        read: deque[Clip] = deque()  # and not told of to the end

        def asked() -> Iterator[AskedClip]:
            for clip in clips(frames, length=self.clip_length):
                read.append(clip)
                yield clip.frames, clip.motion

        answers = ask(asked())
        start = 0
        while True:
            with clock.stage("model"):
                if (answer := next(answers, None)) is None:
                    return
                part = read[0].part(slice(start, start + len(answer.scores)))
                scored = ScoredClip.of(part, answer, size=size)
            yield scored
            start += len(part.times)
            if start == len(read[0].times):
                read.popleft()
                start = 0

    def _in_parts(self, asked: Iterator[AskedClip], anomalies: Sequence[str], *, live: bool) -> Iterator[Answer]:
        if live:  # its next clip is not asked for before the last frames of a clip are told
            return chain.from_iterable(self.backend.answers([clip], anomalies) for clip in asked)
        return self.backend.answers(asked, anomalies)

    def _whole(
        self, asked: Iterable[AskedClip], anomalies: Sequence[str], templates: Iterable[int] | None
    ) -> Iterator[Answer]:
        template = repeat(None) if templates is None else iter(templates)
        for frames, motion in asked:
            yield self.backend.answer(frames, anomalies, motion=motion, template=_next(template))

    def score(
        self, frames: Iterable[Frame], anomalies: Sequence[str], *, size: tuple[int, int]
    ) -> Iterator[ScoredClip]:
        """Score frames that were read elsewhere, clip by clip; none waits for the next clip to be smoothed.

        Args:
            frames: of one source, in order, with images of `analysed_size` and, for a model that sees motion, pairs.
            anomalies: what counts as abnormal, checked by `check_categories`.
            size: height and width of the displayed frame, for masks.
        """
        for clip in clips(with_motion(frames), length=self.clip_length):
            answer = self.backend.answer(clip.frames, anomalies, motion=clip.motion)
            scored = ScoredClip.of(clip, answer, size=size)
            yield from smoothed([scored]) if self.smoothing else [scored]

    def analysed_size(self, width: int, height: int) -> tuple[int, int]:
        """Height and width at which a source of this size in displayed pixels is analysed."""
        config = self.config
        return analysis_size(width, height, long_side=config.frame_side, multiple=config.frame_multiple)

    def _size(self, source: Source) -> tuple[int, int]:
        return self.analysed_size(source.info.width, source.info.height)


def check_categories(anomalies: Sequence[str]) -> tuple[str, ...]:
    """The categories on one line each, without repeated ones. Raises InputError for a blank one, none or too many."""
    if isinstance(anomalies, str) or not isinstance(anomalies, Iterable):
        anomalies = [anomalies]
    cleaned = tuple(dict.fromkeys(clean_category(text) for text in anomalies))
    if not cleaned:
        raise InputError("no category: describe what counts as abnormal in words, for example -a bicycle")
    if len(cleaned) > MOST_CATEGORIES:
        raise InputError(f"{len(cleaned)} categories: give at most {MOST_CATEGORIES} at a time")
    return cleaned


def check_settings(*, stride: int | None, threshold: float) -> None:
    """Raises InputError for a stride or a threshold out of range."""
    check_threshold(threshold)
    whole = isinstance(stride, Integral) and not isinstance(stride, bool)
    if stride is not None and not (whole and stride >= 1):
        raise InputError(f"stride {stride} is out of range: choose a whole number, 1 or more")


def _next(templates: Iterator[int | None]) -> int | None:
    """The template of the next clip. Raises InputError where there is none, or no template of this number."""
    number = next(templates, -1)
    if number is None or (isinstance(number, Integral) and 0 <= number < len(TEMPLATES)):
        return number
    raise InputError(f"templates: give each clip a number from 0 to {len(TEMPLATES) - 1}")
