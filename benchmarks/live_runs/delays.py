"""From the moment a picture shows to the line with its score, by a clock that is drawn into the picture."""

import threading
import time

import numpy as np
from live.sending import Camera
from live.streams import BrightScorer
from live.watching import planned

from lavida.live.watch import watch

BITS, ROW = 32, 4  # milliseconds in stripes, black or white


class ClockScorer(BrightScorer):
    """Reads the clock of each frame instead of scoring it."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.shown: list[int] = []

    def analysed_size(self, width: int, height: int) -> tuple[int, int]:
        return height, width

    def score(self, frames, categories, *, size, floor):
        self.shown = [read(frame.image) for frame in frames]
        return super().score(frames, categories, size=size, floor=2.0)


def drawn(moment_ms: int, size: tuple[int, int]) -> np.ndarray:
    """A picture `[H, W, 3]` that shows the lowest bits of a time."""
    width, height = size
    image = np.full((height, width, 3), 20, np.uint8)
    for bit in range(BITS):
        x = bit * width // BITS
        image[:, x : (bit + 1) * width // BITS] = 235 if moment_ms >> bit & 1 else 20
    return image


def read(image: np.ndarray) -> int:
    """The bits in the middle row of a picture."""
    height, width = image.shape[:2]
    rows = image[height // 4 : 3 * height // 4].mean(axis=(0, 2))
    return sum(1 << bit for bit in range(BITS) if rows[bit * width // BITS + width // BITS // 2] > 128)


class ClockCamera(Camera):
    """A camera that shows when each picture was made."""

    def picture(self, size: tuple[int, int]) -> np.ndarray:
        return drawn(int(time.time() * 1000) % (1 << BITS), size)


def delays(*, streams: int, seconds: float, takes: float) -> dict:
    """Watch so many cameras at once, each clip of which takes so long to score."""
    cameras = [ClockCamera() for _ in range(streams)]
    for camera in cameras:
        camera.size = (256, 64)
    scorer, stopped = ClockScorer(takes_s=takes), threading.Event()
    late: list[float] = []
    counts: dict[str, int] = {}
    last: dict[str, dict] = {}
    queue: list[int] = []

    def tell(record: dict) -> None:
        if record["type"] == "health":
            last[record["stream"]] = record
        if record["type"] == "score":
            queue[:] = queue or list(scorer.shown)
            late.append(((int(time.time() * 1000) - queue.pop(0)) % (1 << BITS)) / 1000)
            counts[record["stream"]] = counts.get(record["stream"], 0) + 1

    threading.Timer(seconds, stopped.set).start()
    watch(planned(*(camera.url for camera in cameras)), scorer, tell=tell, stopped=stopped)
    for camera in cameras:
        camera.close()
    rates = [count / seconds for count in counts.values()]
    half = late[len(late) // 2 :]
    bound = 0.2 * scorer.clip_length + 1  # a clip's length and a second
    return {
        "run": "delays",
        "streams": streams,
        "seconds": seconds,
        "takes_s": takes,
        "analysed_a_second": [round(rate, 2) for rate in rates],
        "delay_p50_s": round(float(np.percentile(late, 50)), 3),
        "delay_p95_s": round(float(np.percentile(late, 95)), 3),
        "delay_p95_second_half_s": round(float(np.percentile(half, 95)), 3),
        "delay_max_s": round(max(late), 3),
        "bound_s": bound,
        "dropped": sum(each["dropped"] for each in last.values()),
        "thinned": sum(each["thinned"] for each in last.values()),
        "kept": len(rates) == streams and min(rates) >= 0.9 * max(rates) and float(np.percentile(late, 95)) <= bound,
    }
