"""The measuring of ONE video: scorer and labels in, counts that add up out. Maps are dropped frame by frame."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError, writing_to
from lavida.evaluation.benchmarks.official import Benchmark, Video
from lavida.evaluation.metrics import PixelCounts, PixelMetrics, check_scores
from lavida.evaluation.protocols import OFFICIAL, Protocol
from lavida.evaluation.regions import RegionCounts, RegionMetrics
from lavida.evaluation.scorers import ScoredFrame, Scorer, ScorerRecord, record_of, scored_frames
from lavida.video.sampling import with_next

MASK_SUFFIX = ".mask.npy"  # of saved masks, beside the maps

# headers announce a few frames more or less than there are; more than this is a damaged video
_FRAMES_OFF, _SHARE_OFF = 30, 0.01
_HALF = np.finfo(np.float16)


@dataclass(frozen=True, kw_only=True)
class VideoMeasure:
    """What one video adds to the numbers of a benchmark. Small, and fit to be sent between processes."""

    video: str  # its name
    scorer: ScorerRecord  # what scored it
    skipped: str | None = None  # why the protocol leaves it out; None where it counts. All counts are then empty
    read: int  # how many frames the video has
    # float32 `[frames]`, as they are measured; `frames` are fewer than `read` where a tail is dropped
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    labels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))  # `[frames]`, 0 or 1
    analysed: int = 0  # how many of these frames the scorer looked at
    pixel_frames: int = 0  # how many of them had a map and a mask
    pixels: PixelCounts | None = None  # the counted pixels; None where there are no masks
    regions: RegionCounts | None = None  # the counted regions and tracks; None where there are none
    # float32 `[analysed]`, seconds for each analysed frame
    latencies: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def start_measuring(
    benchmark: Benchmark,
    start_scorer: Callable[[], Scorer],
    protocol: Protocol,
    *,
    maps_to: Path | None = None,
    progress: Callable[[Video, int], object] = lambda video, done: None,
) -> Callable[[Video], VideoMeasure]:
    """Begin the work of one worker: load the scorer there, and give what measures a video (see `measure_video`)."""
    scorer = start_scorer()
    return lambda video: measure_video(
        benchmark, video, scorer, protocol, maps_to=maps_to, progress=partial(progress, video)
    )


def measure_video(
    benchmark: Benchmark,
    video: Video,
    scorer: Scorer,
    protocol: Protocol,
    *,
    maps_to: Path | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> VideoMeasure:
    """Score one video and count, by the choices on its benchmark, as `Protocol.on` gives them.

    `maps_to` is a folder for `<video>.npy` and `<video>.mask.npy`, the maps and masks as they are measured; `progress`
    is called with the number of frames done so far. Memory: two maps at a time, a few numbers for each frame, and
    10 MiB for the pixel counts.

    Raises:
        InputError: labels and frames do not fit, or a score or a map is not a number; it names the video.
    """
    record, labels = record_of(scorer), frame_labels(benchmark, video, protocol)
    if (reason := _reason_to_skip(labels, protocol)) is not None:
        return VideoMeasure(video=video.name, scorer=record, skipped=reason, read=len(labels))
    counter = _Counter(video.name, protocol, announced=len(labels), tracks=benchmark.tracks(video))
    frames = scored_frames(scorer, video, protocol=protocol, maps=benchmark.has_pixel_labels, progress=progress)
    read = 0
    with ExitStack() as stack:
        if maps_to is not None and benchmark.has_pixel_labels:
            counter.writer = stack.enter_context(MapWriter(maps_to, video.name))
        for read, (frame, following) in enumerate(with_next(frames), start=1):
            counter.add(read - 1, frame, is_last=following is None)
    if read != len(labels):  # the header announced others
        off = abs(read - len(labels))
        if benchmark.interval_rule is None or off > max(_FRAMES_OFF, _SHARE_OFF * len(labels)):
            raise InputError(
                f"{video.name}: {read} scores for {len(labels)} labels; the video and its annotation do not fit, "
                "restore both"
            )
        labels = frame_labels(benchmark, video, protocol, frames=read)
        if (reason := _reason_to_skip(labels, protocol)) is not None:
            return VideoMeasure(video=video.name, scorer=record, skipped=reason, read=read)
    return counter.measure(labels, record)


def frame_labels(
    benchmark: Benchmark, video: Video, protocol: Protocol, *, frames: int | None = None
) -> NDArray[np.uint8]:
    """Labels `[frames]`, 1 where abnormal; the protocol may read annotated intervals otherwise than the benchmark.

    `frames` is how many were decoded, None is `video.frames`.

    Raises:
        InputError: the protocol changes intervals that the benchmark does not have, or the annotation has another
            number of frames.
    """
    changes: dict[str, Any] = {}
    if protocol.interval_start != OFFICIAL:
        changes["first_number"] = {"zero": 0, "one": 1}[protocol.interval_start]
    if protocol.interval_ends != OFFICIAL:
        changes["end_inclusive"] = protocol.interval_ends == "inclusive"
    if not changes:
        return benchmark.frame_labels(video, frames)
    if benchmark.interval_rule is None:
        raise InputError(
            f"{benchmark.name} is labelled frame by frame, not by intervals; leave interval_start and interval_ends out"
        )
    rule = replace(benchmark.interval_rule, **changes)
    return rule.labels(benchmark.intervals(video) or (), video.frames if frames is None else frames)


def _reason_to_skip(labels: NDArray[np.uint8], protocol: Protocol) -> str | None:
    if protocol.videos == "abnormal" and not labels.any():
        return "it is normal"
    if not protocol.used_frames(len(labels)):
        return f"its {len(labels)} frames are fewer than {protocol.clip_length} x {protocol.stride}"
    return None


class _Counter:
    """Takes the frames of a video one by one, and their tracks with them."""

    def __init__(
        self, video: str, protocol: Protocol, *, announced: int, tracks: Iterator[NDArray[np.integer]]
    ) -> None:
        self._video, self._protocol, self._tracks = video, protocol, tracks
        # pixels of a dropped tail cannot be taken back: where it begins follows from the announced length
        self._used = protocol.used_frames(announced) if protocol.tails == "dropped" else None
        self.writer: MapWriter | None = None
        self._analysed: list[tuple[int, float, float]] = []  # index, score, seconds
        self._pixel_frames = 0
        self._pixels = PixelMetrics()
        self._regions = RegionMetrics(
            steps=protocol.region_steps, region_iou=protocol.region_iou, track_overlap=protocol.track_overlap
        )

    def add(self, index: int, frame: ScoredFrame, *, is_last: bool) -> None:
        track = next(self._tracks, None)
        if not (frame.analysed and self._protocol.analyses(index, is_last=is_last)):
            return
        if not np.isfinite(frame.score):
            raise InputError(f"{self._video}: the score of frame {index} is {frame.score}; check the model's output")
        self._analysed.append((index, frame.score, frame.seconds))
        dropped = self._used is not None and index >= self._used
        if frame.pixel_map is not None and track is not None and not dropped:
            self._add_pixels(frame.pixel_map, track)

    def _add_pixels(self, pixel_map: NDArray[np.floating], track: NDArray[np.integer]) -> None:
        resized = self._protocol.resize_map(pixel_map, native=track.shape)
        # half precision, as a detector gives its maps: each value has a bin, and saved maps give the same numbers
        half = np.clip(resized, _HALF.min, _HALF.max).astype(np.float16)
        track = self._protocol.resize_labels(track)
        self._pixel_frames += 1
        self._pixels.update(half, track > 0, video=self._video)
        self._regions.update(half, track, video=self._video)
        if self.writer is not None:
            self.writer.add(half, track > 0)

    def measure(self, labels: NDArray[np.uint8], record: ScorerRecord) -> VideoMeasure:
        """What all frames give; `labels` `[frames]` are of those that were read."""
        used = self._protocol.used_frames(len(labels))
        kept = [frame for frame in self._analysed if frame[0] < used]
        if not kept:
            raise InputError(f"{self._video}: none of its frames could be analysed; restore the video")
        sampled, raw, seconds = zip(*kept, strict=True)
        scores = self._protocol.frame_scores(
            np.array(raw, dtype=np.float64),
            np.array(sampled, dtype=np.int64),
            frames=used,
            logits=record.kind == "detector",
        )
        check_scores(self._video, scores, labels[:used])
        return VideoMeasure(
            video=self._video,
            scorer=record,
            read=len(labels),
            scores=scores,
            labels=labels[:used],
            analysed=len(kept),
            pixel_frames=self._pixel_frames,
            pixels=self._pixels.counts() if self._pixel_frames else None,
            regions=self._regions.counts() if self._pixel_frames else None,
            latencies=np.array(seconds, dtype=np.float32),
        )


class MapWriter:
    """Writes `<video>.npy`, float16 `[frames, h, w]`, and `<video>.mask.npy`, bool, one frame after the other.

    A context manager. Holds one frame, whatever the length of the video. Raises InputError when it cannot write.
    """

    def __init__(self, folder: Path, video: str) -> None:
        self._folder, self._stack, self._frames = folder, ExitStack(), 0
        self._last: tuple[NDArray[Any], NDArray[Any]] = np.zeros((0, 0), np.float16), np.zeros((0, 0), bool)
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            paths = (folder / f"{video}{suffix}" for suffix in (".npy", MASK_SUFFIX))
            self._files = [self._stack.enter_context(path.open("wb")) for path in paths]

    def __enter__(self) -> "MapWriter":
        return self

    def __exit__(self, *error: object) -> None:
        with writing_to(self._folder), self._stack:
            self._write_headers()

    def add(self, pixel_map: NDArray[np.float16], mask: NDArray[np.bool_]) -> None:
        """Appends one frame, `[h, w]` each."""
        with writing_to(self._folder):
            if not self._frames:
                self._last = pixel_map, mask
                self._write_headers()
            for file, row in zip(self._files, (pixel_map, mask), strict=True):
                file.write(row.tobytes())
            self._frames += 1

    def _write_headers(self) -> None:
        """NumPy's header leaves room for the final count."""
        for file, row in zip(self._files, self._last, strict=True):
            file.seek(0)
            shape = (self._frames, *row.shape)
            header = {"descr": np.lib.format.dtype_to_descr(row.dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
