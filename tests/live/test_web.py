"""Cameras and servers over HTTP."""

import pytest

from live.watching import Watching, is_phase, is_score, is_state
from live.web import SIZE, Web


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def test_an_mjpeg_camera_is_watched_as_it_sends(web):
    with Watching(web.url("cam.mjpeg")) as seen:
        seen.until(is_score, within=10)
        web.level = 250
        start = seen.until(is_phase("start"), within=5)
        web.level = 20
        end = seen.until(is_phase("end"), within=5)
        assert seen.until(is_state("running"), within=1)["message"] == f"mjpeg, {SIZE[0]}x{SIZE[1]}"
    assert start["id"] == end["id"]
    scores = [record for record in seen.records if is_score(record)]
    pace = (scores[-1]["time_s"] - scores[0]["time_s"]) / (len(scores) - 1)
    assert 0.15 < pace < 0.35  # ten pictures a second come without times, five are analysed


@pytest.mark.slow
def test_of_an_adaptive_stream_the_largest_picture_is_watched_and_it_alone_is_fetched(web):
    with Watching(web.url("adaptive.m3u8")) as seen:
        assert f"{SIZE[0]}x{SIZE[1]}" in seen.until(is_state("running"), within=25)["message"]
        fetched = web.small_pieces  # to see what it is
        first = seen.until(is_score, within=10)
        seen.until(lambda record: is_score(record) and record["time_s"] > first["time_s"] + 6, within=20)
    assert web.small_pieces == fetched <= 3


@pytest.mark.slow
def test_a_live_hls_list_is_played_at_real_speed_and_goes_on(web):
    with Watching(web.url("live.m3u8")) as seen:
        first = seen.until(is_score, within=20)
        web.level = 250
        seen.until(is_phase("start"), within=20)  # late by the pieces that the list holds
        web.level = 20
        end = seen.until(is_phase("end"), within=20)
    assert end["start_s"] > first["time_s"]
    scored = [(record["time_s"], at) for record, at in zip(seen.records, seen.times, strict=True) if is_score(record)]
    (first_s, first_at), (last_s, last_at) = scored[0], scored[-1]
    assert last_s - first_s == pytest.approx(last_at - first_at, abs=2)
    assert all(record["sessions"] <= 1 for record in seen.records if record["type"] == "health")
