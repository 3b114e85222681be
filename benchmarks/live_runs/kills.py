"""kill -9 at random moments, while a webhook refuses every third post: is each event delivered, under one key?"""

import collections
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
from live.hook import Inbox
from live.sending import Camera

from live_runs.worker import CLIPS


def kills(folder: Path, *, times: int, seed: int) -> dict:
    """See the module; one run is 2 to 7 s long, in which a fire comes and goes."""
    rng, camera, inbox = random.Random(seed), Camera(), Inbox(every=3)
    data, stop, ring_most = folder / "data", threading.Event(), [0]
    threading.Thread(target=_burn, args=(camera, rng, stop), daemon=True).start()
    threading.Thread(target=_measure, args=(data / "ring", ring_most, stop), daemon=True).start()
    for _ in range(times):
        process = _start(data, camera, inbox)
        time.sleep(rng.uniform(2, 7))
        process.kill()
        process.wait()
    stop.set()
    camera.level = 20
    process = _start(data, camera, inbox)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and (_waiting(data) or _open(data)):
        time.sleep(0.5)
    time.sleep(3)
    process.terminate()
    process.wait(30)
    camera.close()
    inbox.close()
    return {"run": "kills", "times": times, "seed": seed, **_judged(data, inbox, ring_most[0])}


def _start(data: Path, camera: Camera, inbox: Inbox) -> subprocess.Popen:
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), str(data), camera.url, inbox.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process.stdout.readline()  # it is up
    return process


def _burn(camera: Camera, rng: random.Random, stop: threading.Event) -> None:
    while not stop.wait(rng.uniform(0.5, 3)):
        camera.level = 20 if camera.level > 200 else 250


def _measure(ring: Path, most: list[int], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        try:
            most[0] = max(most[0], sum(path.stat().st_size for path in ring.rglob("*") if path.is_file()))
        except OSError:  # a file has gone meanwhile
            continue


def _rows(data: Path, query: str) -> list[tuple]:
    with sqlite3.connect(data / "lavida.sqlite", timeout=10) as database:
        return database.execute(query).fetchall()


def _waiting(data: Path) -> int:
    return _rows(data, "SELECT count(*) FROM outbox WHERE delivered IS NULL")[0][0]


def _open(data: Path) -> int:
    return _rows(data, "SELECT count(*) FROM events WHERE phase != 'end' OR clip_due IS NOT NULL")[0][0]


def _judged(data: Path, inbox: Inbox, ring_bytes: int) -> dict:
    bodies = collections.defaultdict(set)
    for each in inbox.got:
        told = json.loads(each["body"])
        bodies[each["headers"]["Idempotency-Key"]].add((told["id"], told["phase"]))
    events = _rows(data, "SELECT id, record, clip FROM events")
    expected = {f"{event}-{phase}" for event, _, _ in events for phase in ("start", "end")}
    one_meaning = all(len(told) == 1 for told in bodies.values())
    of_event = collections.Counter(pair for told in bodies.values() for pair in told)
    clips = [clip for _, _, clip in events if clip]
    damaged = [clip for clip in clips if not _decodes(data / clip)]
    missed = expected - bodies.keys()
    limit = CLIPS.megabytes * 1e6 * 1.25  # and the file that is being written
    kept = not missed and not damaged and one_meaning and max(of_event.values(), default=1) == 1
    return {
        "events": len(events),
        "interrupted": sum('"interrupted": true' in record for _, record, _ in events),
        "posts": len(inbox.tries),
        "refused": len(inbox.tries) - len(inbox.got),
        "accepted_twice": len(inbox.got) - len(bodies),
        "not_delivered": sorted(missed),
        "keys_with_two_meanings": sum(len(told) > 1 for told in bodies.values()),
        "clips": len(clips),
        "damaged_clips": damaged,
        "ring_megabytes": round(ring_bytes / 1e6, 2),
        "ring_limit_megabytes": limit / 1e6,
        "kept": bool(events) and kept and ring_bytes <= limit,
    }


def _decodes(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0)) > 0
    except (OSError, av.error.FFmpegError):
        return False
