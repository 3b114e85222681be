"""`lavida watch` as its own process with the embedded model, on a camera that shows a video again and again."""

import collections
import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
from live.sending import Camera

from live_runs.memory import resources

EVERY_S = 10


class LoopCamera(Camera):
    """Shows a video's pictures from its first to its last and begins again; they are decoded as they are sent."""

    def __init__(self, video: str) -> None:
        super().__init__()
        self._pictures = _looped(video)
        first = next(self._pictures)
        self.size = (first.shape[1], first.shape[0])

    def picture(self, size: tuple[int, int]) -> np.ndarray:
        return next(self._pictures)


def resident(folder: Path, *, video: str, words: list[str], minutes: float) -> dict:
    """Does the resident memory's mean grow from the second to the last quarter of the time?"""
    camera = LoopCamera(video)
    asked = itertools.chain.from_iterable(("-a", word) for word in words)
    command = [sys.executable, "-m", "lavida", "watch", camera.url, *asked, "--data", str(folder / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told, last = collections.Counter(), {}
    threading.Thread(target=_count, args=(process, told, last), daemon=True).start()
    samples, begun = list[dict](), time.monotonic()
    while time.monotonic() - begun < 60 * minutes and process.poll() is None:
        time.sleep(EVERY_S)
        if told["score"]:
            samples.append(resources(process.pid))
    running = process.poll() is None
    process.terminate()
    process.wait(60)
    camera.close()
    quarter = len(samples) // 4
    parts = [samples[part * quarter : (part + 1) * quarter] for part in range(4)]
    mean = {key: [round(float(np.mean([each[key] for each in part])), 1) for part in parts] for key in samples[0]}
    grown = mean["resident_mb"][3] / mean["resident_mb"][1] - 1
    return {
        "run": "resident",
        "video": Path(video).name,
        "minutes": minutes,
        "records": dict(told),
        **{key: last.get(key) for key in ("frames", "analysed", "thinned", "dropped")},
        "quarters": mean,
        "grown": round(grown, 4),
        "kept": running and grown <= 0.03,
    }


def _looped(video: str):
    while True:
        with av.open(video) as container:
            for frame in container.decode(video=0):
                picture = frame.to_ndarray(format="rgb24")
                yield picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]


def _count(process: subprocess.Popen, told: collections.Counter, last: dict) -> None:
    for line in process.stdout:
        record = json.loads(line)
        told[record["type"]] += 1
        if record["type"] == "health":
            last.update(record)
