"""A real RTSP server that is cut off, freezes, changes its pictures and wants a password."""

import json
import time

import pytest

from lavida.live.address import parse_all
from lavida.live.check import check_streams
from live.rtsp import RtspServer, film, missing
from live.watching import Watching, is_phase, is_score, is_state

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.slow,  # in real time
]

DARK, BRIGHT = [20] * 25, [250] * 25


def test_what_an_rtsp_camera_shows_is_told_as_it_happens(tmp_path):
    path = film(tmp_path / "film.ts", DARK * 3 + BRIGHT * 3 + DARK * 3, (128, 96))
    with RtspServer(cam=path) as server, Watching(server.url("cam")) as seen:
        end = seen.until(is_phase("end"), within=20)
        health = seen.until(is_state("running"), within=5)
    assert (health["message"], health["source"]) == ("h264, 128x96", server.url("cam"))
    assert end["end_s"] - end["start_s"] == pytest.approx(3.0, abs=0.5)
    assert end["box"] is not None
    delays = sorted(record["delay_s"] for record in seen.records if is_score(record))
    assert delays[int(0.95 * len(delays))] < 0.8 + 1  # a clip of four frames lasts 0.8 s


@pytest.mark.slow
def test_a_cut_and_a_freeze_are_noticed_and_the_stream_goes_on(tmp_path):
    path = film(tmp_path / "film.ts", DARK * 60, (128, 96))
    with RtspServer(cam=path) as server, Watching(server.url("cam")) as seen:
        seen.until(is_score, within=15)
        server.kill()
        cut = time.monotonic()
        seen.until(is_state("retrying"), within=10)
        assert time.monotonic() - cut < 10
        time.sleep(3)
        server.start()
        back = time.monotonic()
        known = len(seen.records)
        seen.until(is_score, within=10, after=known)
        assert time.monotonic() - back < 10
        server.freeze()
        known = len(seen.records)
        assert "no answer in time" in seen.until(is_state("retrying"), within=10, after=known)["message"]
        server.thaw()
        known = len(seen.records)
        seen.until(is_score, within=10, after=known)
    times = [record["time_s"] for record in seen.records if is_score(record)]
    assert times == sorted(times)


def test_a_camera_that_changes_its_size_goes_on_in_the_same_session(tmp_path):
    path = film(tmp_path / "film.ts", DARK * 3, (128, 96), (256, 192))
    with RtspServer(cam=path) as server, Watching(server.url("cam")) as seen:
        changed = seen.until(lambda each: is_state("running")(each) and "256x192" in each["message"], within=15)
        seen.until(is_score, within=5, after=seen.records.index(changed))
        assert not any(is_state("retrying")(record) for record in seen.records[: seen.records.index(changed)])


def test_a_password_lets_in_and_a_wrong_one_is_a_state_of_health(tmp_path):
    path = film(tmp_path / "film.ts", DARK * 10, (128, 96))
    with RtspServer(cam=path, login="me:geheim") as server:
        right, wrong = (server.url("cam", login=f"me:{word}@") for word in ("geheim", "falsch"))
        with Watching(right, wrong) as seen:
            seen.until(is_score, within=10)
            assert "401" in seen.until(is_state("retrying"), within=5)["message"]
        assert {record["stream"] for record in seen.records if is_score(record)} == {"127.0.0.1-cam"}
        faults = check_streams(parse_all([right, wrong, server.url("other", login="me:geheim@")]))
    assert faults["127.0.0.1-cam"] is None
    assert "401" in faults["127.0.0.1-cam-2"]
    assert "404" in faults["127.0.0.1-other"]
    told = json.dumps(seen.records) + str(faults)
    assert "geheim" not in told
    assert "falsch" not in told
