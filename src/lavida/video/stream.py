"""One video stream, by FFmpeg through PyAV: its packets and frames, its rate and its length."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from lavida.errors import InputError, reason

# FFmpeg draws plain text as pictures with these decoders, so a text file would pass for a video.
TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})
TOLERATED_FAILURES = 16  # in a row: beyond it the demuxer is stuck
COUNTED = frozenset({"mov"})  # containers whose number of frames is that of their packets
UNANNOUNCED = frozenset({"mpegts", "mpeg", "ogg"})  # whose length FFmpeg takes from the last stamps
# FFmpeg stamps what it finds in these as if 25 frames a second had been recorded
_WITHOUT_TIMES = frozenset({"mjpeg", "mpjpeg", "mjpeg_2000", "ser", "image2", "image2pipe", "ingenient", "rawvideo"})
STAMPED_PACKETS = 100  # are enough to measure a rate
CHECKED_PACKETS = 32  # to check one that is announced
UNLIKELY_RATE, HIGHEST_RATE = 240.0, 2000.0  # announced, to be looked into; measured, to be believed
TELEVISION = 25.0  # where nothing tells
_AGREES = 1.5  # an announced rate with a measured one, by a factor of at most
_BREAK = 8  # usual steps: a pause, not a frame


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and the video stream that players show: FFmpeg's best one.

    Raises:
        InputError: it cannot be opened, or holds no video that can be decoded.
    """
    try:
        # "file:" keeps FFmpeg from taking a name such as "a:b.mp4" for a network protocol.
        container = av.open(f"file:{path}", metadata_errors="ignore")
    except PermissionError as error:
        raise InputError(f"no permission to read: {path}; change its permissions or copy it") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"not a video: {path}; FFmpeg says '{reason(error)}'; check that it is complete and plays"
        ) from error
    with container:
        streams = pictures(container)
        if not streams:
            raise InputError(f"no video stream: {path}; give a file with pictures")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise InputError(f"unknown video codec: {path}; convert it to H.264 in MP4")
        if stream.codec_context.name in TEXT_CODECS:
            raise InputError(f"not a video: {path}; it is a text or data file, give a video file")
        yield container, stream


def pictures(container: InputContainer) -> list[VideoStream]:
    """The video streams of a container, without cover pictures that are marked as such."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


@dataclass(slots=True)
class Reading:
    """What one reading of a stream met.

    Attributes:
        packets: with pictures, those before the cut of a trimmed video among them.
        damaged: packets and frames that could not be read or decoded.
        stuck: whether the demuxer gave up with an error; some do so at an index behind the pictures.
        others_end: the latest end, in seconds, of a packet of another stream.
    """

    packets: int = 0
    damaged: int = 0
    stuck: bool = False
    others_end: float = float("-inf")

    def of(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[av.VideoFrame, av.Packet | None]]:
        """The frames in presentation order, each with the packet that brought it out."""
        for packet in self.packets_of(container, stream):
            for frame in self.decoded(stream, packet):
                yield frame, packet

    def decoded(self, stream: VideoStream, packet: av.Packet | None) -> list[av.VideoFrame]:
        """The frames that a packet brings out, None those that the decoder still holds; none where it is broken."""
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def packets_of(self, container: InputContainer, stream: VideoStream) -> Iterator[av.Packet | None]:
        """The packets of a stream in the order of the file, then None."""
        # where the sound goes on to the end, the pictures were not cut short
        others, failures = [other for other in container.streams if other is not stream], 0
        while failures < TOLERATED_FAILURES:
            try:
                for packet in container.demux(stream, *others):
                    self.damaged += failures  # between packets, so that something was lost
                    failures = 0
                    if packet.stream is stream:
                        self.packets += packet.size > 0
                        yield packet
                    elif packet.pts is not None and packet.time_base is not None:
                        end = packet.pts + (packet.duration or 0)
                        self.others_end = max(self.others_end, float(end * packet.time_base))
                return
            except av.error.FFmpegError:
                failures += 1
        self.stuck = True
        yield None  # the decoder still holds frames; a demuxer that ends by itself sends this, too

    def shortfall(
        self, container: InputContainer, stream: VideoStream, *, frames: int, length_s: float, ends_s: float | None
    ) -> str | None:
        """Say what is missing, or None when all that was announced was there.

        Args:
            container: what was read.
            stream: what was read of it.
            frames: how many came out.
            length_s: from the first one to the end of the last one.
            ends_s: the end of the last one by its own stamp; None where it has none.
        """
        counted = stream.frames and kind_of(container) in COUNTED
        # the index leaves out what a trimmed video hides so that nobody has to read it
        listed = len(stream.index_entries) if counted and hasattr(stream, "index_entries") else stream.frames
        if counted and self.packets < min(listed, stream.frames):
            return f"{frames} of {stream.frames} announced frames could be decoded"
        if counted and not self.stuck:  # all of it was there, however long the last picture lasts
            return self._damage()
        announced = length_of(container, stream) or 0.0
        reached = length_s if stream.duration else max(length_s, self._reached(container, ends_s))
        # Containers round, and sound may end a little later than the pictures.
        if reached < announced - max(1.0, 0.1 * announced):
            return f"the pictures end after {reached:.1f} s of {announced:.1f} s announced"
        if self.stuck and (not announced or reached < announced - 0.2):
            return f"reading failed after {reached:.1f} s"
        return self._damage()

    def _damage(self) -> str | None:
        return f"{self.damaged} damaged packets or frames" if self.damaged else None

    def _reached(self, container: InputContainer, ends_s: float | None) -> float:
        """How far the container could be read, in seconds from its start or from zero, whichever is further."""
        end = max(self.others_end, float("-inf") if ends_s is None else ends_s)
        start = (container.start_time or 0) / av.time_base
        return max(end, end - start)


def kind_of(container: InputContainer) -> str:
    """FFmpeg's name of the format; the first one where it has several."""
    return container.format.name.partition(",")[0]


