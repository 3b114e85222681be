"""The latest seconds of a stream on the disk, as the camera coded them: a bounded ring of short files."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from lavida.errors import reason
from lavida.live.address import masked
from lavida.live.clock import MOST_DRIFT_S

PIECE_S = 4.0  # a file ends at the first key frame after so many seconds
IN_TS = ("h264", "hevc", "mpeg2video")  # a kill leaves MPEG-TS whole, but it does not hold everything
SUFFIX, OTHER_SUFFIX = ".ts", ".mkv"
DEFAULT_BASE = Fraction(1, 90000)
PAUSE_S = 30.0  # after a disk that cannot be written
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of the ring; times are seconds since 1970, by the arrival of its packets."""

    path: Path
    begin: float
    end: float
    size: int


class Ring:
    """Holds what a stream sent last. One thread adds, others may look; where several may come to add, see `recorder`.

    Args:
        folder: for its files alone; made with the first one. What an earlier process left in it belongs to the ring.
        seconds: are held at least, if there is room.
        most_bytes: of all its files but the one that is being written, which is let go at a quarter of it.
    """

    def __init__(self, folder: Path, *, seconds: float, most_bytes: int) -> None:
        self._folder, self._seconds, self._most = folder, seconds, most_bytes
        self._lock, self.writing = threading.Lock(), threading.Lock()  # the second one is the recorder's
        self._pieces = list(_left(folder))
        self._container: Any = None  # of the file that is being written
        self._stream: Any = None
        self._path, self._begin, self._first, self._written = folder, 0.0, 0, 0
        self._latest_dts: int | None = None
        self._size = (0, 0)  # of the pictures in the file
        self._stamp: tuple[int, float] | None = None  # of the latest packet, as it was sent, and when it came
        self._shift = 0  # from stamps to those in the file
        self._waits_until, self._holds = 0.0, True
        self._recorder: Recorder | None = None
        self._drop_old()

    def recorder(self) -> Recorder:
        """What the next reader of the stream adds through; readers before it add nothing any more."""
        with self.writing:
            self.pause()
            self._recorder = Recorder(self)
            return self._recorder

    def is_of(self, recorder: Recorder) -> bool:
        """Whether this is the latest recorder."""
        return self._recorder is recorder

    def hold(self, wanted: bool) -> None:
        """Whether anything is to be held from now on; if not, what was held is removed."""
        with self._lock:
            self._holds = wanted
            while not wanted and self._pieces:
                _remove(self._pieces.pop().path)

    def add(self, packet: av.Packet, stream: av.VideoStream) -> None:
        """Take a packet, which is of no more use afterwards. A disk that cannot be written costs the ring only."""
        now = time.time()
        if not self._holds:
            self._abandon()
            return
        if now < self._waits_until or not packet.size:
            return
        try:
            self._add(packet, stream, now)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            self._waits_until = now + PAUSE_S
            _log.warning("ring %s: %s; nothing is held for %g s", self._folder, masked(reason(error)), PAUSE_S)
            self._abandon()
            self._drop_old()  # what fills the disk may be here

    def _add(self, packet: av.Packet, stream: av.VideoStream, now: float) -> None:
        lasted, size = now - self._begin, (stream.codec_context.width, stream.codec_context.height)
        # the packet has been decoded: the codec knows its size
        if packet.is_keyframe and (self._container is None or lasted >= PIECE_S or size != self._size):
            self.pause()
            self._size = size
            self._open(packet, stream, now)
        elif self._container is not None and self._written > self._most // 4:
            self.pause()  # no key frame for long: what follows cannot be used before the next one
        if self._container is None:
            return
        base = stream.time_base or DEFAULT_BASE
        step = packet.dts if packet.dts is not None else packet.pts
        if step is None:  # MJPEG has none, nor has the first picture over RTSP
            step = self._first + round((now - self._begin) / base)
        elif self._stamp is not None:
            before, came = self._stamp
            if not 0 <= (step - before) * base <= MOST_DRIFT_S:  # they jump: by arrival, as for scores
                self._shift += before + max(1, round((now - came) / base)) - step
        self._stamp = step, now
        step += self._shift
        if self._latest_dts is not None and step <= self._latest_dts:
            step = self._latest_dts + 1
        shown_after = 0 if packet.pts is None or packet.dts is None else packet.pts - packet.dts
        self._latest_dts = step
        packet.dts, packet.pts, packet.time_base = step, step + max(0, shown_after), base
        packet.stream = self._stream
        self._written += packet.size
        self._container.mux(packet)

    def _open(self, packet: av.Packet, stream: av.VideoStream, now: float) -> None:
        suffix = SUFFIX if stream.codec_context.name in IN_TS else OTHER_SUFFIX
        self._path = self._folder / f"{round(1000 * now)}{suffix}"
        self._folder.mkdir(parents=True, exist_ok=True)
        kind = "mpegts" if suffix == SUFFIX else "matroska"
        # written at once: what lies in a buffer is lost when the process is killed
        self._container = av.open(str(self._path), "w", format=kind, options={"flush_packets": "1"})
        self._stream = self._container.add_stream_from_template(stream)
        self._begin, self._written, self._latest_dts = now, 0, None
        self._stamp, self._shift = None, 0
        self._first = next((each for each in (packet.dts, packet.pts) if each is not None), 0)

    def pause(self) -> None:
        """Finish the file that is being written; the next key frame begins another one."""
        if not self._holds:
            self._abandon()
            return
        container, self._container = self._container, None
        if container is None:
            return
        try:
            container.close()
            size = self._path.stat().st_size
        except (OSError, av.error.FFmpegError) as error:
            _log.warning("ring %s: %s", self._folder, masked(reason(error)))
            return
        with self._lock:
            self._pieces.append(Piece(self._path, self._begin, time.time(), size))
        self._drop_old()

    def _abandon(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            with suppress(OSError, av.error.FFmpegError):
                container.close()
            _remove(self._path)

    def _drop_old(self) -> None:
        with self._lock:
            total, oldest = sum(piece.size for piece in self._pieces), time.time() - self._seconds
            while self._pieces and (total > self._most or self._pieces[0].end < oldest):
                piece = self._pieces.pop(0)
                total -= piece.size
                _remove(piece.path)

    def pieces(self, begin: float, end: float) -> list[Piece]:
        """The finished files that hold something of these seconds, in order."""
        with self._lock:
            return [piece for piece in self._pieces if piece.begin < end and piece.end > begin]

    def covers(self, moment: float) -> bool:
        """Whether a finished file reaches to a moment, or beyond it."""
        with self._lock:
            return bool(self._pieces) and self._pieces[-1].end >= moment


class Recorder:
    """What one reader of a stream adds to its ring: a camera that is left may still send while the next one is read."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def add(self, packet: av.Packet, stream: av.VideoStream) -> None:
        """See `Ring.add`."""
        with self._ring.writing:
            if self._ring.is_of(self):
                self._ring.add(packet, stream)

    def pause(self) -> None:
        """See `Ring.pause`."""
        with self._ring.writing:
            if self._ring.is_of(self):
                self._ring.pause()


def _remove(path: Path) -> None:
    with suppress(OSError):  # the disk, and not what is watched
        path.unlink()


def _left(folder: Path) -> Iterator[Piece]:
    """What an earlier process left, oldest first; its last file was cut off wherever it was killed."""
    try:
        found = [path for path in folder.iterdir() if path.suffix in (SUFFIX, OTHER_SUFFIX)]
    except OSError:  # there is none, or something else in its place
        return
    for path in sorted((path for path in found if path.stem.isdigit()), key=lambda path: int(path.stem)):
        status = path.stat()
        yield Piece(path, int(path.stem) / 1000, status.st_mtime, status.st_size)
