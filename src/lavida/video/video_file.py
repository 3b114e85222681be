"""Frames of a video file: FFmpeg through PyAV, streamed and upright, whatever is broken skipped."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from lavida.errors import InputError
from lavida.video.motion import pair_gap
from lavida.video.source import Frame, Pair, SourceInfo, check_stride, one_line

RATE_PACKETS = 100  # are enough to know a frame rate
UNLIKELY_RATE, HIGHEST_RATE = 240.0, 2000.0  # announced, to be looked into; measured, to be believed
# FFmpeg draws plain text as pictures with these decoders, so a text file would pass for a video.
TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})


class VideoFile:
    """A video file; see `Source`."""

    def __init__(self, path: Path) -> None:
        self.warnings: list[str] = []
        with _opened(path) as (container, stream):
            first = next(_decoded(container, stream, _Damage()), None)
            if first is None:
                raise _undecodable(path)
            self.info = _video_info(path, container, stream, first, fps=_frame_rate(container, stream))

    def read(
        self, *, stride: int, size: tuple[int, int] | None = None, pair_size: tuple[int, int] | None = None
    ) -> Iterator[Frame]:
        """See `Source.read`. Broken packets are skipped and end in one warning."""
        check_stride(stride)
        return self._frames(stride, size or (self.info.height, self.info.width), pair_size)

    def _frames(self, stride: int, size: tuple[int, int], pair_size: tuple[int, int] | None) -> Iterator[Frame]:
        clock, damage, scaler = _Clock(self.info.fps), _Damage(), VideoReformatter()
        pairs = None if pair_size is None else _Pairs(pair_size, gap=pair_gap(self.info.fps))
        held: _Decoded | None = None
        index, time_s = -1, 0.0

        def frame(after: _Decoded | None) -> Frame:
            if after is not None and index % stride:
                return Frame(index, time_s, None)
            pair = None if pairs is None else pairs.of(held, after)
            return Frame(index, time_s, _converted(held.picture, size, scaler), pair)

        with _opened(self.info.path) as (container, stream):
            stream.thread_type = "AUTO"
            # One frame is held back, since only the end tells which is the last.
            for picture in _decoded(container, stream, damage):
                following = _Decoded(picture, clock.time(index + 1, picture.time))
                if held is not None:
                    yield frame(following)
                    if pairs is not None:
                        pairs.earlier.append(held)
                index, time_s, held = index + 1, following.time_s, following
            if held is None:
                raise _undecodable(self.info.path)
            yield frame(None)
            announced, seconds = stream.frames, _seconds(container)
            late_s = clock.late_s(container.start_time)
        shortfall = damage.shortfall(index + 1, late_s + time_s, announced=announced, seconds=seconds)
        if shortfall:
            self._warn(f"damaged or cut short: {self.info.path}; {shortfall}")
        if clock.missing:
            guess = f"their times assume {self.info.fps:g} frames a second"
            self._warn(f"no time stamps on {clock.missing} frames: {self.info.path}; {guess}")

    def _warn(self, line: str) -> None:
        if line not in self.warnings:  # a second reading finds the same
            self.warnings.append(line)


@dataclass(frozen=True, slots=True)
class _Decoded:
    picture: av.VideoFrame
    time_s: float


class _Pairs:
    """Keeps the last few decoded frames, unconverted, and pairs a frame with the one `gap` before it."""

    def __init__(self, size: tuple[int, int], *, gap: int) -> None:
        self.earlier: deque[_Decoded] = deque(maxlen=gap)
        self._size, self._scaler = size, VideoReformatter()

    def of(self, held: _Decoded, after: _Decoded | None) -> Pair:
        other = self.earlier[0] if self.earlier else after
        if other is None:
            return Pair(self._gray(held), None, 0.0)
        return Pair(self._gray(held), self._gray(other), held.time_s - other.time_s)

    def _gray(self, decoded: _Decoded) -> np.ndarray:
        return _converted(decoded.picture, self._size, self._scaler, pixels="gray")  # [h, w]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its video stream."""
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
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise InputError(f"no video stream: {path}; give a file with pictures")
        if streams[0].codec_context is None:
            raise InputError(f"unknown video codec: {path}; convert it to H.264 in MP4")
        if streams[0].codec_context.name in TEXT_CODECS:
            raise InputError(f"not a video: {path}; it is a text or data file, give a video file")
        yield container, streams[0]


class _Damage:
    """What was lost in one reading."""

    tolerated_failures = 16  # in a row: beyond it the demuxer is stuck

    def __init__(self) -> None:
        self.count = 0
        self.hidden = 0  # packets before the cut of a video that was trimmed without coding it anew

    def shortfall(self, frames: int, end_s: float, *, announced: int, seconds: float | None) -> str | None:
        """Say what is missing, or None when all that was announced was there."""
        if frames + self.hidden < announced:
            return f"{frames} of {announced} announced frames could be decoded"
        # Containers round, and sound may end a little later than the pictures.
        if seconds is not None and end_s < seconds - max(1.0, 0.1 * seconds):
            return f"the pictures end after {end_s:.1f} s of {seconds:.1f} s announced"
        return f"{self.count} damaged packets or frames" if self.count else None


