"""The seconds before and after an event, cut out of the ring without coding them anew."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from lavida.errors import InputError, reason
from lavida.files import atomic_file
from lavida.live.address import masked
from lavida.live.config import Clips
from lavida.live.plan import Plan
from lavida.live.ring import DEFAULT_BASE, Piece, Ring
from lavida.live.store import ClipWanted, Store

CLIPS, RINGS = "clips", "ring"
PATIENCE_S = 30.0  # for the file of the ring that holds the last seconds to be finished
SLACK_S = 60.0  # that the ring holds beyond the longest clip
IN_MP4 = ("h264", "hevc", "mpeg4", "av1", "vp9")
_log = logging.getLogger(__name__)


class Cutter:
    """The rings of all streams, and the clips that are cut out of them.

    Args:
        store: knows which clips are due.
        clips: how long they are, and how much each ring may hold.
    """

    def __init__(self, store: Store, clips: Clips) -> None:
        self._store, self._clips, self._rings = store, clips, dict[str, Ring]()
        self._folder = store.folder / RINGS
        left = [path for path in self._folder.iterdir() if path.is_dir()] if self._folder.is_dir() else []
        for path in left:  # events that were open at a kill may still want their clips
            self.ring(path.name)

    def ring(self, stream: str) -> Ring:
        """That of a stream."""
        if stream not in self._rings:
            clips = self._clips
            seconds = clips.before_s + clips.longest_s + clips.after_s + SLACK_S
            most = round(clips.megabytes * 1e6)
            self._rings[stream] = Ring(self._folder / stream, seconds=seconds, most_bytes=most)
        return self._rings[stream]

    def follow(self, plan: Plan) -> None:
        """Hold nothing of streams whose pictures are blurred, and let go of what was held of them."""
        for name, planned in plan.items():
            shown = self._clips.unblurred or not planned.settings.blur
            if not shown or name in self._rings:
                self.ring(name).hold(shown)

    def work(self, *, now: float, last: bool = False) -> None:
        """Cut the clips that are due; `last` does not wait for a ring that is not finished yet."""
        for wanted in self._store.clips_due(now=now):
            ring = self._rings.get(wanted.stream)
            waits = ring is not None and not ring.covers(wanted.end) and now < wanted.end + PATIENCE_S
            if waits and not last:
                continue
            path = None if ring is None else self._cut(ring, wanted)
            self._store.clip_made(wanted.event, path, now=now)

    def _cut(self, ring: Ring, wanted: ClipWanted) -> str | None:
        try:
            path = cut(ring.pieces(wanted.begin, wanted.end), wanted, self._store.folder / CLIPS)
        except (InputError, OSError, ValueError, av.error.FFmpegError) as error:
            _log.warning("clip of event %s: %s", wanted.event, masked(reason(error)))
            return None
        return None if path is None else f"{CLIPS}/{path.name}"


def cut(pieces: list[Piece], wanted: ClipWanted, folder: Path) -> Path | None:
    """Write a clip from the pieces of a ring, from the last key frame before it begins on.

    Returns:
        Its path; None where no piece can be read.

    Raises:
        InputError: the disk is full or cannot be written.
    """
    pieces = [piece for piece in pieces if _readable(piece)]
    if not pieces:
        return None
    with av.open(str(pieces[0].path)) as first:
        stream = first.streams.video[0]
        codec, shape = stream.codec_context.name, (stream.codec_context.width, stream.codec_context.height)
        target = folder / f"{wanted.event}{'.mp4' if codec in IN_MP4 else '.mkv'}"
        with atomic_file(target) as partial, av.open(str(partial), "w") as clip:
            out = clip.add_stream_from_template(stream)
            joined = _Joined(clip, out, wanted)
            for piece in pieces:
                if not joined.add(piece, codec, shape):
                    break  # the stream goes on in another size: what follows would need another film
        return target


def _readable(piece: Piece) -> bool:
    """False for what a kill left of a file that had hardly been begun."""
    try:
        with av.open(str(piece.path)) as container:
            return bool(container.streams.video) and container.streams.video[0].codec_context.width > 0
    except (OSError, ValueError, av.error.FFmpegError):
        return False


class _Joined:
    """Packets of one piece after the other, at the times at which they arrived."""

    def __init__(self, clip: Any, out: Any, wanted: ClipWanted) -> None:
        self._clip, self._out, self._wanted = clip, out, wanted
        self._start: float | None = None  # seconds since 1970 of the clip's first packet
        self._latest = -1

    def add(self, piece: Piece, codec: str, shape: tuple[int, int]) -> bool:
        """Whether the piece fits behind the others."""
        with av.open(str(piece.path)) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            if (context.name, (context.width, context.height)) != (codec, shape):
                return False
            unit = stream.time_base or DEFAULT_BASE
            packets = [packet for packet in container.demux(stream) if packet.size]
            steps = [packet.dts for packet in packets if packet.dts is not None]
            if not steps or len(steps) < len(packets):
                return True
            arrived = [piece.begin + float((step - steps[0]) * unit) for step in steps]
            keys = [i for i, packet in enumerate(packets) if packet.is_keyframe and arrived[i] <= self._wanted.begin]
            for i in range(max(keys, default=0), len(packets)):
                if arrived[i] > self._wanted.end:
                    break
                self._mux(packets[i], arrived[i], unit)
        return True

    def _mux(self, packet: Any, arrived: float, unit: Fraction) -> None:
        if self._start is None:
            self._start = arrived
        shift = packet.pts - packet.dts if packet.pts is not None else 0
        step = max(self._latest + 1, round((arrived - self._start) / unit))
        self._latest = step
        packet.dts, packet.pts, packet.time_base = step, step + max(0, shift), unit
        packet.stream = self._out
        self._clip.mux(packet)
