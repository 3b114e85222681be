"""A camera on the network that is cut off, freezes, changes and comes back."""

import json
import socket
import time
from itertools import pairwise
from types import SimpleNamespace

import pytest

from lavida.live.address import parse_all
from lavida.live.check import check_streams
from lavida.live.clock import DueClock, LiveClock
from lavida.live.session import CatchingUp
from live.sending import Camera
from live.watching import Watching, is_phase, is_score, is_state

pytestmark = pytest.mark.slow  # in real time


@pytest.fixture
def camera():
    camera = Camera()
    yield camera
    camera.close()


def test_an_event_is_told_while_it_goes_on(camera):
    with Watching(camera.url) as seen:
        seen.until(is_score, within=10)
        camera.level = 250
        start = seen.until(is_phase("start"), within=5)
        assert not [record for record in seen.records if is_phase("end")(record)]
        camera.level = 20
        end = seen.until(is_phase("end"), within=5)
    assert start["id"] == end["id"]
    delays = sorted(record["delay_s"] for record in seen.records if is_score(record))
    assert delays[int(0.95 * len(delays))] < 0.8 + 1  # a clip of four frames lasts 0.8 s


def test_a_camera_that_closes_is_opened_again_and_the_event_before_is_closed(camera):
    with Watching(camera.url) as seen:
        camera.level = 250
        seen.until(is_phase("start"), within=10)
        camera.mode = "close"
        assert "opened again in 0.5 s" in seen.until(is_state("retrying"), within=10)["message"]
        end = seen.until(is_phase("end"), within=5)
        camera.mode, camera.level, known, back = "send", 20, len(seen.records), time.monotonic()
        score = seen.until(is_score, within=10, after=known)
        assert time.monotonic() - back < 10
    assert score["time_s"] > end["end_s"]  # stream time goes on
    frames = [record["frame"] for record in seen.records if is_score(record)]
    assert frames == sorted(set(frames))


def test_a_camera_that_freezes_is_noticed_within_ten_seconds(camera):
    with Watching(camera.url) as seen:
        seen.until(is_score, within=10)
        camera.mode, frozen = "freeze", time.monotonic()
        assert "no answer in time" in seen.until(is_state("retrying"), within=10)["message"]
        assert time.monotonic() - frozen < 10
        camera.mode, known = "send", len(seen.records)
        seen.until(is_score, within=10, after=known)


def test_a_change_of_size_goes_on_in_the_same_session(camera):
    with Watching(camera.url) as seen:
        seen.until(is_score, within=10)
        camera.size = (128, 96)
        seen.until(lambda record: is_state("running")(record) and "128x96" in record["message"], within=10)
        seen.until(is_score, within=10, after=len(seen.records))
    assert not any(is_state("retrying")(record) for record in seen.records)
    frames = [record["frame"] for record in seen.records if is_score(record)]
    assert frames == sorted(set(frames))


def test_a_camera_that_is_not_there_yet_is_waited_for():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Watching(f"http://me:geheim@127.0.0.1:{port}/cam.ts") as seen:
        assert "refused" in seen.until(is_state("retrying"), within=5)["message"]
        camera = Camera(port=port)
        seen.until(is_score, within=10)
        camera.close()


def test_a_wrong_password_is_a_state_of_health(camera):
    with Watching(camera.url.replace("geheim", "falsch")) as seen:
        message = seen.until(is_state("retrying"), within=5)["message"]
    assert "401" in message
    assert "falsch" not in json.dumps(seen.records)


def test_a_dead_stream_does_not_disturb_the_others_and_no_password_is_told(camera, caplog):
    with Watching(camera.url, "rtsp://me:geheim@127.0.0.1:9/1") as seen:
        seen.until(lambda _: sum(map(is_score, seen.records)) >= 10, within=20)
    told = json.dumps(seen.records) + caplog.text
    assert "geheim" not in told
    assert "versteckt" not in told
    scores = [record for record in seen.records if is_score(record)]
    assert {record["stream"] for record in scores} == {"127.0.0.1-cam.ts"}


def test_check_says_for_each_stream_why_it_gives_no_picture(camera):
    faults = check_streams(parse_all([camera.url, "rtsp://me:geheim@127.0.0.1:9/1"]))
    assert faults["127.0.0.1-cam.ts"] is None
    assert "refused" in faults["127.0.0.1-1"]
    assert "geheim" not in str(faults)