def length_of(container: InputContainer, stream: VideoStream) -> float | None:
    """The announced length in seconds: of the stream, or of all streams together from the first packet on."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if not container.duration:
        return None
    # Matroska tells when it ends, which for a piece of a long recording is late
    start = (container.start_time or 0) if kind_of(container) == "matroska" else 0
    return (container.duration - start if start < container.duration else container.duration) / av.time_base


def assumes_a_rate(container: str) -> bool:
    """Whether the time stamps that FFmpeg gives are not those of the file, by its name of the format."""
    return container in _WITHOUT_TIMES or container.endswith("_pipe")


def packets_wanted(stream: VideoStream) -> int:
    """How many packets `frame_rate` wants to see."""
    return CHECKED_PACKETS if 0 < (stream.average_rate or 0) <= UNLIKELY_RATE else STAMPED_PACKETS


def frame_rate(stream: VideoStream, stamps: Sequence[int], *, ended: bool) -> tuple[float, bool]:
    """Frames a second, and whether the stream or its stamps tell it (else it is a guess).

    Where nothing is announced, FFmpeg's guess is the clock of the time stamps, 1,000 or 90,000; that of a raw stream,
    which has no stamps, is always 25, while its codec's header knows.

    Args:
        stream: its first frame has been decoded.
        stamps: of its first packets, in their order.
        ended: whether these are all its packets.
    """
    announced, measured = float(stream.average_rate or 0), _measured(stream, stamps, ended=ended)
    if not stamps:
        codec = float(stream.codec_context.framerate or 0)
        if 0 < codec <= HIGHEST_RATE:
            return codec, True
    if 0 < announced <= UNLIKELY_RATE and (measured is None or 1 / _AGREES < announced / measured < _AGREES):
        return announced, bool(stamps)
    if measured is not None and 0 < measured <= HIGHEST_RATE:
        return measured, True
    guessed = float(stream.guessed_rate or 0)
    return (guessed if 0 < guessed <= UNLIKELY_RATE else TELEVISION), False


def _measured(stream: VideoStream, stamps: Sequence[int], *, ended: bool) -> float | None:
    """The mean rate of the packets, pauses and frames that are still to come apart."""
    ordered = sorted(stamps)
    if not ended:  # packets come before those that are shown between them
        ordered = ordered[: max(2, len(ordered) - len(ordered) // 4)]
    steps = [after - before for before, after in itertools.pairwise(ordered)]
    moving = [step for step in steps if step > 0]
    if not moving:
        return None
    usual = statistics.median(moving)
    kept = [step for step in steps if step <= _BREAK * usual]
    mean = sum(kept) / len(kept)
    return float(1 / (mean * stream.time_base)) if mean and stream.time_base else None


def one_recording(stamps: Sequence[tuple[int | None, int | None]]) -> list[int]:
    """The stamps of presentation up to where those of decoding go back: there another recording begins.

    Args:
        stamps: of presentation and of decoding, for each packet.
    """
    kept: list[int] = []
    latest: int | None = None
    for shown, decoded in stamps:
        if decoded is not None:
            if latest is not None and decoded < latest:
                break
            latest = decoded
        if shown is not None:
            kept.append(shown)
    return kept


def may_be_mixed_up(stream: VideoStream, stamps: Sequence[int], container: str) -> bool:
    """Whether frames are shown in another order than they are stored, and the container's stamps may not know.

    Args:
        stream: its first frame has been decoded.
        stamps: of its first packets, in their order.
        container: FFmpeg's name of its format; AVI knows no other order than that of decoding.
    """
    unordered = container == "avi" or list(stamps) == sorted(stamps)
    return bool(stream.codec_context.has_b_frames) and unordered