def _packets(container: InputContainer, stream: VideoStream, damage: _Damage) -> Iterator[av.Packet | None]:
    failures = 0
    while failures < damage.tolerated_failures:
        try:
            for packet in container.demux(stream):
                failures = 0
                damage.hidden += packet.is_discard
                yield packet
            return
        except av.error.FFmpegError:
            failures += 1
            damage.count += 1
    yield None  # the decoder still holds frames; a demuxer that ends by itself sends this, too


def _decoded(container: InputContainer, stream: VideoStream, damage: _Damage) -> Iterator[av.VideoFrame]:
    for packet in _packets(container, stream, damage):
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError:
            damage.count += 1
            continue
        for frame in frames:
            damage.count += frame.is_corrupt
            yield frame


class _Clock:
    """Turns a stream's time stamps into seconds that start at zero and never decrease."""

    restart_s = 1.0  # reordered stamps go back by a few frames; more than this is a new recording

    def __init__(self, fps: float) -> None:
        self.missing = 0
        self._step = 1 / fps
        self._first: float | None = None
        self._origin: float | None = None
        self._now = 0.0

    def late_s(self, start: int | None) -> float:
        """How long after the container's start, in microseconds, the pictures begin: sound may come first."""
        if self._first is None or start is None:
            return 0.0
        return max(0.0, self._first - start / av.time_base)

    def time(self, index: int, stamp: float | None) -> float:
        if stamp is None:
            self.missing += 1
            time_s = index * self._step if self._origin is None else self._now + self._step
        else:
            if self._origin is None:
                self._first = self._origin = stamp - index * self._step
            elif stamp - self._origin < self._now - self.restart_s:
                self._origin = stamp - self._now - self._step
            time_s = stamp - self._origin
        self._now = max(self._now, time_s)
        return self._now


def _frame_rate(container: InputContainer, stream: VideoStream) -> float:
    """Frames a second: as announced, else as the packets that follow are stamped, else as FFmpeg guesses.

    Its guess comes last: where nothing is announced, it is the clock of the time stamps, 1,000 or 90,000.
    """
    announced = float(stream.average_rate or 0)
    if 0 < announced <= UNLIKELY_RATE:
        return announced
    stamps: list[int] = []
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            stamps += [] if packet.pts is None else [packet.pts]
            if len(stamps) == RATE_PACKETS:
                break
    span = (max(stamps) - min(stamps)) * stream.time_base if stamps else 0
    measured = float((len(stamps) - 1) / span) if span else 0.0
    if 0 < measured <= HIGHEST_RATE:
        return measured
    guessed = float(stream.guessed_rate or 0)
    return guessed if 0 < guessed <= UNLIKELY_RATE else 25.0


def _video_info(
    path: Path, container: InputContainer, stream: VideoStream, first: av.VideoFrame, *, fps: float
) -> SourceInfo:
    width, height = _square(first.width, stream.sample_aspect_ratio), first.height
    if _orientation(first)[0]:
        width, height = height, width
    seconds = _seconds(container)
    hint = stream.frames or (round(seconds * fps) if seconds else None)
    return SourceInfo(path, path.stem, width, height, fps, hint)


def _seconds(container: InputContainer) -> float | None:
    return container.duration / av.time_base if container.duration else None


def _square(width: int, aspect: Fraction | None) -> int:
    """The width at which pixels of this aspect ratio become square."""
    # An absurd ratio is a broken header; following it would ask for gigabytes.
    if not aspect or aspect == 1 or not 1 / 8 <= aspect <= 8:
        return width
    return max(2, 2 * round(width * float(aspect) / 2))


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """What makes a frame upright: swap its axes, then reverse its rows, then reverse its columns."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # Stored pixel (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


def _converted(
    frame: av.VideoFrame, size: tuple[int, int], scaler: VideoReformatter, *, pixels: str = "rgb24"
) -> np.ndarray:
    """Upright and resized: `[H, W, 3]`, or `[H, W]` for pixels "gray"."""
    swap, reverse_rows, reverse_columns = _orientation(frame)
    height, width = size[::-1] if swap else size
    wanted = {"width": width, "height": height, "format": pixels, "interpolation": "BILINEAR"}
    try:
        scaled = scaler.reformat(frame, **wanted)
    except av.error.FFmpegError:
        # FFmpeg's scaler refuses reserved and exotic colour tags: read them as the common one.
        scaled = scaler.reformat(frame, **wanted, src_colorspace="ITU709", dst_colorspace="ITU709")
    image = scaled.to_ndarray()  # [h, w, 3] or [h, w]
    image = image.swapaxes(0, 1) if swap else image
    image = image[:: -1 if reverse_rows else 1, :: -1 if reverse_columns else 1]
    return np.ascontiguousarray(image)


def _undecodable(path: Path) -> InputError:
    return InputError(f"no frame can be decoded: {path}; check that it plays, or convert it to H.264 in MP4")
