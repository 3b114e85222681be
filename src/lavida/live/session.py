"""One opening of a stream: its frames until it ends or breaks off."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
from av.stream import Discard, Disposition
from av.video.reformatter import VideoReformatter

from lavida.errors import reason
from lavida.live.address import Address, masked
from lavida.live.clock import DueClock, LiveClock
from lavida.live.sampling import LiveSampling
from lavida.video.decode import open_source
from lavida.video.picture import Look, look_of
from lavida.video.sampling import Timed, frames_of
from lavida.video.source import Frame
from lavida.video.stream import TELEVISION, UNLIKELY_RATE, Reading, assumes_a_rate, demuxed

OPEN_S, READ_S = 8.0, 5.0  # without an answer, without a packet
NO_PICTURE_S = 8.0  # packets, but nothing that can be decoded
BEHIND_S, CAUGHT_UP_S = 2.0, 0.5  # decoding is so late that pictures are skipped; that they no longer are
HELPS_S = 3.0  # after skipping for so long it is less late, or decoding is not the cause

Size = tuple[int, int]  # height, width


class StreamBroken(Exception):
    """A stream ended, stopped or refused; its text is for people and holds no password."""


class Tape(Protocol):
    """Keeps the packets of a stream."""

    def add(self, packet: av.Packet, stream: av.VideoStream) -> None:
        """Take a packet that has been decoded."""
        ...

    def pause(self) -> None:
        """The session is over: what comes next does not belong to it."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the frames of a stream.

    Attributes:
        size: height and width of the images, for a displayed width and height.
        pairs: whether those that are analysed come with a pair.
        stopped: whether the reading should end.
        tape: keeps what is sent as it is coded, if anything does.
    """

    size: Callable[[int, int], Size]
    pairs: bool
    stopped: Callable[[], bool]
    tape: Tape | None = None

    def pair_size(self, size: Size) -> Size | None:
        from lavida.video.motion import PAIR_SHRINK

        return (size[0] // PAIR_SHRINK, size[1] // PAIR_SHRINK) if self.pairs else None


class Opened(Protocol):
    """Called with the displayed height and width, and with what is read, with the first picture of this size."""

    def __call__(self, size: Size, shown: str) -> None: ...


Session = Callable[[Address, Wanted, LiveClock, Opened], Iterator[Frame]]


def session_of(address: Address) -> Session:
    """How an address is read."""
    return file_frames if address.kind == "file" else network_frames


def file_frames(address: Address, wanted: Wanted, clock: LiveClock, opened: Opened) -> Iterator[Frame]:
    """The frames of a file or folder, each when its time has come, as `lavida detect` takes them.

    Raises:
        InputError: it cannot be read.
    """
    source = open_source(Path(address.url))
    info = source.info
    size = wanted.size(info.width, info.height)
    opened((info.height, info.width), f"{info.width}x{info.height}")
    start = time.monotonic()
    for frame in source.read(size=size, pair_size=wanted.pair_size(size)):
        if not _wait_until(start + frame.time_s, wanted):
            return
        yield frame


def network_frames(address: Address, wanted: Wanted, clock: LiveClock, opened: Opened) -> Iterator[Frame]:
    """The frames of what sends by itself; those that are analysed, at most 0.2 s apart, with an image.

    Raises:
        StreamBroken: whatever happens, but for `wanted.stopped`.
    """
    try:
        container = av.open(
            address.url,
            format=address.format,
            options=address.options,
            timeout=(OPEN_S, READ_S),
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise StreamBroken(_said("cannot be opened", error)) from None  # the error's own text holds the address
    with container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise StreamBroken("sends no pictures")
        chosen = max(streams, key=_pixels)  # of an adaptive stream the largest picture, and only that one is fetched
        if chosen.codec_context is None:
            raise StreamBroken("sends an unknown codec")
        for other in container.streams:
            if other is not chosen:
                other.discard = Discard.all
        reading = Reading(container, chosen, len(streams))
        reading.stream.thread_type = "SLICE"  # threads by frames would hold some of them back
        yield from _Pictures(reading, address, wanted, clock, opened).frames()


class _Pictures:
    """From the packets of one session to frames."""

    def __init__(self, reading: Reading, address: Address, wanted: Wanted, clock: LiveClock, opened: Opened) -> None:
        self._reading, self._wanted, self._clock, self._opened = reading, wanted, clock, opened
        self._stamped = not assumes_a_rate(reading.container.format.name)
        self._paced = reading.kind in ("hls", "applehttp")  # comes in pieces, each faster than it plays
        self._look: Look | None = None
        rate = float(reading.stream.average_rate or reading.stream.guessed_rate or 0)
        self._rate = rate if 0 < rate <= UNLIKELY_RATE else TELEVISION
        self._sampling = LiveSampling(fps=self._rate)

    def frames(self) -> Iterator[Frame]:
        """Of each size that it sends: some begin with a waiting picture, or change with the network."""
        for look, timed in itertools.groupby(self._timed(), key=lambda _: self._look):
            if look is not None:  # with each frame it is known how it looks
                yield from self._frames_of_a_size(look, timed)

    def _frames_of_a_size(self, look: Look, timed: Iterator[Timed[av.VideoFrame]]) -> Iterator[Frame]:
        scaler, pair_scaler = VideoReformatter(), VideoReformatter()
        size = self._wanted.size(look.width, look.height)
        pair_size = self._wanted.pair_size(size)
        self._opened((look.height, look.width), f"{self._codec}, {look.width}x{look.height}")
        self._sampling = LiveSampling(fps=self._rate)
        yield from frames_of(
            timed,
            self._sampling,
            rgb=lambda picture: look.shown(picture, size, scaler),
            gray=None if pair_size is None else lambda picture: look.shown(picture, pair_size, pair_scaler, gray=True),
        )

    @property
    def _codec(self) -> str:
        return self._reading.stream.codec_context.name

    def _timed(self) -> Iterator[Timed[av.VideoFrame]]:
        clock, catching_up, seen = self._clock, CatchingUp(self._reading.stream.codec_context), time.monotonic()
        clock.begin()
        for packet in self._packets():
            for frame in self._reading.decoded(packet):
                now = seen = time.monotonic()
                if self._look is None or (frame.width, frame.height) != self._look.stored:
                    self._look = look_of(self._reading.stream, frame, packet, crop=None, contrast=None)
                stamp = self._reading.stamp_of(frame) if self._stamped else None
                self._sampling.by_arrival = stamp is None
                if stamp is not None:
                    due_at = catching_up.due_at(stamp, now=now)
                    if self._paced and not _wait_until(due_at, self._wanted):
                        return
                yield Timed(frame, clock.time_s(stamp, now=now))
            if time.monotonic() - seen > NO_PICTURE_S:
                raise StreamBroken(f"sends nothing that can be decoded ({self._codec})")

    def _packets(self) -> Iterator[av.Packet]:
        asked = time.monotonic()
        try:
            for packet in demuxed(self._reading.container, self._reading.stream):
                if self._wanted.stopped():
                    return
                # over RTSP FFmpeg passes on the half of a packet that it had when its time was up
                if time.monotonic() - asked >= READ_S:
                    raise StreamBroken("broke off: no answer in time")
                yield packet
                if self._wanted.tape is not None:
                    if not self._stamped:
                        packet.dts = packet.pts = None  # made up from a rate that nobody said
                    self._wanted.tape.add(packet, self._reading.stream)
                asked = time.monotonic()
        except av.error.FFmpegError as error:
            raise StreamBroken(_said("broke off", error)) from None
        finally:
            if self._wanted.tape is not None:
                self._wanted.tape.pause()
        if not self._wanted.stopped():
            raise StreamBroken("closed by the other side")


class CatchingUp:
    """Where decoding falls behind, only pictures that stand alone are decoded until it has caught up.

    The camera's clock may also be slower than ours, or its stamps count frames that it left out: then skipping does not
    help, and what is in time begins anew.

    Args:
        context: decodes; its `skip_frame` is set.
    """

    def __init__(self, context: av.VideoCodecContext) -> None:
        self._context, self._due = context, DueClock()
        self._skips: tuple[float, float] | None = None  # since when it is looked whether that helps; how late it was

    def due_at(self, stamp: float, *, now: float) -> float:
        """When the frame that has been decoded was due, by the steady clock that `now` is of."""
        due_at = self._due.due_at(stamp, now=now)
        late_s = now - due_at
        if self._skips is None:
            if late_s > BEHIND_S:
                self._skips, self._context.skip_frame = (now, late_s), "NONKEY"
            return due_at
        since, late_then = self._skips
        if late_s < CAUGHT_UP_S:
            self._skips, self._context.skip_frame = None, "DEFAULT"
        elif now - since > HELPS_S:
            if late_s > late_then / 2:
                self._due.begin()
                self._skips, self._context.skip_frame = None, "DEFAULT"
            else:
                self._skips = now, late_s
        return due_at


def _pixels(stream: av.VideoStream) -> int:
    context = stream.codec_context
    return 0 if context is None else context.width * context.height


def _wait_until(moment: float, wanted: Wanted) -> bool:
    """Sleep until a moment of the steady clock; False if the reading should end before."""
    while (left := moment - time.monotonic()) > 0:
        if wanted.stopped():
            return False
        time.sleep(min(left, 0.2))
    return not wanted.stopped()


def _said(what: str, error: Exception) -> str:
    said = masked(reason(error))
    if isinstance(error, av.error.ExitError | av.error.TimeoutError) or "Immediate exit" in said:
        said = "no answer in time"
    return f"{what}: {said}"
