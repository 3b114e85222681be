"""Frames of a video file: streamed and upright, at their own times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.video.clock import Clock
from lavida.video.crop import declared_crop
from lavida.video.picture import has_sixteen_bits, look_of, sixteen_bits
from lavida.video.pixels import MOST_FRAMES, Contrast, measured
from lavida.video.sampling import GAP_SECONDS, FrameSampling, SampledSource, Timed, frames_of
from lavida.video.source import Frame, SourceInfo
from lavida.video.stream import (
    COUNTED,
    INDEXED,
    UNANNOUNCED,
    Reading,
    Stamps,
    assumes_a_rate,
    frame_rate,
    may_be_mixed_up,
    opened,
    packets_wanted,
)

REORDERING = 4  # places: a stamp of decoding can be further off than frames are moved
MIXED_FRAMES = 12  # are enough to see whether their stamps are mixed up
EARLIER_S = (0.0, 1.0, 10.0)  # before a frame, to look for a key frame: pictures are decoded before they are shown
OUTLASTING = 10  # usual steps by which frames may last longer than is announced, as where their steps vary
SAME_S = 0.001  # stamps are rounded to milliseconds by some containers


class VideoFile(SampledSource):
    """A video file; see `Source`. Broken packets are skipped and end in one warning."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._later_pictures: list[int] | None = None
        with opened(path) as reading:
            begin, stream = _Beginning(path, reading), reading.stream
            first = begin.frames[0]
            self._begin_s = reading.stamp_of(first)
            fps, self._rate_is_known = frame_rate(stream, begin.stamps, ended=begin.ended)
            depth = getattr(stream.codec_context, "reorder_depth", 0)
            self._reordering = max(REORDERING, depth) if begin.mixed_up else 0
            place, size = reading.container.streams.video.index(stream), (first.width, first.height)
            crop = declared_crop(path, container=reading.kind, track=stream.id, place=place, size=size)
            contrast = self._contrast(path, begin) if has_sixteen_bits(first) else None
            self._look = look = look_of(stream, first, begin.packet, crop=crop, contrast=contrast)
            hint = _frames_hint(reading, fps)
            self.info = SourceInfo(path, path.stem, look.width, look.height, fps, hint, contrast)
            if reading.streams > 1:
                shown = f"{stream.codec_context.name}, {first.width}x{first.height}"
                self._note(f"{reading.streams} video streams: {path}; the one that players show is read ({shown})")

    def _frames(
        self, sampling: FrameSampling, size: tuple[int, int], pair_size: tuple[int, int] | None
    ) -> Iterator[Frame]:
        shown, fps = self._look.shown, self.info.fps
        scaler, pair_scaler = VideoReformatter(), VideoReformatter()  # each keeps what it has set up for one size
        with opened(self.info.path) as reading:
            reading.stream.thread_type = "AUTO"
            length_s = None if reading.kind in UNANNOUNCED else reading.length_s
            clock = Clock(1 / fps, reordering=self._reordering, length_s=length_s)
            last = None
            for last in frames_of(
                _timed(reading, clock),
                sampling,
                rgb=lambda picture: shown(picture, size, scaler),
                gray=None if pair_size is None else lambda picture: shown(picture, pair_size, pair_scaler, gray=True),
                most_earlier=fps * GAP_SECONDS,
            ):
                yield last
            if last is None:
                raise _undecodable(self.info.path)
            self._tell(reading, clock, frames=last.index + 1, last_s=last.time_s)

    def picture_at(self, time_s: float, *, last_s: float) -> NDArray[np.uint8] | None:
        """The picture `[H, W, 3]` (RGB) of the frame that begins at a time, in seconds, as `read` gives it.

        It is decoded from the key frame before it on. None where that is not sure to be the same frame, as in
        containers without an index, where stamps were fitted, and where the frames last longer than the file announces,
        since another recording begins in it: then only reading from the start finds it.

        Args:
            time_s: Of the frame.
            last_s: Of the last frame of the file.
        """
        with opened(self.info.path) as reading:
            reading.stream.thread_type = "AUTO"
            if self._begin_s is None or self._reordering or reading.kind not in INDEXED:
                return None
            length_s, tolerated_s = reading.length_s, OUTLASTING / self.info.fps
            if length_s is None or last_s > length_s + tolerated_s:
                return None
            wanted, unit = self._begin_s + time_s, float(reading.stream.time_base or 1)
            for earlier_s in EARLIER_S:
                try:
                    reading.container.seek(int((wanted - earlier_s) / unit), stream=reading.stream)
                except av.error.FFmpegError:
                    return None
                found = _shown_at(reading, wanted)
                if found is not None:
                    size = (self.info.height, self.info.width)
                    return self._look.shown(found, size, VideoReformatter())
        return None

    def _tell(self, reading: Reading, clock: Clock, *, frames: int, last_s: float) -> None:
        """What the reading found out about the file."""
        path = self.info.path
        shortfall = reading.shortfall(frames=frames, last_s=last_s, step=1 / self.info.fps)
        if shortfall:
            self._warn(f"damaged or cut short: {path}; {shortfall}")
        if self._later_pictures is None:  # the same at every reading, and the whole file is looked through for it
            self._later_pictures = reading.later_pictures(path)
        if self._later_pictures:
            numbers = ", ".join(map(str, self._later_pictures))
            self._warn(
                f"other pictures begin later: {path}; PID {numbers} is not read; cut it there and give all parts"
            )
        if clock.fitted:
            self._warn(f"time stamps out of order or far off on {clock.fitted} of {frames} frames: {path}; fitted in")
        rate = f"{self.info.fps:g} frames a second"
        if clock.missing == frames and self._rate_is_known:
            self._note(f"no time stamps: {path}; the times follow the header's {rate}")
        elif frames > 1 and assumes_a_rate(reading.container.format.name):
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
        self._note(contrast.told(path))
        return contrast


