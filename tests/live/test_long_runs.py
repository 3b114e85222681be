"""Short forms of the long runs in `benchmarks/live.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from live.rtsp import missing

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "live.py"


def told(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=280)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_events_are_delivered_over_kills():
    pytest.importorskip("sqlalchemy")
    found = told("kills", "--times", "3")
    assert found["events"] > 0
    assert found["refused"] > 0
    assert found["kept"], found


def test_nothing_grows_with_the_frames():
    found = told("memory", "--frames", "6000")
    assert (found["frames"], found["dropped"]) == (6000, 0)
    second, last = found["second_and_last_quarter"]["threads"]
    assert last <= second
    assert found["grown"] < 0.1  # of so few frames; the long form allows 0.03


def test_the_clock_in_the_picture_tells_how_late_scores_are():
    found = told("delays", "--streams", "2", "--seconds", "6", "--takes", "0.02")
    assert len(found["analysed_a_second"]) == 2
    assert 0 < found["delay_p50_s"] < 5
    assert found["delay_max_s"] < 60  # the clock can be read


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_an_rtsp_camera_that_is_cut_off_frozen_and_changed_is_followed():
    found = told("rtsp", "--seconds", "40")
    assert len(found["noticed_s"]) >= 2 and len(found["back_s"]) >= 2
    assert found["fires_without_an_event"] == []
    assert found["scores_after_the_change"] > 0
