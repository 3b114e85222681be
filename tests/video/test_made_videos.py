"""Whatever made a sound file: each of its frames is a row, at its own time, upright, also in the overlay.

Some hundred combinations of container, codec, rate, start, rotation, pixel shape and streams. `make test` tries every
fifth of them; LAVIDA_EVERY=1 tries all.
"""

import itertools
import os
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from bright import bright_detector

from lavida.detection import Detection
from lavida.export.overlay import overlay_size, write_overlay
from lavida.video.decode import open_source

from . import make
from .looking import bright_corner

EVERY = int(os.environ.get("LAVIDA_EVERY", "5"))
FRAMES = 14
SIZE = (64, 48)
CODECS = {
    "mp4": ["libx264", "mpeg4"],
    "mov": ["libx264", "mjpeg"],
    "mkv": ["libx264", "ffv1", "mpeg4"],
    "webm": ["libvpx"],
    "avi": ["mpeg4", "mjpeg", "libx264"],
    "ts": ["libx264", "mpeg2video"],
    "mpg": ["mpeg2video"],
    "flv": ["flv"],
    "wmv": ["wmv2"],
}
FULL_RANGE = {"mjpeg"}
# milliseconds of each frame
RATES = {
    "25": [40 * i for i in range(FRAMES)],
    "10": [100 * i for i in range(FRAMES)],
    "jitter": np.cumsum([0, 31, 36, 35, 30, 34, 33, 29, 38, 40, 27, 33, 34, 33]).tolist(),
    "pause": [*(40 * i for i in range(8)), *(3000 + 40 * i for i in range(6))],
    "slow": [700 * i for i in range(FRAMES)],
}
VARYING = {"mp4", "mov", "mkv", "webm", "ts", "flv"}  # the others have one rate
CORNERS = {"upright": ("top", "left"), "left": ("bottom", "left"), "down": ("bottom", "right")}
CORNERS["mirrored"] = ("top", "right")
TURNS = {"upright": (1, 0, 0, 1), "left": (0, -1, 1, 0), "down": (-1, 0, 0, -1), "mirrored": (-1, 0, 0, 1)}
SHAPES = {"square": None, "wide": Fraction(4, 3)}
STREAMS = ("alone", "sound", "preview")


@dataclass(frozen=True)
class Kind:
    container: str
    codec: str
    rate: str
    start_s: int
    turn: str
    shape: str
    streams: str

    @property
    def can_be(self) -> bool:
        """Whether the container can say all this."""
        one_rate = self.rate in ("25", "10") or self.container in VARYING
        start = not self.start_s or self.container in ("mkv", "ts", "mp4")
        turned = self.turn == "upright" or (self.container in ("mp4", "mov") and self.streams == "alone")
        shaped = self.shape == "square" or (self.container in ("mkv", "mp4", "mov") and self.codec != "ffv1")
        other = self.streams != "preview" or self.container in ("mkv", "mp4", "ts")
        sound = self.streams != "sound" or self.container in ("mkv", "mp4", "mov", "ts", "avi", "mpg")
        pace = self.rate == "25" or self.codec != "mpeg2video"  # it has a list of rates
        return one_rate and start and turned and shaped and other and sound and pace

    def __str__(self) -> str:
        return "-".join(map(str, vars(self).values()))


def all_kinds() -> list[Kind]:
    codecs = [(container, codec) for container, known in CODECS.items() for codec in known]
    choices = itertools.product(codecs, RATES, (0, 5), TURNS, SHAPES, STREAMS)
    kinds = (Kind(*codec, *others) for codec, *others in choices)
    return [kind for kind in kinds if kind.can_be]


def chosen_kinds() -> list[Kind]:
    """The same ones each time, by a hash of the name, and the plainest of every container and codec."""
    plain = {(kind.container, kind.codec): kind for kind in reversed(all_kinds())}.values()
    return [kind for kind in all_kinds() if kind in plain or zlib.crc32(str(kind).encode()) % EVERY == 0]


