"""Videos of any length or number for benchmarks, made of real clips: 640x360 at 25 frames a second."""

import itertools
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lavida.video.decode import open_source

SIZE, RATE = (640, 360), 25
ENCODED_S = 10  # of a loop; the rest are its packets again


def frames_for_ever(clip: Path) -> Iterator[np.ndarray]:
    """The frames of a clip over and over, `[360, 640, 3]` uint8."""
    while True:
        for frame in open_source(clip).read(stride=1, size=SIZE[::-1]):
            if frame.image is not None:
                yield frame.image


def encode(frames: Iterator[np.ndarray], path: Path, *, count: int) -> None:
    """Write the next `count` frames; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for image in itertools.islice(frames, count):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())


def loop(clip: Path, path: Path, *, seconds: int) -> None:
    """Loop a clip to `seconds`, rounded up to tens."""
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.mp4"
        encode(frames_for_ever(clip), short, count=ENCODED_S * RATE)
        with av.open(str(path), "w") as out:
            target, shift = None, 0
            for _ in range(-(-seconds // ENCODED_S)):
                with av.open(str(short)) as source:
                    stream = source.streams.video[0]
                    target = target or out.add_stream_from_template(stream)
                    for packet in source.demux(stream):
                        if packet.dts is None:
                            continue
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, target
                        out.mux(packet)
                    shift += int(ENCODED_S / stream.time_base)
