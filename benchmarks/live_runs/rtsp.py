"""A camera over RTSP for long: cut off, restarted, frozen without closing, changed in size in between."""

import time
from itertools import pairwise
from pathlib import Path

from live.rtsp import FPS, RtspServer, film, missing
from live.watching import Watching, is_phase, is_score, is_state

PERIOD_S, FIRE_S = 10, 3
BACK_S = 10.0
SMALL, LARGE = (128, 96), (256, 192)


def rtsp(folder: Path, *, seconds: float) -> dict:
    """As it is, cut off and restarted, frozen, changed in size: about a quarter of the time each."""
    begun = time.monotonic()
    if missing() is not None:
        return {"run": "rtsp", "kept": False, "missing": missing()}
    part_s = seconds / 4
    levels = ([20] * (PERIOD_S - FIRE_S) * FPS + [250] * FIRE_S * FPS) * max(1, round(part_s / PERIOD_S))
    path = film(folder / "film.ts", levels, SMALL, LARGE)
    with RtspServer(cam=path) as server, Watching(server.url("cam")) as seen:
        seen.until(is_score, within=20)
        time.sleep(part_s * 0.8)
        noticed, back = [], []
        server.kill()
        noticed.append(_until(seen, is_state("retrying")))
        time.sleep(3)
        server.start()
        back.append(_until(seen, is_score))
        time.sleep(part_s * 0.5)
        server.freeze()
        noticed.append(_until(seen, is_state("retrying")))
        server.thaw()
        back.append(_until(seen, is_score))
        sized = seen.until(  # every connection begins the film anew, with small pictures
            lambda record: is_state("running")(record) and "x".join(map(str, LARGE)) in record["message"],
            within=part_s * 1.5 + 30,
            after=len(seen.records),
        )
        known = len(seen.records)
        back.append(_until(seen, is_score))
        time.sleep(max(part_s * 0.8, seconds - (time.monotonic() - begun)))
    scores = [record for record in seen.records if is_score(record)]
    events = [record for record in seen.records if is_phase("end")(record)]
    late = sorted(record["delay_s"] for record in scores)
    gaps = _gaps(scores)
    missed = _missed_fires(scores, events)
    after = len([record for record in seen.records[known:] if is_score(record)])
    p95 = late[int(0.95 * len(late))]
    return {
        "run": "rtsp",
        "seconds": seconds,
        "noticed_s": noticed,
        "back_s": back,
        "changed_size": sized["message"],
        "scores": len(scores),
        "scores_after_the_change": after,
        "events": len(events),
        "gaps_s": gaps,
        "fires_without_an_event": missed,
        "delay_p95_s": p95,
        "kept": max(noticed) <= BACK_S and max(back) <= BACK_S and not missed and p95 <= 0.8 + 1 and after > 0,
    }


def _until(seen: Watching, wanted) -> float:
    begun, known = time.monotonic(), len(seen.records)
    seen.until(wanted, within=30, after=known)
    return round(time.monotonic() - begun, 2)


def _gaps(scores: list[dict]) -> list[float]:
    times = [record["time_s"] for record in scores]
    return [round(after - before, 1) for before, after in pairwise(times) if after - before > 1]


def _missed_fires(scores: list[dict], events: list[dict]) -> list[float]:
    """Times of bright frames that no event holds."""
    bright = [record["time_s"] for record in scores if record["score"] >= 0.5]
    return [at for at in bright if not any(event["start_s"] <= at < event["end_s"] for event in events)]