def made(path: Path, kind: Kind) -> Path:
    """A file of this kind; frame i has the level `make.grey(i)` and a bright corner."""
    stamps = RATES[kind.rate]
    constant = {"25": 25, "10": 10}.get(kind.rate)
    clock = Fraction(1, constant) if constant else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(kind.codec, rate=constant or 25)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if kind.codec in FULL_RANGE else "yuv420p"
        stream.codec_context.time_base = clock
        if SHAPES[kind.shape] is not None:
            stream.codec_context.sample_aspect_ratio = SHAPES[kind.shape]
        if TURNS[kind.turn] != TURNS["upright"]:
            a, b, c, d = (value << 16 for value in TURNS[kind.turn])
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        others = []
        if kind.streams == "sound":
            sound = container.add_stream("mp2" if kind.container != "mov" else "aac", rate=16000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts, silence.time_base = 16000, kind.start_s * 16000, Fraction(1, 16000)
            others.append((sound, [silence]))
        if kind.streams == "preview":
            preview = container.add_stream("mpeg4" if kind.container != "ts" else "mpeg2video", rate=25)
            preview.width, preview.height, preview.pix_fmt = 32, 24, "yuv420p"
            small = av.VideoFrame.from_ndarray(make.picture(20, 32, 24), format="rgb24")
            small.pts, small.time_base = 25 * kind.start_s, Fraction(1, 25)
            others.append((preview, [small]))
        for index, milliseconds in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(make.picture(make.grey(index), *SIZE, mark=True), format="rgb24")
            frame.pts = round((Fraction(milliseconds, 1000) + kind.start_s) / clock)
            frame.time_base = clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for other, frames in others:
            for frame in (*frames, None):
                container.mux(other.encode(frame))
    return path


@pytest.mark.parametrize("kind", chosen_kinds(), ids=str)
def test_rows_times_and_overlay_are_those_of_the_file(kind: Kind, tmp_path: Path):
    source = open_source(made(tmp_path / f"made.{kind.container}", kind))
    frames = list(source.read(stride=1))
    assert all(bright_corner(frame.image) == CORNERS[kind.turn] for frame in frames[:8])
    seen = [float(np.median(frame.image)) for frame in frames]
    assert seen == pytest.approx([make.grey(index) for index in range(FRAMES)], abs=6)
    times = np.array([frame.time_s for frame in frames])
    rounding = 0.04 if kind.container == "avi" and kind.codec == "libx264" else 2e-3
    assert times == pytest.approx(np.array(RATES[kind.rate]) / 1000, abs=rounding)
    assert source.warnings == []
    width, height = SIZE[0] if kind.shape == "square" else 86, SIZE[1]  # 64 * 4 / 3, even
    shown = (height, width) if kind.turn == "left" else (width, height)
    assert (source.info.width, source.info.height) == shown
    assert all(frame.image.shape == (shown[1], shown[0], 3) for frame in frames)
    check_choice(source, times)
    detection = bright_detector().detect(source, ["light"], threshold=0.01)
    assert detection.times == pytest.approx(times)
    check_overlay(detection, tmp_path / "overlay.mp4")


def check_choice(source, times: np.ndarray) -> None:
    chosen = [frame.index for frame in source.read() if frame.image is not None]
    for before, after in itertools.pairwise(chosen):
        assert times[after] - times[before] <= 0.2 + 1e-5 or after == before + 1


def check_overlay(detection: Detection, path: Path) -> None:
    height, width = detection.info.height, detection.info.width
    assert detection.masks and all(mask.size == (height, width) for mask in detection.masks)
    write_overlay(detection, path)
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert (stream.height, stream.width) == overlay_size(height=height, width=width)
        drawn = [frame.time for frame in container.decode(stream)]
        assert container.duration / av.time_base == pytest.approx(detection.end_s, abs=0.002)
    assert drawn == pytest.approx(detection.times, abs=1e-4)


def test_there_are_some_hundred_kinds():
    kinds = all_kinds()
    assert len(kinds) > 300 and {kind.container for kind in chosen_kinds()} == set(CODECS)
