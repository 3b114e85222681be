"""An MP4 of H.264 in which each frame is shown at its own time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

_BT601 = 6  # H.264's number for the matrix
# An MP4 counts how long a picture lasts, and how much later it is shown than decoded, in 31 bits.
TICKS_A_SECOND = (90_000, 1_000, 60)  # for pauses of up to 6 hours, 24 days, a year
_MOST_TICKS = 2**31 - 1
_REORDERED = 8  # pictures that an encoder holds back at most


def ticks_of(times: NDArray[np.float64], *, end_s: float) -> tuple[list[int], int]:
    """When each frame is shown, in ticks of the film's clock from its start, and the end of the last one.

    Frames that share a time are shown one tick after the other: players want one picture at a time.

    Returns:
        The ticks, and how many of them a second has: the finest of `TICKS_A_SECOND` whose numbers have room.
    """
    shown = np.append(times, end_s) - times[0]
    later = shown[min(_REORDERED, len(shown) - 1) :]
    longest = float(np.max(later - shown[: len(later)]))
    rate = next((rate for rate in TICKS_A_SECOND if longest * rate <= _MOST_TICKS), TICKS_A_SECOND[-1])
    ticks: list[int] = []
    for tick in np.round(shown * rate).astype(np.int64).tolist():
        ticks.append(max(tick, ticks[-1] + 1) if ticks else tick)
    return ticks, rate


@contextmanager
def encoder(
    path: Path, *, size: tuple[int, int], fps: float, times: NDArray[np.float64], end_s: float
) -> Iterator[Callable[[np.ndarray], None]]:
    """Give what takes the frames, uint8 RGB `[h, w, 3]`, one after the other; the MP4 is whole when the block ends.

    Args:
        path: the file to write.
        size: height and width of the frames, both even.
        fps: frames a second, as is usual in it; what counts are the times.
        times: in seconds, when each frame is shown.
        end_s: when the last one ends.
    """
    ticks, ticks_a_second = ticks_of(times, end_s=end_s)
    clock = Fraction(1, ticks_a_second)
    rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))  # a time lapse may be far slower
    lasts = dict(zip(ticks, np.diff(ticks).tolist(), strict=False))
    waiting = iter(ticks)
    options = {"movflags": "+faststart", "video_track_timescale": str(ticks_a_second)}  # else the muxer makes it finer
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = _add_stream(container, rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = clock
        # said aloud, for players guess another matrix for large videos and show other colours
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, ColorRange.MPEG

        held: list[av.Packet] = []
        starts: list[int] = []

        def mux(packets: list[av.Packet]) -> None:
            for packet in packets:
                # the muxer would let the last one last no longer than the one before it
                tick = Fraction(packet.time_base) / clock
                packet.duration = round(lasts[round((packet.pts or 0) * tick)] / tick)
                container.mux(held)
                held[:] = [packet]
                starts.append(packet.dts or 0)

        def encode(image: np.ndarray) -> None:
            frame = av.VideoFrame.from_ndarray(_planes(image), format="yuv420p")
            frame.pts, frame.time_base = next(waiting), clock
            mux(stream.encode(frame))

        yield encode
        mux(stream.encode())
        for packet in held:  # what is stored last, not shown last, decides how long the whole is
            whole = round((ticks[-1] - ticks[0]) * clock / packet.time_base)
            packet.duration = max(packet.duration or 0, whole - (starts[-1] - starts[0]))
        container.mux(held)


def _planes(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB `[h, w, 3]` as planes of BT.601 `[h*3/2, w]`; FFmpeg's conversion takes several times as long.

    OpenCV takes the colour of the first of four pixels, so that it is given their mean.
    """
    height, width = image.shape[:2]
    mean = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(mean, (width, height), interpolation=cv2.INTER_NEAREST)
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
    planes[height:] = cv2.cvtColor(coarse, cv2.COLOR_RGB2YUV_I420)[height:]
    return planes


def _add_stream(container: av.container.OutputContainer, rate: Fraction) -> av.VideoStream:
    try:
        return container.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "veryfast"})
    except av.codec.codec.UnknownCodecError:  # an FFmpeg built without it
        return container.add_stream("mpeg4", rate=rate, options={"qscale": "4"})
