"""As many frames as come in days, as fast as they go: do memory, files, threads or descriptors grow?"""

import threading
from pathlib import Path

import numpy as np
from live.streams import CATEGORIES, BrightScorer

from lavida.events import EventSettings
from lavida.live.address import Address
from lavida.live.plan import Planned, WatchSettings
from lavida.live.watch import Watch
from lavida.video.source import Frame

SIDE, CLIP = 32, 8
SAMPLES = 40


def memory(*, frames: int) -> dict:
    """A watch of one made stream, in which a minute-long fire comes every ten minutes."""
    told, samples = [0, 0], list[dict]()
    asked = WatchSettings(categories=CATEGORIES, events=EventSettings(threshold=0.5))

    def tell(record: dict) -> None:
        told[record["type"] == "event"] += 1

    watching = Watch(BrightScorer(clip_length=CLIP), tell=tell)
    import lavida.live.stream as stream_room

    taken = threading.Semaphore(CLIP)
    stream_room.session_of = lambda address: _made(frames, taken)  # the frames come as fast as they are scored
    watching.follow({"made": Planned(Address("network", "made", "made", "made"), asked)})
    watched = watching._watched["made"]
    every, next_sample = max(1, frames // SAMPLES), 0
    while watched._analysed < frames:
        before = watched._analysed
        watching.step()
        for _ in range(watched._analysed - before):
            taken.release()
        if watched._analysed >= next_sample:
            samples.append(resources())
            next_sample += every
        watching._scorer.clips.clear()
    watching.finish()
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    mean = {key: [round(float(np.mean([each[key] for each in part])), 2) for part in (second, last)] for key in last[0]}
    grown = mean["resident_mb"][1] / mean["resident_mb"][0] - 1
    steady = all(mean[key][1] <= mean[key][0] for key in ("threads", "descriptors"))
    return {
        "run": "memory",
        "frames": watched._analysed,
        "dropped": watched.stream.counts.dropped,
        "records": told[0],
        "events": told[1],
        "second_and_last_quarter": mean,
        "grown": round(grown, 4),
        "kept": steady and grown <= 0.03,
    }


def _made(frames: int, taken: threading.Semaphore):
    dark, bright = np.full((SIDE, SIDE, 3), 20, np.uint8), np.full((SIDE, SIDE, 3), 250, np.uint8)

    def session(address, wanted, clock, opened):
        opened((48, 64), "made")
        for index in range(frames):
            while not taken.acquire(timeout=0.2):
                if wanted.stopped():
                    return
            yield Frame(index, index / 5, bright if index % 3000 < 300 else dark)

    return session


def resources(process: int | str = "self") -> dict:
    """What a process holds now: resident memory, threads of Python and of libraries, open files."""
    status = Path(f"/proc/{process}/status").read_text()
    return {
        "resident_mb": int(status.split("VmRSS:")[1].split()[0]) / 1024,
        "threads": int(status.split("Threads:")[1].split()[0]),
        "descriptors": len(list(Path(f"/proc/{process}/fd").iterdir())),
    }
