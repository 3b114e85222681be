"""Frames of a video file: streamed and upright, at their own times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from lavida.errors import InputError
from lavida.video.clock import Clock
from lavida.video.contrast import MOST_FRAMES, Contrast, measured
from lavida.video.crop import declared_crop
from lavida.video.motion import GAP_SECONDS, pair_gap
from lavida.video.picture import Look, has_sixteen_bits, look_of, sixteen_bits
from lavida.video.rate import assumes_a_rate, frame_rate, may_be_mixed_up, one_recording, packets_wanted
from lavida.video.sampling import FrameSampling, check_stride, with_next
from lavida.video.source import Frame, Pair, SourceInfo
from lavida.video.stream import COUNTED, Reading, opened, pictures, seconds

REORDERING = 4  # places: a stamp of decoding can be further off than frames are moved
MIXED_FRAMES = 12  # are enough to see whether their stamps are mixed up
EARLIER = 4  # frames kept for pairs, at least: a varying rate can be far over its mean for a while


class VideoFile:
    """A video file; see `Source`."""

    def __init__(self, path: Path) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []
        with opened(path) as (container, stream):
            begin = _beginning(path, container, stream)
            first = begin.frame
            fps, self._rate_is_known = frame_rate(stream, begin.stamps, ended=begin.ended)
            depth = getattr(stream.codec_context, "reorder_depth", 0)
            self._reordering = max(REORDERING, depth) if begin.mixed_up else 0
            streams = pictures(container)
            crop = declared_crop(
                path,
                container=container.format.name,
                track=stream.id,
                place=container.streams.video.index(stream),
                width=first.width,
                height=first.height,
            )
            contrast = self._contrast(path) if has_sixteen_bits(first) else None
            self._look = look = look_of(stream, first, begin.packet, crop=crop, contrast=contrast)
            hint = _frames_hint(container, stream, fps)
            self.info = SourceInfo(path, path.stem, look.width, look.height, fps, hint, contrast)
            if len(streams) > 1:
                size = f"{stream.codec_context.name}, {first.width}x{first.height}"
                self._note(f"{len(streams)} video streams: {path}; the one that players show is read ({size})")

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`. Broken packets are skipped and end in one warning."""
        check_stride(stride)
        return self._frames(stride, size or (self.info.height, self.info.width), pair_size)

    def _frames(self, stride: int | None, size: tuple[int, int], pair_size: tuple[int, int] | None) -> Iterator[Frame]:
        reading, clock, scaler = Reading(), Clock(1 / self.info.fps, reordering=self._reordering), VideoReformatter()
        sampling = FrameSampling(stride, fps=self.info.fps)
        pairs = None if pair_size is None else _Pairs(self._look, pair_size, fps=self.info.fps)
        index, last = -1, None
        with opened(self.info.path) as (container, stream):
            stream.thread_type = "AUTO"
            timed = _timed(reading.of(container, stream), stream, clock)
            # one frame is held back: only the one after it tells whether it is analysed, and whether it is the last
            for index, (held, after) in enumerate(with_next(timed)):
                last = held
                if not sampling.takes(index, held.time_s, None if after is None else after.time_s):
                    yield Frame(index, held.time_s, None)
                else:
                    pair = None if pairs is None else pairs.of(held, after)
                    yield Frame(index, held.time_s, self._look.rgb(held.picture, size, scaler), pair)
                if pairs is not None:
                    pairs.keep(held)
            if last is None:
                raise _undecodable(self.info.path)
            self._tell(reading, clock, container, stream, frames=index + 1, last=last)

    def _tell(
        self,
        reading: Reading,
        clock: Clock,
        container: InputContainer,
        stream: VideoStream,
        *,
        frames: int,
        last: _Timed,
    ) -> None:
        """What the reading found out about the file."""
        path, step = self.info.path, 1 / self.info.fps
        if last.picture.duration and stream.time_base:  # the last picture of a screen recording may stand for long
            step = max(step, float(last.picture.duration * stream.time_base))
        stamp_s = _stamp_s(last.picture, stream)
        ends_s = None if stamp_s is None else stamp_s + step
        shortfall = reading.shortfall(container, stream, frames=frames, length_s=last.time_s + step, ends_s=ends_s)
        if shortfall:
            self._warn(f"damaged or cut short: {path}; {shortfall}")
        if clock.fitted:
            self._warn(f"time stamps out of order or far off on {clock.fitted} of {frames} frames: {path}; fitted in")
        rate = f"{self.info.fps:g} frames a second"
        if clock.missing == frames and self._rate_is_known:
            self._note(f"no time stamps: {path}; the times follow the header's {rate}")
        elif frames > 1 and assumes_a_rate(container.format.name):
            self._warn(f"no times in the file: {path}; they assume {rate}, the usual guess")
        elif clock.missing:
            self._warn(f"no time stamps on {clock.missing} frames: {path}; their times assume {rate}")
        if clock.joined:
            at = ", ".join(f"{time_s:.1f} s" for time_s in clock.joined[:3])
            more = "" if len(clock.joined) <= 3 else f" and {len(clock.joined) - 3} more"
            self._note(f"another recording begins at {at}{more}: {path}; its times go on from there")

    def _contrast(self, path: Path) -> Contrast | None:
        with opened(path) as (container, stream):
            frames = islice(Reading().of(container, stream), MOST_FRAMES)
            scaler = VideoReformatter()
            contrast = measured(sixteen_bits(frame, scaler) for frame, _ in frames)
        if contrast == Contrast():
            return None
        self._note(f"{contrast.share:.1%} of 16 bits are used: {path}; {contrast.told}")
        return contrast

    def _warn(self, line: str) -> None:
        if line not in self.warnings:  # a second reading finds the same
            self.warnings.append(line)

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)