def test_stream_time_follows_stamps_within_a_session_and_the_wall_between_them():
    clock = LiveClock()
    clock.begin()
    assert [clock.time_s(5.0, now=100.0), clock.time_s(5.1, now=100.4)] == [0.0, 0.1]
    clock.begin()
    assert clock.time_s(0.0, now=160.0) == 60.0
    assert clock.time_s(0.04, now=160.1) == 60.04
    assert clock.time_s(5000.0, now=161.0) == 61.0  # a jump of the camera's clock is not believed
    assert clock.time_s(None, now=162.0) == 62.0
    assert clock.time_s(4000.0, now=161.5) == 62.0  # never back


def test_stream_time_goes_on_where_stamps_begin_anew_a_little_earlier():
    clock = LiveClock()
    clock.begin()
    assert [clock.time_s(stamp, now=100.0 + stamp) for stamp in (0.0, 1.0, 2.0, 3.0)] == [0.0, 1.0, 2.0, 3.0]
    assert clock.time_s(0.0, now=103.04) == 3.04
    assert clock.time_s(0.04, now=103.08) == 3.08
    assert clock.time_s(0.0, now=103.1) == 3.08  # late, and no jump


def test_what_is_due_by_its_stamp_begins_anew_where_stamps_jump():
    clock = DueClock()
    assert [clock.due_at(7.0, now=50.0), clock.due_at(8.0, now=53.0), clock.due_at(7.9, now=54.0)] == [50.0, 51.0, 50.9]
    assert [clock.due_at(5.0, now=55.0), clock.due_at(6.0, now=55.5)] == [55.0, 56.0]
    assert [clock.due_at(9000.0, now=57.0), clock.due_at(9001.0, now=57.0)] == [57.0, 58.0]


def test_decoding_that_falls_behind_skips_pictures_until_it_has_caught_up():
    context = SimpleNamespace(skip_frame="DEFAULT")
    catching_up = CatchingUp(context)
    seen = []
    for stamp, now in [(0, 0), (1, 2), (2, 4.5), (4, 5), (6, 6.2), (7, 7.2)]:
        catching_up.due_at(stamp, now=now)
        seen.append(context.skip_frame)
    assert seen == ["DEFAULT", "DEFAULT", "NONKEY", "NONKEY", "DEFAULT", "DEFAULT"]


def test_a_delay_that_stays_is_not_taken_for_slow_decoding_either():
    """Less than half of what it was at first, and too much to have been caught up."""
    context = SimpleNamespace(skip_frame="DEFAULT")
    catching_up, seen = CatchingUp(context), []
    for stamp in range(60):
        late_s = 0 if stamp < 5 else 2.5 if stamp == 5 else 0.8
        catching_up.due_at(stamp, now=stamp + late_s)
        seen.append(context.skip_frame)
    assert "NONKEY" in seen[5:8] and set(seen[20:]) == {"DEFAULT"}


@pytest.mark.parametrize("slow", [0.001, 0.08])
def test_a_slow_clock_of_the_camera_is_not_taken_for_slow_decoding(slow):
    """It would be late for ever, and only its key frames decoded."""
    context = SimpleNamespace(skip_frame="DEFAULT")
    catching_up, skipped, hours = CatchingUp(context), 0, 3600 * 3
    for picture in range(hours):  # one a second, each second one stands alone
        if context.skip_frame == "DEFAULT" or picture % 2 == 0:
            catching_up.due_at(picture * (1 - slow), now=float(picture))
        else:
            skipped += 1
    assert skipped < (0.1 if slow > 0.01 else 0.001) * hours


@pytest.mark.slow
def test_a_film_that_is_sent_again_and_again_is_analysed_as_any_other(camera):
    """Its stamps begin anew each second: no second is missed, and nobody thinks that decoding falls behind."""
    camera.again = 25
    with Watching(camera.url) as seen:
        seen.until(lambda record: is_score(record) and record["time_s"] > 5.5, within=20)
    times = [record["time_s"] for record in seen.records if is_score(record)]
    assert max(after - before for before, after in pairwise(times)) < 0.5
    assert seen.records[-1]["sessions"] == 1
