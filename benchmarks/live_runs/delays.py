"""From the moment a picture shows to the line with its score, by a clock that is drawn into the picture."""

import io
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from live.sending import FPS, Camera
from live.streams import CATEGORIES, BrightScorer
from live.watching import planned

from lavida.live.scorer import DetectorScorer, Scorer
from lavida.live.watch import watch
from lavida.loading import load

BITS = 32  # milliseconds in stripes, black or white
KEY = 5  # pictures from one that can be decoded alone to the next


class Clocked:
    """Reads the clock of each frame and has another scorer score it."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self.clip_length, self.motion = scorer, scorer.clip_length, scorer.motion
        self.shown: list[int] = []

    def analysed_size(self, width: int, height: int) -> tuple[int, int]:
        wanted = self._scorer.analysed_size(width, height)
        return wanted if wanted[1] >= 4 * BITS else (height, width)

    def score(self, frames, categories, *, size, floor):
        self.shown = [read(frame.image) for frame in frames]
        return self._scorer.score(frames, categories, size=size, floor=2.0)


def drawn(moment_ms: int, size: tuple[int, int]) -> np.ndarray:
    """A picture `[H, W, 3]` that shows the lowest bits of a time."""
    width, height = size
    image = np.full((height, width, 3), 20, np.uint8)
    for bit in range(BITS):
        x = bit * width // BITS
        image[:, x : (bit + 1) * width // BITS] = 235 if moment_ms >> bit & 1 else 20
    return image


def read(image: np.ndarray) -> int:
    """The bits in the middle of a picture, of a few pixels each: it is timed, too."""
    height, width = image.shape[:2]
    middles = [bit * width // BITS + width // BITS // 2 for bit in range(BITS)]
    levels = image[height // 2 - 4 : height // 2 + 4, middles].mean(axis=(0, 2))
    return sum(1 << bit for bit in range(BITS) if levels[bit] > 128)


def coded(seconds: float, size: tuple[int, int]) -> list[bytes]:
    """A film in MPEG-TS, one piece a picture, that shows the milliseconds since its beginning."""
    sink, pieces = io.BytesIO(), []
    with av.open(sink, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = KEY
        for index in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(drawn(index * 1000 // FPS, size), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            pieces.append(sink.getvalue())
            sink.seek(0)
            sink.truncate()
    return pieces


class ClockCamera(Camera):
    """Sends a film that was coded before: a camera does that work itself, not the machine that watches it."""

    def __init__(self, film: list[bytes], start: float) -> None:
        super().__init__()
        self._film, self._start = film, start  # by the steady clock

    def send(self, out) -> None:
        now = -int((self._start - time.monotonic()) * FPS // KEY) * KEY
        for index in range(max(0, now), len(self._film)):
            time.sleep(max(0.0, self._start + index / FPS - time.monotonic()))
            if self.mode != "send":
                return
            out.write(self._film[index])


def delays(*, streams: int, seconds: float, takes: float, model: str | None) -> dict:
    """Watch so many cameras at once; a clip takes so long to score, or a model scores pictures of 640x360."""
    scorer, stopped = Clocked(_loaded(model) if model else BrightScorer(takes_s=takes)), threading.Event()
    film = coded(seconds + 5, (640, 360) if model else (256, 64))
    start = time.monotonic()
    cameras = [ClockCamera(film, start) for _ in range(streams)]
    late: list[float] = []
    clips_late: list[float] = []
    counts: dict[str, int] = {}
    last: dict[str, dict] = {}
    queue: list[int] = []

    def tell(record: dict) -> None:
        if record["type"] == "health":
            last[record["stream"]] = record
        if record["type"] == "score":
            queue[:] = queue or list(scorer.shown)
            late.append(time.monotonic() - start - queue.pop(0) / 1000)
            if not queue:  # the last picture of a clip
                clips_late.append(late[-1])
            counts[record["stream"]] = counts.get(record["stream"], 0) + 1

    threading.Timer(seconds, stopped.set).start()
    before = _idle_s()
    watch(planned(*(camera.url for camera in cameras)), scorer, tell=tell, stopped=stopped)
    idle = (_idle_s() - before) / seconds / (os.cpu_count() or 1)
    for camera in cameras:
        camera.close()
    rates = [count / seconds for count in counts.values()]
    half = late[len(late) // 2 :]
    bound = scorer.clip_length / min([5.0, *rates]) + 1  # a clip's length at the rate that was reached, and a second
    return {
        "run": "delays",
        "streams": streams,
        "seconds": seconds,
        **({"model": model} if model else {"takes_s": takes}),
        "analysed_a_second": [round(rate, 2) for rate in rates],
        "clip_p50_s": round(float(np.percentile(clips_late, 50)), 3),  # after its last picture
        "clip_p95_s": round(float(np.percentile(clips_late, 95)), 3),
        "clip_max_s": round(max(clips_late), 3),
        "delay_p50_s": round(float(np.percentile(late, 50)), 3),  # of each picture, which waits for its clip to fill
        "delay_p95_s": round(float(np.percentile(late, 95)), 3),
        "delay_p95_second_half_s": round(float(np.percentile(half, 95)), 3),
        "delay_max_s": round(max(late), 3),
        "bound_s": round(bound, 3),
        "machine_idle": round(idle, 3),
        "dropped": sum(each["dropped"] for each in last.values()),
        "thinned": sum(each["thinned"] for each in last.values()),
        "kept": len(rates) == streams and min(rates) >= 0.9 * max(rates) and float(np.percentile(late, 95)) <= bound,
    }


def _loaded(model: str) -> DetectorScorer:
    scorer = DetectorScorer(load(model))
    scorer.warm_up(CATEGORIES)
    return scorer


def _idle_s() -> float:
    """Seconds that the machine's cores have been idle; sending what the cameras send is work of theirs, too."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
