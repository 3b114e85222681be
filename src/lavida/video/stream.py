"""The packets and frames of one video stream: FFmpeg through PyAV, whatever is broken skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from lavida.errors import InputError
from lavida.video.source import one_line

# FFmpeg draws plain text as pictures with these decoders, so a text file would pass for a video.
TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})
TOLERATED_FAILURES = 16  # in a row: beyond it the demuxer is stuck
COUNTED = frozenset({"mov"})  # containers whose number of frames is that of their packets


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
            f"not a video: {path}; FFmpeg says '{one_line(error)}'; check that it is complete and plays"
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

    def of(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[av.VideoFrame, av.Packet]]:
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
        counted = stream.frames and container.format.name.partition(",")[0] in COUNTED
        # the index leaves out what a trimmed video hides so that nobody has to read it
        listed = len(stream.index_entries) if counted and hasattr(stream, "index_entries") else stream.frames
        if counted and self.packets < min(listed, stream.frames):
            return f"{frames} of {stream.frames} announced frames could be decoded"
        if counted and not self.stuck:  # all of it was there, however long the last picture lasts
            return self._damage()
        if stream.duration and stream.time_base:
            announced, reached = float(stream.duration * stream.time_base), length_s
        else:
            announced, reached = seconds(container) or 0.0, max(length_s, self._reached(container, ends_s))
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


def seconds(container: InputContainer) -> float | None:
    """The announced length of all streams together, from the first packet on."""
    if not container.duration:
        return None
    # Matroska tells when it ends, which for a piece of a long recording is late
    start = (container.start_time or 0) if container.format.name.startswith("matroska") else 0
    return (container.duration - start if start < container.duration else container.duration) / av.time_base
