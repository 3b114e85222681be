"""The frame rate of a stream: as announced, where its time stamps agree."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from av.video.stream import VideoStream

STAMPED_PACKETS = 100  # are enough to measure a rate
CHECKED_PACKETS = 32  # to check one that is announced
UNLIKELY_RATE, HIGHEST_RATE = 240.0, 2000.0  # announced, to be looked into; measured, to be believed
TELEVISION = 25.0  # where nothing tells
_AGREES = 1.5  # an announced rate with a measured one, by a factor of at most
_BREAK = 8  # usual steps: a pause, not a frame


# FFmpeg stamps what it finds in these as if 25 frames a second had been recorded
_WITHOUT_TIMES = frozenset({"mjpeg", "mpjpeg", "mjpeg_2000", "ser", "image2", "image2pipe", "ingenient", "rawvideo"})


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
    return float(1 / (mean * stream.time_base)) if mean else None


def one_recording(stamps: Sequence[tuple[int | None, int | None]]) -> list[int]:
    """The stamps of presentation up to where those of decoding go back: there another recording begins.

    Args:
        stamps: of presentation and of decoding, for each packet.
    """
    kept, latest = [], None
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
