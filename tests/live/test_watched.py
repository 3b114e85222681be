"""What becomes of an event while nothing comes of its stream."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from lavida.events import EventSettings
from lavida.live.pace import Pace
from lavida.live.plan import WatchSettings
from lavida.live.records import clock_time
from lavida.live.scorer import ClipScores
from lavida.live.stream import Counts, LiveFrame
from lavida.live.watched import LONGEST_ABSENCE_S, Watched, unseen
from lavida.video.source import Frame


def watched(*, earlier: dict | None = None) -> tuple[Watched, list[dict]]:
    """One whose camera is away, and what it tells of events."""
    told: list[dict] = []
    stream = SimpleNamespace(
        name="gate", state="retrying", message="", counts=Counts(), pace=Pace(), pending=tuple,
        address=SimpleNamespace(shown="rtsp://gate"),
    )  # fmt: skip

    def tell(record: dict) -> None:
        if record["type"] == "event":
            told.append(record)

    return Watched(stream, settings("fire"), tell=tell, seen=unseen, blurred=lambda *_: (), earlier=earlier), told


def settings(*words: str) -> WatchSettings:
    return WatchSettings(categories=words, events=EventSettings(threshold=0.5))


def burn(camera: Watched, *, wall: float) -> None:
    """Ten frames of fire, the last of which has just come, at a moment by the clock on the wall."""
    for number in range(10):
        time_s, now = 0.2 * number, time.monotonic() - 0.2 * (9 - number)
        frame = Frame(number, time_s, np.zeros((4, 4, 3), np.uint8))
        live = LiveFrame(frame, (4, 4), (), now, wall + time_s, after_break=False)
        camera.add([live], ClipScores(np.array([0.9], np.float32), np.array([[0.9]], np.float32), [[]]))


def phases(told: list[dict]) -> list[str]:
    return [record["phase"] for record in told]


def test_an_event_that_was_open_at_a_kill_is_closed_after_a_minute_without_the_camera():
    now = time.time()
    open_at_kill = {
        "type": "event", "phase": "start", "id": "old", "stream": "gate", "start_s": 1.0, "end_s": None,
        "latest_s": 2.0,
        "peak_s": 1.0, "peak_score": 0.9, "category": "fire", "box": None, "start_wall": clock_time(now - 30),
        "end_wall": None, "wall": clock_time(now),
    }  # fmt: skip
    camera, told = watched(earlier=open_at_kill)
    begun = time.monotonic()
    camera.look(now=begun + LONGEST_ABSENCE_S - 5)
    assert told == []  # it may come back
    camera.look(now=begun + LONGEST_ABSENCE_S + 5)
    assert [(record["phase"], record["id"]) for record in told] == [("end", "old")]
    camera.finish()
    assert len(told) == 1


def test_so_is_one_that_was_open_when_the_settings_changed():
    camera, told = watched()
    burn(camera, wall=time.time())
    camera.settle(settings("fire", "smoke"))
    camera.look(now=time.monotonic() + LONGEST_ABSENCE_S + 5)
    assert phases(told) == ["start", "update", "end"] and len({record["id"] for record in told}) == 1


@pytest.mark.parametrize("set_back_s", [0, 7200])
def test_an_event_ends_when_the_camera_goes_whatever_is_done_to_the_clock(set_back_s):
    camera, told = watched()
    burn(camera, wall=time.time() + set_back_s)  # the clock was ahead, and is right from now on
    camera.look(now=time.monotonic() + 20)
    assert phases(told) == ["start", "end"]
    assert told[-1]["end_s"] == pytest.approx(2.0, abs=0.01)
