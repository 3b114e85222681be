"""Frames of a video file: streamed and upright, at their own times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.video.clock import Clock
from lavida.video.crop import declared_crop
from lavida.video.picture import Look, has_sixteen_bits, look_of, sixteen_bits
from lavida.video.pixels import MOST_FRAMES, Contrast, measured
from lavida.video.sampling import GAP_SECONDS, FrameSampling, SampledSource, frames_of
from lavida.video.source import Frame, SourceInfo
from lavida.video.stream import (
    COUNTED,
    UNANNOUNCED,
    Reading,
    assumes_a_rate,
    frame_rate,
    kind_of,
    length_of,
    may_be_mixed_up,
    one_recording,
    opened,
    packets_wanted,
    pictures,
)

REORDERING = 4  # places: a stamp of decoding can be further off than frames are moved
MIXED_FRAMES = 12  # are enough to see whether their stamps are mixed up


class VideoFile(SampledSource):
    """A video file; see `Source`. Broken packets are skipped and end in one warning."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with opened(path) as (container, stream):
            begin = _Beginning(path, container, stream)
            first = begin.frames[0]
            fps, self._rate_is_known = frame_rate(stream, begin.stamps, ended=begin.ended)
            depth = getattr(stream.codec_context, "reorder_depth", 0)
            self._reordering = max(REORDERING, depth) if begin.mixed_up else 0
            streams = pictures(container)
            crop = declared_crop(
                path,
                container=kind_of(container),
                track=stream.id,
                place=container.streams.video.index(stream),
                width=first.width,
                height=first.height,
            )
            contrast = self._contrast(path, begin) if has_sixteen_bits(first) else None
            self._look = look = look_of(stream, first, begin.packet, crop=crop, contrast=contrast)
            hint = _frames_hint(container, stream, fps)
            self.info = SourceInfo(path, path.stem, look.width, look.height, fps, hint, contrast)
            if len(streams) > 1:
                size = f"{stream.codec_context.name}, {first.width}x{first.height}"
                self._note(f"{len(streams)} video streams: {path}; the one that players show is read ({size})")

    def _frames(
        self, sampling: FrameSampling, size: tuple[int, int], pair_size: tuple[int, int] | None
    ) -> Iterator[Frame]:
        with opened(self.info.path) as (container, stream):
            stream.thread_type = "AUTO"
            length_s = None if kind_of(container) in UNANNOUNCED else length_of(container, stream)
            clock = Clock(1 / self.info.fps, reordering=self._reordering, length_s=length_s)
            reading, view = Reading(), _View(self._look, size, pair_size)
            shots = view.shots(reading.of(container, stream), stream, clock)
            gap = round(self.info.fps * GAP_SECONDS)
            count = 0
            for frame in frames_of(shots, sampling, paired=pair_size is not None, most_earlier=gap):
                count += 1
                yield frame
            if view.last is None:
                raise _undecodable(self.info.path)
            self._tell(reading, clock, container, stream, frames=count, last=view.last)

    def _tell(
        self,
        reading: Reading,
        clock: Clock,
        container: InputContainer,
        stream: VideoStream,
        *,
        frames: int,
        last: _Shot,
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

    def _contrast(self, path: Path, begin: _Beginning) -> Contrast | None:
        scaler = VideoReformatter()
        contrast = measured(sixteen_bits(frame, scaler) for frame in islice(begin.goes_on(), MOST_FRAMES))
        if contrast == Contrast():
            return None
        self._note(f"{contrast.share:.1%} of 16 bits are used: {path}; {contrast.told}")
        return contrast


@dataclass(slots=True)
class _View:
    """One reading's way to show frames.

    Attributes:
        look: of the stream.
        size: `(height, width)` of the images.
        pair_size: `(height, width)` of the gray pairs.
        last: the latest shot.
    """

    look: Look
    size: tuple[int, int]
    pair_size: tuple[int, int] | None
    last: _Shot | None = None
    scaler: VideoReformatter = field(default_factory=VideoReformatter)
    pair_scaler: VideoReformatter = field(default_factory=VideoReformatter)  # one would set up itself anew each time

    def shots(
        self, frames: Iterator[tuple[av.VideoFrame, av.Packet | None]], stream: VideoStream, clock: Clock
    ) -> Iterator[_Shot]:
        """The frames with their times; a few are held back where only later ones tell."""
        waiting: deque[av.VideoFrame] = deque()
        for frame, _ in frames:
            waiting.append(frame)
            for time_s in clock.add(_stamp_s(frame, stream)):
                yield self._shot(waiting.popleft(), time_s)
        for time_s in clock.finish():
            yield self._shot(waiting.popleft(), time_s)

    def _shot(self, picture: av.VideoFrame, time_s: float) -> _Shot:
        self.last = _Shot(picture, time_s, self)
        return self.last


@dataclass(frozen=True, slots=True)
class _Shot:
    """A decoded frame, unconverted; see `sampling.Shot`."""

    picture: av.VideoFrame
    time_s: float
    view: _View

    def gray(self) -> NDArray[np.uint8] | None:
        size = self.view.pair_size
        return None if size is None else self.view.look.gray(self.picture, size, self.view.pair_scaler)

    def rgb(self) -> NDArray[np.uint8]:
        return self.view.look.rgb(self.picture, self.view.size, self.view.scaler)


class _Beginning:
    """What the first packets of a stream tell.

    Attributes:
        frames: the first ones, one at least.
        packet: what the first one was decoded from.
        stamps: of presentation, of the first packets in their order, up to where another recording begins.
        ended: whether there are no other packets.
        mixed_up: whether the stamps of frames go back: they are those of decoding.

    Raises:
        InputError: no frame can be decoded.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._reading, self._stream = Reading(), stream
        self._packets = self._reading.packets_of(container, stream)
        self._undecoded: list[av.Packet | None] = []
        self.frames: list[av.VideoFrame] = []
        self.packet: av.Packet | None = None
        self.ended = True
        wanted = packets_wanted(stream)
        stamps: list[tuple[int | None, int | None]] = []
        for packet in self._packets:
            if packet is not None and packet.size:
                stamps.append((packet.pts, packet.dts))
            kept = one_recording(stamps)
            more = len(self.frames) < MIXED_FRAMES and may_be_mixed_up(stream, kept, kind_of(container))
            if not self.frames or more:
                decoded = self._reading.decoded(stream, packet)
                self.packet = self.packet if self.frames else packet
                self.frames += decoded
                continue
            self._undecoded.append(packet)
            if len(stamps) >= wanted:
                self.ended = False
                break
        if not self.frames:
            raise _undecodable(path)
        shown = one_recording([(frame.pts, None) for frame in self.frames])
        self.stamps = one_recording(stamps)
        self.mixed_up = shown != sorted(shown) and len(self.stamps) == len(stamps)

    def goes_on(self) -> Iterator[av.VideoFrame]:
        """All frames from the first one on; once."""
        yield from self.frames
        for packet in chain(self._undecoded, self._packets):
            yield from self._reading.decoded(self._stream, packet)


def _stamp_s(frame: av.VideoFrame, stream: VideoStream) -> float | None:
    # not `frame.time`: it is not a number for frames that come out after an error of the demuxer
    return None if frame.pts is None or not stream.time_base else float(frame.pts * stream.time_base)


def _frames_hint(container: InputContainer, stream: VideoStream, fps: float) -> int | None:
    length_s = length_of(container, stream)
    if length_s and stream.duration:
        # an index knows the mean rate of all frames, hidden ones apart
        exact = kind_of(container) in COUNTED and stream.average_rate
        return max(1, round(length_s * float(exact or fps)))
    return stream.frames or (round(length_s * fps) if length_s else None)


def _undecodable(path: Path) -> InputError:
    return InputError(f"no frame can be decoded: {path}; check that it plays, or convert it to H.264 in MP4")