@dataclass(frozen=True, slots=True)
class _Timed:
    picture: av.VideoFrame
    time_s: float


def _stamp_s(frame: av.VideoFrame, stream: VideoStream) -> float | None:
    # not `frame.time`: it is not a number for frames that come out after an error of the demuxer
    return None if frame.pts is None or not stream.time_base else float(frame.pts * stream.time_base)


def _timed(
    frames: Iterator[tuple[av.VideoFrame, av.Packet | None]], stream: VideoStream, clock: Clock
) -> Iterator[_Timed]:
    """The frames with their times; a few are held back where only later ones tell."""
    waiting: deque[av.VideoFrame] = deque()
    for frame, _ in frames:
        waiting.append(frame)
        for time_s in clock.add(_stamp_s(frame, stream)):
            yield _Timed(waiting.popleft(), time_s)
    for time_s in clock.finish():
        yield _Timed(waiting.popleft(), time_s)


class _Pairs:
    """Keeps the last few decoded frames, unconverted, and pairs a frame with the one about 0.04 s before it."""

    def __init__(self, look: Look, size: tuple[int, int], *, fps: float) -> None:
        self._earlier: deque[_Timed] = deque(maxlen=max(EARLIER, pair_gap(fps)))
        self._look, self._size, self._scaler = look, size, VideoReformatter()

    def of(self, held: _Timed, after: _Timed | None) -> Pair:
        other = min(self._earlier, key=lambda other: abs(held.time_s - other.time_s - GAP_SECONDS), default=after)
        if other is None:
            return Pair(self._gray(held), None, 0.0)
        return Pair(self._gray(held), self._gray(other), held.time_s - other.time_s)

    def keep(self, frame: _Timed) -> None:
        """Note a frame that comes before those that follow, and forget those that are too old to be paired."""
        self._earlier.append(frame)
        while len(self._earlier) > 1 and frame.time_s - self._earlier[1].time_s >= GAP_SECONDS:
            self._earlier.popleft()

    def _gray(self, timed: _Timed) -> np.ndarray:
        return self._look.gray(timed.picture, self._size, self._scaler)  # [h, w]


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What the first packets of a stream tell.

    Attributes:
        frame: the first one.
        packet: what it was decoded from.
        stamps: of presentation, of the first packets in their order, up to where another recording begins.
        ended: whether there are no other packets.
        mixed_up: whether the stamps of frames go back: they are those of decoding.
    """

    frame: av.VideoFrame
    packet: av.Packet | None
    stamps: list[int]
    ended: bool
    mixed_up: bool


def _beginning(path: Path, container: InputContainer, stream: VideoStream) -> _Beginning:
    reading, wanted = Reading(), packets_wanted(stream)
    stamps: list[tuple[int | None, int | None]] = []
    frames: list[tuple[av.VideoFrame, av.Packet | None]] = []
    ended = True
    for packet in reading.packets_of(container, stream):
        if packet is not None and packet.size:
            stamps.append((packet.pts, packet.dts))
        more = len(frames) < MIXED_FRAMES and may_be_mixed_up(stream, one_recording(stamps), container.format.name)
        if not frames or more:
            frames += ((frame, packet) for frame in reading.decoded(stream, packet))
        elif len(stamps) >= wanted:
            ended = False
            break
    if not frames:
        raise _undecodable(path)
    shown = one_recording([(frame.pts, None) for frame, _ in frames])
    kept = one_recording(stamps)
    mixed_up = shown != sorted(shown) and len(kept) == len(stamps)
    return _Beginning(*frames[0], kept, ended, mixed_up)


def _frames_hint(container: InputContainer, stream: VideoStream, fps: float) -> int | None:
    if stream.duration and stream.time_base:
        # an index knows the mean rate of all frames, hidden ones apart
        exact = container.format.name.partition(",")[0] in COUNTED and stream.average_rate
        return max(1, round(float(stream.duration * stream.time_base) * float(exact or fps)))
    length = seconds(container)
    return stream.frames or (round(length * fps) if length else None)


def _undecodable(path: Path) -> InputError:
    return InputError(f"no frame can be decoded: {path}; check that it plays, or convert it to H.264 in MP4")
