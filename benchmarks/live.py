"""Long runs of `lavida watch`: what is delivered over kills, how late scores are, whether memory grows.

    python benchmarks/live.py same VIDEO -a person          # detect and watch at real speed: the same events?
    python benchmarks/live.py kills --times 20              # kill -9 at random moments, a webhook that often fails
    python benchmarks/live.py memory --frames 432000        # a scorer that answers at once
    python benchmarks/live.py delays --streams 4 --seconds 600 --takes 0.1   # by a clock drawn into the pictures
    python benchmarks/live.py rtsp --seconds 1200           # cut off, restarted, frozen, changed in size
    python benchmarks/live.py resident VIDEO -a person --minutes 60   # the process's memory with the embedded model

Each prints one JSON object with what it measured and exits with 1 if a promise was broken. `delays` and `kills` send
MPEG-TS over HTTP, `rtsp` needs GStreamer's server (docs/watch.md). All but `same`, `resident` and `delays --model nano`
use a stand-in that scores by brightness, so that what is measured is everything but the model.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from live_runs.delays import delays
from live_runs.kills import kills
from live_runs.memory import memory
from live_runs.resident import resident
from live_runs.rtsp import rtsp


def same(video: str, words: list[str]) -> dict:
    """The events of `detect` and of `watch`, with the embedded model; the machine has to keep up."""
    from lavida.events import EventSettings
    from lavida.live.address import parse_all
    from lavida.live.plan import Planned, WatchSettings
    from lavida.live.scorer import DetectorScorer
    from lavida.live.watch import watch
    from lavida.loading import load

    detector, records = load("nano"), []
    found = detector.detect(video, words)
    settings = WatchSettings(categories=tuple(words), events=EventSettings(threshold=found.threshold))
    plan = {name: Planned(address, settings) for name, address in parse_all([video]).items()}
    scorer = DetectorScorer(detector)
    scorer.warm_up(settings.categories)
    watch(plan, scorer, tell=records.append, stopped=threading.Event())
    detected = [event.to_json() for event in found.events()]
    ends = [each for each in records if each["type"] == "event" and each["phase"] == "end"]
    watched = [{key: each[key] for key in detected[0]} for each in ends] if detected else ends
    within = float(np.diff(found.times[found.sampled]).max()) + 1e-6  # an analysed frame
    close = len(watched) == len(detected) and all(
        abs(one[key] - other[key]) <= within
        for one, other in zip(watched, detected, strict=True)
        for key in ("start_s", "end_s")
    )
    last = [each for each in records if each["type"] == "health"][-1]
    lost = {key: last[key] for key in ("frames", "analysed", "thinned", "dropped")}
    delay = sorted(each["delay_s"] for each in records if each["type"] == "score")
    return {
        "run": "same",
        "video": Path(video).name,
        "detect": detected,
        "watch": watched,
        "identical": watched == detected,
        "frame_s": round(within, 3),
        **lost,
        "delay_p95_s": delay[int(0.95 * len(delay))] if delay else None,
        "kept": close,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runs = parser.add_subparsers(dest="run", required=True)
    each = runs.add_parser("same")
    each.add_argument("video")
    each.add_argument("-a", dest="words", action="append", required=True)
    each = runs.add_parser("kills")
    each.add_argument("--times", type=int, default=20)
    each.add_argument("--seed", type=int, default=0)
    each = runs.add_parser("memory")
    each.add_argument("--frames", type=int, default=432_000)
    each = runs.add_parser("delays")
    each.add_argument("--streams", type=int, default=4)
    each.add_argument("--seconds", type=float, default=600)
    each.add_argument("--takes", type=float, default=0.1, help="seconds that the stand-in takes for a clip")
    each.add_argument("--model", help="nano, say: it scores pictures of 640x360 instead of the stand-in")
    each = runs.add_parser("resident")
    each.add_argument("video")
    each.add_argument("-a", dest="words", action="append", required=True)
    each.add_argument("--minutes", type=float, default=60)
    each = runs.add_parser("rtsp")
    each.add_argument("--seconds", type=float, default=1200)
    options = vars(parser.parse_args())
    name, begun = options.pop("run"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lavida-live-") as folder:
        if name == "same":
            told = same(**options)
        elif name in ("kills", "rtsp", "resident"):
            told = {"kills": kills, "rtsp": rtsp, "resident": resident}[name](Path(folder), **options)
        else:
            told = {"memory": memory, "delays": delays}[name](**options)
    print(json.dumps(told | {"took_s": round(time.monotonic() - begun, 1)}))
    return 0 if told["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
