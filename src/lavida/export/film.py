"""An MP4 of H.264 in which each frame is shown at its own time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

_BT601 = 6  # H.264's number for the matrix
TICKS_A_SECOND = 90_000
CLOCK = Fraction(1, TICKS_A_SECOND)


def ticks_of(times: NDArray[np.float64], *, end_s: float) -> list[int]:
    """When each frame is shown, in ticks of the film's clock from its start, and the end of the last one.

    Frames that share a time are shown one tick after the other: players want one picture at a time.
    """
    shown = np.append(times, end_s) - times[0]
    ticks: list[int] = []
    for tick in np.round(shown * TICKS_A_SECOND).astype(np.int64).tolist():
        ticks.append(max(tick, ticks[-1] + 1) if ticks else tick)
    return ticks


@contextmanager
def encoder(
    path: Path, *, size: tuple[int, int], fps: float, ticks: list[int]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Give what takes the frames, uint8 RGB `[h, w, 3]`, one after the other; the MP4 is whole when the block ends.

    Args:
        path: the file to write.
        size: height and width of the frames, both even.
        fps: frames a second, as is usual in it; what counts are the ticks.
        ticks: `ticks_of` its frames.
    """
    rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))  # a time lapse may be far slower
    lasts = dict(zip(ticks, np.diff(ticks).tolist(), strict=False))
    waiting = iter(ticks)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = _add_stream(container, rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = CLOCK
        # said aloud, for players guess another matrix for large videos and show other colours
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, ColorRange.MPEG

        held: list[av.Packet] = []
        starts: list[int] = []

        def mux(packets: list[av.Packet]) -> None:
            for packet in packets:
                # the muxer would let the last one last no longer than the one before it
                tick = Fraction(packet.time_base) / CLOCK
                packet.duration = round(lasts[round((packet.pts or 0) * tick)] / tick)
                container.mux(held)
                held[:] = [packet]
                starts.append(packet.dts or 0)

        def encode(image: np.ndarray) -> None:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG)
            frame.pts, frame.time_base = next(waiting), CLOCK
            mux(stream.encode(frame))

        yield encode
        mux(stream.encode())
        for packet in held:  # what is stored last, not shown last, decides how long the whole is
            whole = round((ticks[-1] - ticks[0]) * CLOCK / packet.time_base)
            packet.duration = max(packet.duration or 0, whole - (starts[-1] - starts[0]))
        container.mux(held)


def _add_stream(container: av.container.OutputContainer, rate: Fraction) -> av.VideoStream:
    try:
        return container.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "veryfast"})
    except av.codec.codec.UnknownCodecError:  # an FFmpeg built without it
        return container.add_stream("mpeg4", rate=rate, options={"qscale": "4"})
