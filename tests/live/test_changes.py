"""What changes while a watch runs, and what a killed one left open."""

import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.events import EventSettings
from lavida.live.plan import WatchRequest
from lavida.live.profile import Profile, Word
from lavida.live.records import clock_time, seconds_of
from lavida.live.reload import Reload
from lavida.live.schedule import Schedule
from live.sending import Camera
from live.streams import clip
from live.watching import Watching, is_phase, is_score, is_state, planned

pytestmark = pytest.mark.slow  # in real time


@pytest.fixture
def camera():
    camera = Camera()
    yield camera
    camera.close()


def is_event(phase: str, stream: str):
    return lambda record: is_phase(phase)(record) and record["stream"] == stream


def test_streams_come_and_go_without_a_lost_frame_of_the_others(camera):
    plan = planned(camera.url, camera.url)  # cam.ts and cam.ts-2
    (stays, first), (goes, second) = plan.items()
    with Watching(plan=plan) as seen:
        seen.until(lambda record: is_score(record) and record["stream"] == goes, within=10)
        seen.plan = {stays: first, "new": second}
        ended = seen.until(lambda record: is_state("ended")(record) and record["stream"] == goes, within=5)
        assert ended["message"] == "taken out of the configuration"
        seen.until(lambda record: is_score(record) and record["stream"] == "new", within=10)
        known = len(seen.records)
        seen.until(lambda record: is_score(record) and record["stream"] == stays, within=5, after=known)
    frames = [record["frame"] for record in seen.records if is_score(record) and record["stream"] == stays]
    steps = [after - before for before, after in itertools.pairwise(frames)]
    assert max(steps) <= 5
    last = [record for record in seen.records if record["type"] == "health" and record["stream"] == stays][-1]
    assert (last["dropped"], last["thinned"], last["sessions"]) == (0, 0, 1)


def test_other_words_and_thresholds_act_and_an_open_event_goes_on_under_its_id(camera):
    plan = planned(camera.url)
    ((name, before),) = plan.items()
    camera.level = 250
    with Watching(plan=plan) as seen:
        start = seen.until(is_phase("start"), within=10)
        events = EventSettings(threshold=0.6)
        seen.plan = {
            name: replace(before, settings=replace(before.settings, categories=("fire", "dog"), events=events))
        }
        seen.until(lambda record: is_score(record) and "dog" in record["scores"], within=5)
        known = len(seen.records)
        seen.until(is_score, within=5, after=known)
        camera.level = 20
        end = seen.until(is_phase("end"), within=10)
    assert end["id"] == start["id"]
    assert "interrupted" not in end
    assert seconds_of(end["start_wall"]) == pytest.approx(seconds_of(start["start_wall"]), abs=0.002)
    assert [record["phase"] for record in seen.records if record["type"] == "event"].count("start") == 1


def left_open(ago_s: float) -> dict:
    """The record of an event that a killed process stored last, so long ago."""
    now = time.time() - ago_s
    return {
        "type": "event", "phase": "update", "id": "old", "stream": "127.0.0.1-cam.ts", "start_s": 90.0, "end_s": None,
        "latest_s": 100.0, "peak_s": 95.0, "peak_score": 0.999, "category": "fire", "box": [1, 2, 3, 4],
        "start_wall": clock_time(now - 10), "end_wall": None, "wall": clock_time(now),
    }  # fmt: skip


def test_an_event_that_was_open_at_a_kill_goes_on_if_it_is_still_there(camera):
    camera.level, record = 250, left_open(3.0)
    with Watching(camera.url, earlier={record["stream"]: record}) as seen:
        first = seen.until(lambda each: each["type"] == "event", within=10)
        camera.level = 20
        end = seen.until(is_phase("end"), within=10)
    assert (first["phase"], first["id"], end["id"]) == ("update", "old", "old")
    assert end["start_wall"][:-2] == record["start_wall"][:-2]
    assert (end["peak_score"], end["box"]) == (0.999, [1, 2, 3, 4])
    assert end["start_s"] < end["peak_s"] < 0 < end["end_s"]  # before the first frame of this process
    assert not [each for each in seen.records if is_phase("start")(each)]


@pytest.mark.parametrize(("level", "ago_s"), [(20, 3.0), (250, 120.0)])
def test_an_event_that_is_over_or_long_ago_is_closed_with_what_was_stored(camera, level, ago_s):
    camera.level, record = level, left_open(ago_s)
    with Watching(camera.url, earlier={record["stream"]: record}) as seen:
        end = seen.until(is_phase("end"), within=10)
        if level > 200:
            assert seen.until(is_phase("start"), within=10)["id"] != "old"
    assert (end["id"], end["interrupted"], end["end_s"]) == ("old", True, 100.0)
    assert end["end_wall"] == record["wall"]


def test_outside_the_schedule_scores_are_told_and_no_events(tmp_path):
    path = str(clip(tmp_path / "fire.mp4", [250] * 50))
    hour = datetime.now().hour
    for shift, events in ((0, 1), (2, 0)):
        first, last = ((hour + shift + step) % 24 for step in (0, 2))
        schedule = Schedule((f"{first}:00-{last}:00",))
        with Watching(plan=planned(path, schedule=schedule)) as seen:
            seen.until(is_state("ended"), within=20)
        assert len([record for record in seen.records if is_score(record)]) > 5
        assert len([record for record in seen.records if is_phase("end")(record)]) == events


