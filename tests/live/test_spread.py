"""Streams spread over Ray actors, one of which is killed."""

import itertools
import json
import os
import signal
import sqlite3
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import pytest

from lavida.cli.app import run
from lavida.live.spread import spread
from lavida.live.watch import go_on
from live.ray_scorer import StartBright
from live.sending import Camera
from live.streams import clip
from live.watching import Watching, is_phase, is_score, planned

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


def spread_over(plan, *, scorer, tell, stopped, replan, start, seen):
    """In the place of `watch`: two actors of a Ray of their own."""
    asked = {"address": "local", "workers": 2, "streams": len(plan), "gpu": False}
    with spread(start, tell=tell, seen=seen, **asked) as watching:
        go_on(watching, plan, replan=replan, stopped=stopped)


def test_the_command_prints_records_alone_and_keeps_what_workers_see(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setattr("lavida.live.spread.for_workers", lambda *model, **asked: (StartBright(str(tmp_path)), False))
    config, data = tmp_path / "watch.yaml", tmp_path / "data"
    config.write_text("anomalies: [fire]\nclips: {}\n")
    street = clip(tmp_path / "street.mp4", [20] * 25 + [250] * 25 + [20] * 25)
    asked = ["watch", str(street), "--config", str(config), "--data", str(data), "--ray", "local", "--workers", "1"]
    assert run(asked) == 0
    captured = capsys.readouterr()
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert [record["phase"] for record in records if record["type"] == "event"] == ["start", "end"]
    assert {record["worker"] for record in records if record["type"] == "health"} == {None, 1}
    assert "no clips are made with --ray" in captured.err
    event = json.loads(sqlite3.connect(data / "lavida.sqlite").execute("SELECT record FROM events").fetchone()[0])
    assert event == next(record for record in records if record.get("phase") == "end")
    assert cv2.imread(str(data / "snapshots" / f"{event['id']}.jpg")).mean() > 200


def of(stream: str, wanted):
    return lambda record: record.get("stream") == stream and wanted(record)


def test_the_streams_of_a_killed_worker_go_on_with_another_one(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    cameras, pictures = [Camera(), Camera()], {}
    plan = planned(*(camera.url for camera in cameras))

    def seen(record, moment):
        if moment is not None:
            pictures.setdefault(record["id"], moment.jpegs(record))

    with Watching(plan=plan, work=partial(spread_over, start=StartBright(str(tmp_path)), seen=seen)) as watching:
        for name in plan:
            watching.until(of(name, is_score), within=60)
        homes = {each["stream"]: each["worker"] for each in watching.records if each["type"] == "health"}
        assert sorted(homes.values()) == [1, 2]
        for camera in cameras:
            camera.level = 250
        starts = {name: watching.until(of(name, is_phase("start")), within=10) for name in plan}

        os.kill(int(min(tmp_path.iterdir()).name), signal.SIGKILL)
        killed, known = time.monotonic(), len(watching.records)
        lost = watching.until(
            lambda each: "goes on with another one" in each.get("message", ""), within=30, after=known
        )
        name = lost["stream"]
        (other,) = set(plan) - {name}
        known = len(watching.records)
        watching.until(of(name, is_score), within=30, after=known)
        assert time.monotonic() - killed < 30
        # the event goes on under its id
        again = watching.until(of(name, lambda each: each["type"] == "event"), within=10, after=known)
        assert (again["phase"], again["id"]) == ("update", starts[name]["id"])
        for camera in cameras:
            camera.level = 20
        # another worker has come in its place, and takes over a stream in which nothing is going on
        watching.until(lambda each: each.get("worker") == 3, within=60)

        known = len(watching.records)
        watching.plan = {
            name: replace(each, settings=replace(each.settings, categories=("fire", "dog")))
            for name, each in plan.items()
        }
        for each in plan:
            watching.until(of(each, lambda record: "dog" in record.get("scores", {})), within=10, after=known)
    ends = [record for record in watching.records if is_phase("end")(record)]
    assert {record["id"] for record in ends} == {record["id"] for record in starts.values()}
    assert all(picture.startswith(b"\xff\xd8") for each in pictures.values() for picture in each.values())
    assert pictures.keys() == {record["id"] for record in starts.values()}
    before_3 = itertools.takewhile(lambda record: record.get("worker") != 3, watching.records)
    frames = [record["frame"] for record in before_3 if of(other, is_score)(record)]
    assert max(after - before for before, after in itertools.pairwise(frames)) <= 5  # it notices nothing
    for camera in cameras:
        camera.close()