def _timed(reading: Reading, clock: Clock) -> Iterator[Timed[av.VideoFrame]]:
    """The frames with their times; a few are held back where only later ones tell."""
    waiting: deque[av.VideoFrame] = deque()
    for frame in reading.frames():
        waiting.append(frame)
        for time_s in clock.add(reading.stamp_of(frame)):
            yield Timed(waiting.popleft(), time_s)
    for time_s in clock.finish():
        yield Timed(waiting.popleft(), time_s)


def _shown_at(reading: Reading, wanted: float) -> av.VideoFrame | None:
    """The only frame with this stamp from here on, if a key frame comes before it, and so all that it is made of."""
    found, is_whole = None, False
    for frame in reading.frames():
        stamp = reading.stamp_of(frame)
        if stamp is None:
            return None
        if stamp > wanted + SAME_S:
            break
        is_whole |= frame.key_frame
        if stamp >= wanted - SAME_S:
            if found is not None or frame.is_corrupt or not is_whole:
                return None
            found = frame
    return found


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

    def __init__(self, path: Path, reading: Reading) -> None:
        self._reading, self._packets = reading, reading.packets_in_order()
        self._undecoded: list[av.Packet | None] = []
        self.frames: list[av.VideoFrame] = []
        self.packet: av.Packet | None = None
        self.ended = True
        stamps = Stamps()  # one by one: where nothing can be decoded, all packets pass here
        for packet in self._packets:
            if packet is not None and packet.size:
                stamps.add(packet.pts, packet.dts)
            more = len(self.frames) < MIXED_FRAMES and may_be_mixed_up(reading, stamps)
            if not self.frames or more:
                self.packet = self.packet if self.frames else packet
                self.frames += reading.decoded(packet)
                continue
            self._undecoded.append(packet)
            if stamps.packets >= packets_wanted(reading.stream):
                self.ended = False
                break
        if not self.frames:
            raise _undecodable(path)
        shown, self.stamps = [frame.pts for frame in self.frames if frame.pts is not None], stamps.shown
        self.mixed_up = shown != sorted(shown) and len(self.stamps) == stamps.packets

    def goes_on(self) -> Iterator[av.VideoFrame]:
        """All frames from the first one on; once."""
        yield from self.frames
        for packet in chain(self._undecoded, self._packets):
            yield from self._reading.decoded(packet)


def _frames_hint(reading: Reading, fps: float) -> int | None:
    stream, length_s = reading.stream, reading.length_s
    if length_s and stream.duration:
        # an index knows the mean rate of all frames, hidden ones apart
        exact = reading.kind in COUNTED and stream.average_rate
        return max(1, round(length_s * float(exact or fps)))
    return stream.frames or (round(length_s * fps) if length_s else None)


def _undecodable(path: Path) -> InputError:
    return InputError(f"no frame can be decoded: {path}; check that it plays, or convert it to H.264 in MP4")