def test_a_picture_of_a_region_lies_beside_the_file_and_is_looked_at_like_it(tmp_path, monkeypatch):
    video, said = clip(tmp_path / "a.mp4", [20] * 5), []
    folder = tmp_path / "settings"
    folder.mkdir()
    config, picture = folder / "watch.yaml", folder / "yard.png"
    config.write_text(f"anomalies: [fire]\nstreams: {{gate: {{url: {video}, regions: yard.png}}}}\n")
    asked = WatchRequest(config=config)
    with pytest.raises(InputError, match="regions: the picture cannot be read: .*settings/yard.png"):
        asked.plan(asked.read())
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, :4] = 255
    Image.fromarray(pixels).save(picture)
    given = asked.read()
    before = asked.plan(given)["gate"].settings.regions.area((8, 16))
    reload = Reload(asked, given, say=said.append)
    monkeypatch.setattr("lavida.live.reload.EVERY_S", 0.0)
    assert reload() is None
    Image.fromarray(255 - pixels).save(picture)
    after = reload()["gate"].settings.regions.area((8, 16))
    assert (after != before).all()
    picture.write_text("no picture")
    assert reload() is None
    assert "the change is not taken: regions: the picture cannot be read" in said[-1]


def test_a_changed_file_acts_within_five_seconds_and_a_broken_one_changes_nothing(camera, tmp_path):
    config, said = tmp_path / "watch.yaml", []
    config.write_text(f"streams:\n  gate: {camera.url}\nanomalies: [fire]\n")
    asked = WatchRequest(config=config)
    given = asked.read()
    with Watching(plan=asked.plan(given), replan=Reload(asked, given, say=said.append)) as seen:
        seen.until(is_score, within=10)
        config.write_text("streams: 5\n")
        changed = time.monotonic()
        while not said:
            assert time.monotonic() - changed < 5
            time.sleep(0.05)
        assert "the change is not taken" in said[0]
        config.write_text(
            f"streams:\n  gate: {camera.url}\nanomalies: [fire, dog]\nwebhooks: [{{url: 'http://x/y'}}]\n"
        )
        seen.until(lambda record: is_score(record) and "dog" in record["scores"], within=5)
    assert "1 stream is watched with it; webhooks: after the next start" in said[1]
    assert max(record["sessions"] for record in seen.records if record["type"] == "health") == 1


def test_what_a_broken_file_lacks_may_come_and_each_change_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr("lavida.live.reload.EVERY_S", 0.0)
    video, said = clip(tmp_path / "a.mp4", [20] * 5), []
    config, profile = tmp_path / "watch.yaml", tmp_path / "gate.yaml"
    usual = f"anomalies: [fire]\nstreams: {{gate: {video}}}\n"
    config.write_text(usual)
    asked = WatchRequest(config=config)
    reload = Reload(asked, asked.read(), say=said.append)
    config.write_text(f"{usual}profile: {profile}\n")
    assert reload() is None
    assert "the profile cannot be read" in said[-1]
    assert (reload(), len(said)) == (None, 1)
    Profile((Word("fire", 0.1, 0.6),), 60.0, 1.0, 1.0, 0.95, 4.0, "nano").save(profile)
    assert reload()["gate"].settings.profile is not None
    assert (reload(), len(said)) == (None, 2)


def test_a_receiver_that_means_nothing_breaks_the_file_and_one_that_was_there_needs_no_start(tmp_path, monkeypatch):
    monkeypatch.setattr("lavida.live.reload.EVERY_S", 0.0)
    video, said = clip(tmp_path / "a.mp4", [20] * 5), []
    config = tmp_path / "watch.yaml"
    usual = f"anomalies: [fire]\nstreams: {{gate: {video}}}\n"
    config.write_text(usual)
    asked = WatchRequest(config=config)
    reload = Reload(asked, asked.read(), say=said.append)
    config.write_text(f"{usual}webhooks: [{{url: 'ftp://x/y'}}]\n")
    assert reload() is None
    assert "the change is not taken: a webhook's url is not http or https" in said[-1]
    config.write_text(f"{usual}webhooks: [{{url: 'http://x/y'}}]\n")
    assert reload() is not None
    assert said[-1].endswith("; webhooks: after the next start")
    config.write_text(f"{usual}\n")
    assert reload() is not None
    assert said[-1].endswith("1 stream is watched with it")


def test_hours_of_the_week_are_read_and_others_refused():
    night = Schedule(("fri-mon 22:00-06:00", "wed 12:00-13:30"))
    days = {"fri": 27, "sat": 28, "wed": 25, "tue": 24, "mon": 30}  # of November 2026

    def active(day: str, hour: int, minute: int = 0) -> bool:
        return night.active(datetime(2026, 11, days[day], hour, minute, tzinfo=UTC))

    assert [active("fri", 5), active("fri", 22), active("sat", 5, 59), active("sat", 6)] == [False, True, True, False]
    assert [active("wed", 13, 29), active("wed", 13, 30), active("tue", 7), active("mon", 23)] == [
        True,
        False,
        False,
        True,
    ]
    assert Schedule().active(datetime(2026, 11, 25, tzinfo=UTC))


@pytest.mark.parametrize(
    "line", ["mon", "day 10:00-11:00", "25:00-26:00", "10:00-10:00", "mon-fri 8:70-9:00", "mon- 8:00-9:00", ""]
)
def test_a_schedule_that_means_nothing_is_refused(line):
    with pytest.raises(InputError, match="schedule: "):
        Schedule((line,))
