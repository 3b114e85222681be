"""One video stream, by FFmpeg through PyAV: its packets and frames, its rate and its length."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from lavida.errors import InputError, reason
from lavida.video.transport import later_pictures

# FFmpeg draws plain text as pictures with these decoders, so a text file would pass for a video.
TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})
TOLERATED_FAILURES = 16  # in a row: beyond it the demuxer is stuck
COUNTED = frozenset({"mov"})  # containers whose number of frames is that of their packets
ENDS = frozenset({"mov", "asf", "wtv"})  # whose length is the end where nothing counts the frames, as in fragments
EXACT = frozenset({"matroska", "mxf"})  # whose length is right to a second
INDEXED = frozenset({"mov", "matroska", "avi"})  # that know where their key frames lie
UNANNOUNCED = frozenset({"mpegts", "mpeg", "ogg"})  # whose length FFmpeg takes from the last stamps
# FFmpeg stamps what it finds in these as if 25 frames a second had been recorded
_WITHOUT_TIMES = frozenset({"mjpeg", "mpjpeg", "mjpeg_2000", "ser", "image2", "image2pipe", "ingenient", "rawvideo"})
STAMPED_PACKETS = 100  # are enough to measure a rate
CHECKED_PACKETS = 32  # to check one that is announced
UNLIKELY_RATE, HIGHEST_RATE = 240.0, 2000.0  # announced, to be looked into; measured, to be believed
TELEVISION = 25.0  # where nothing tells
_AGREES = 1.5  # an announced rate with a measured one, by a factor of at most
_BREAK = 8  # usual steps: a pause, not a frame
# formats that name other files or addresses, which FFmpeg would open, too
POINTERS = frozenset(
    "hls dash concat concatf imf image2 lavfi libopenmpt rtp rtsp sap sdp tty vapoursynth webm_dash_manifest".split()
)
_options: dict[str, str] = {}  # of all that is opened in this process


class TiledPhoto(InputError):
    """A photo that its file holds in tiles, as telephones write it; FFmpeg knows how to join them, PyAV does not."""


def refuse_pointers() -> None:
    """From now on this process opens no file that points to others: a stranger's could read what is the server's."""
    whole = ",".join(sorted(av.formats_available - POINTERS))
    _options.update(format_whitelist=whole, protocol_whitelist="file")


@contextmanager
def opened(path: Path) -> Iterator[Reading]:
    """A reading of the video stream that players show: FFmpeg's best one.

    Raises:
        InputError: it cannot be opened, or holds no video that can be decoded.
    """
    try:
        # "file:" keeps FFmpeg from taking a name such as "a:b.mp4" for a network protocol.
        container = av.open(f"file:{path}", options=dict(_options), metadata_errors="ignore")
    except PermissionError as error:
        raise InputError(f"no permission to read: {path}; change its permissions or copy it") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"not a video: {path}; FFmpeg says '{reason(error)}'; check that it is complete and plays"
        ) from error
    with container:
        # without cover pictures that are marked as such
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise InputError(f"no video stream: {path}; give a file with pictures")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise InputError(f"unknown video codec: {path}; convert it to H.264 in MP4")
        if stream.codec_context.name in TEXT_CODECS:
            raise InputError(f"not a video: {path}; it is a text or data file, give a video file")
        if stream.disposition & Disposition.dependent:
            tiles = f"a photo of {len(streams)} tiles: {path}"
            raise TiledPhoto(f"{tiles}; what joins them is missing: pip install pillow-heif")
        yield Reading(container, stream, len(streams))


@dataclass(slots=True)
class Reading:
    """One reading of a stream, and what it met.

    Attributes:
        container: what is read.
        stream: what is read of it.
        streams: how many with pictures there are.
        packets: with pictures, those before the cut of a trimmed video among them.
        damaged: packets and frames that could not be read or decoded.
        last: the latest frame.
        stuck: whether the demuxer gave up with an error; some do so at an index behind the pictures.
        others_end: the latest end, in seconds, of a packet of another stream.
        last_byte: of the file, at which a packet of the stream begins.
        first_bytes: at which the first packet of each other one with pictures begins, by their numbers.
    """

    container: InputContainer
    stream: VideoStream
    streams: int
    packets: int = 0
    damaged: int = 0
    last: av.VideoFrame | None = None
    stuck: bool = False
    others_end: float = float("-inf")
    last_byte: int = 0
    first_bytes: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # else FFmpeg crops no more off the left than suits its memory
        self.stream.codec_context.flags |= Flags.unaligned

    @property
    def kind(self) -> str:
        """FFmpeg's name of the format; the first one where it has several."""
        return self.container.format.name.partition(",")[0]

    @property
    def length_s(self) -> float | None:
        """The announced length: of the stream, or of all streams together from the first packet on."""
        container, stream = self.container, self.stream
        if stream.duration and stream.time_base:
            begun = stream.start_time or 0
            late = self.kind in ENDS and not (stream.frames and self.kind in COUNTED) and 0 < begun < stream.duration
            return float((stream.duration - begun if late else stream.duration) * stream.time_base)
        if not container.duration:
            return None
        # Matroska tells when it ends, which for a piece of a long recording is late
        start = (container.start_time or 0) if self.kind == "matroska" else 0
        return (container.duration - start if start < container.duration else container.duration) / av.time_base

    def stamp_of(self, frame: av.VideoFrame) -> float | None:
        """In seconds. Not `frame.time`: it is not a number for frames that come out after an error of the demuxer."""
        return None if frame.pts is None or not self.stream.time_base else float(frame.pts * self.stream.time_base)

    def frames(self) -> Iterator[av.VideoFrame]:
        """In presentation order."""
        for packet in self.packets_in_order():
            yield from self.decoded(packet)

    def decoded(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        """The frames that a packet brings out, None those that the decoder still holds; none where it is broken."""
        try:
            frames = self.stream.decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        self.last = frames[-1] if frames else self.last
        return frames

    def packets_in_order(self) -> Iterator[av.Packet | None]:
        """The packets of the stream in the order of the file, then None."""
        # where the sound goes on to the end, the pictures were not cut short
        others, failures = [other for other in self.container.streams if other is not self.stream], 0
        while failures < TOLERATED_FAILURES:
            try:
                for packet in demuxed(self.container, self.stream, *others):
                    self.damaged += failures  # between packets, so that something was lost
                    failures = 0
                    if packet.stream is self.stream:
                        self.packets += packet.size > 0
                        self.last_byte = packet.pos or self.last_byte
                        yield packet
                    elif packet.pts is not None and packet.time_base is not None:
                        if packet.stream.type == "video" and packet.pos is not None:
                            self.first_bytes.setdefault(packet.stream.id, packet.pos)
                        end = packet.pts + (packet.duration or 0)
                        self.others_end = max(self.others_end, float(end * packet.time_base))
                return
            except av.error.FFmpegError:
                failures += 1
        self.stuck = True
        yield None  # the decoder still holds frames; a demuxer that ends by itself sends this, too

    def shortfall(self, *, frames: int, last_s: float, step: float) -> str | None:
        """Say what is missing, or None when all that was announced was there.

        Args:
            frames: how many came out.
            last_s: the time of the last one.
            step: how long one lasts.
        """
        stream = self.stream
        counted = stream.frames and self.kind in COUNTED
        # the index leaves out what a trimmed video hides so that nobody has to read it
        listed = len(stream.index_entries) if counted and hasattr(stream, "index_entries") else stream.frames
        if counted and self.packets < min(listed, stream.frames):
            return f"{frames} of {stream.frames} announced frames could be decoded"
        announced, reached = self.length_s or 0.0, self._reached(last_s, step)
        if not counted or self.stuck:  # else all of it was there, however long the last picture lasts
            # Containers round, and sound may end a little later than the pictures.
            if reached < announced - max(1.0, (0.01 if self.kind in EXACT else 0.1) * announced):
                return f"the pictures end after {reached:.1f} s of {announced:.1f} s announced"
            if self.stuck and (not announced or reached < announced - 0.2):
                return f"reading failed after {reached:.1f} s"
        return f"{self.damaged} damaged packets or frames" if self.damaged else None

    def later_pictures(self, path: Path) -> list[int]:
        """The numbers (PID) of a transport stream's pictures that begin after this stream has ended, or the reading."""
        if self.kind != "mpegts":
            return []
        behind = [number for number, first in self.first_bytes.items() if first > self.last_byte]
        return behind + later_pictures(path, known={stream.id for stream in self.container.streams})

    def _reached(self, last_s: float, step: float) -> float:
        """How far the stream could be read; the container from its start or from zero, whichever is further."""
        last, end = self.last, self.others_end
        if last is not None and last.duration and self.stream.time_base:
            step = max(step, float(last.duration * self.stream.time_base))  # in screen recordings it may stand for long
        if last is not None and (stamp := self.stamp_of(last)) is not None:
            end = max(end, stamp + step)
        return max(last_s + step, end, end - (self.container.start_time or 0) / av.time_base)


def demuxed(container: InputContainer, *streams: Stream) -> Iterator[av.Packet]:
    """The packets of these streams, and then an empty one of each.

    A stream that begins behind the opening of the file is not among them. PyAV (18.1) looks for the last packet of such
    a one, too, in its list of those that it knows, and raises IndexError; that of each stream it knows has come before.
    """
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet


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


class Stamps:
    """Those of packets, taken in their order up to where those of decoding go back: there another recording begins.

    Attributes:
        shown: those of presentation.
        in_order: whether they never go back.
        packets: how many there were, of other recordings too.
    """

    def __init__(self) -> None:
        self.shown: list[int] = []
        self.in_order, self.packets = True, 0
        self._latest: int | None = None
        self._ended = False

    def add(self, shown: int | None, decoded: int | None) -> None:
        """Take those of one packet, of presentation and of decoding."""
        self.packets += 1
        if decoded is not None:
            self._ended = self._ended or (self._latest is not None and decoded < self._latest)
            self._latest = decoded
        if self._ended or shown is None:
            return
        self.in_order = self.in_order and not (self.shown and shown < self.shown[-1])
        self.shown.append(shown)


def may_be_mixed_up(reading: Reading, stamps: Stamps) -> bool:
    """Whether frames are shown in another order than they are stored, and the container's stamps may not know.

    Args:
        reading: its first frame has been decoded.
        stamps: of its first packets.
    """
    # AVI knows no other order than that of decoding
    unordered = reading.container.format.name == "avi" or stamps.in_order
    return bool(reading.stream.codec_context.has_b_frames) and unordered
