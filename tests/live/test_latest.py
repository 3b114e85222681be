"""What a watch tells whoever looks on: newest scores, health and pictures, bounded, and never at the watch's cost."""

import os
import sqlite3
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from lavida.events import EventSettings
from lavida.live.latest import (
    KEPT_S,
    LATEST,
    LOOKED,
    MOST_WAITING,
    PICTURE_S,
    SELDOM_PICTURE_S,
    Latest,
    look_on,
    read_picture,
    read_scores,
    read_streams,
)
from lavida.live.plan import WatchSettings
from lavida.live.records import clock_time
from lavida.live.regions import Regions
from lavida.live.stream import LiveFrame
from lavida.video.source import Frame
from live.streams import clip
from live.watching import Watching, is_state, planned

NOW = 1_800_000_000.0


def score(stream: str, at: float, value: float = 0.5) -> dict:
    by_word = {"fire": value, "smoke": value / 2}
    return {"type": "score", "stream": stream, "wall": clock_time(at), "score": value, "scores": by_word}


def health(stream: str, **fields) -> dict:
    return {"type": "health", "stream": stream, "state": "running", "message": "h264", "wall": clock_time(NOW)} | fields


def live(level: int) -> LiveFrame:
    return LiveFrame(Frame(0, 0.0, np.full((32, 32, 3), level, np.uint8)), (48, 64), (), 0.0, NOW, False)


@pytest.fixture
def latest(tmp_path):
    latest = Latest(tmp_path)
    plan = planned("http://a/one", "http://a/two", regions=Regions.of([[[0, 0.5], [1, 0.5], [1, 1]]], []))
    latest.follow(plan)
    yield latest
    latest.close()


def test_nobody_has_written_anything(tmp_path):
    assert (read_streams(tmp_path), read_scores(tmp_path, after=0)) == ((None, []), (0, []))
    assert read_picture(tmp_path, "gate") is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_told_is_there_to_be_read(tmp_path, latest):
    latest.tell(score("a-one", NOW - 1, 0.25))
    latest.tell(score("a-two", NOW, 0.75))
    latest.tell(health("a-one", rate=4.5))
    latest.look("a-one", live(100))
    latest.write(now=NOW)
    beat, (one, two) = read_streams(tmp_path)
    assert beat == NOW
    assert (one["name"], one["words"], one["threshold"]) == ("a-one", ["fire", "smoke"], 0.5)
    assert (one["regions"], one["ignore"]) == ([[[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]], [])
    assert (one["health"]["rate"], one["picture_at"], two["health"], two["picture_at"]) == (4.5, NOW, None, None)
    last, rows = read_scores(tmp_path, after=0)
    assert rows == [
        ("a-one", NOW - 1, 0.25, {"fire": 0.25, "smoke": 0.125}),
        ("a-two", NOW, 0.75, {"fire": 0.75, "smoke": 0.375}),
    ]
    latest.tell(score("a-one", NOW + 1))
    latest.write(now=NOW + 1)
    assert [row[1] for row in read_scores(tmp_path, after=last)[1]] == [NOW + 1]
    assert [row[1] for row in read_scores(tmp_path, after=0, stream="a-two")[1]] == [NOW]
    assert [each["score"] for each in read_streams(tmp_path)[1]] == [0.5, 0.75]
    picture = cv2.imdecode(np.frombuffer(read_picture(tmp_path, "a-one"), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)  # in the shape that it is displayed in
    assert abs(picture.mean() - 100) < 2


def test_it_is_bounded(tmp_path, latest):
    for second in range(3000):
        latest.tell(score("a-one", NOW + second))
        latest.look("a-one", live(second % 200))
        if second % 10 == 9:
            latest.write(now=NOW + second)
    _, rows = read_scores(tmp_path, after=0)
    assert [row[1] for row in rows] == [NOW + second for second in range(2999 - int(KEPT_S), 3000)]
    assert (tmp_path / LATEST).stat().st_size < 400_000


def looked(folder, at: float) -> None:
    look_on(folder)
    os.utime(folder / LOOKED, (at, at))


def test_a_picture_is_taken_seldom_while_nobody_looks(tmp_path, latest):
    taken = []
    for step in range(0, 200, 5):
        latest.look("a-one", live(100))
        latest.write(now=NOW + step)
        taken.append(read_streams(tmp_path)[1][0]["picture_at"])
    assert sorted(set(taken)) == [NOW + SELDOM_PICTURE_S * i for i in range(4)]
    looked(tmp_path, NOW + 200)
    latest.look("a-one", live(100))
    latest.write(now=NOW + 201)
    assert read_streams(tmp_path)[1][0]["picture_at"] == NOW + 201


def test_it_is_written_seldom_while_nobody_looks(tmp_path, monkeypatch):
    clock, written = [0.0], []
    monkeypatch.setattr(
        "lavida.live.latest.time", SimpleNamespace(time=lambda: NOW + clock[0], monotonic=lambda: clock[0])
    )
    latest = Latest(tmp_path)
    monkeypatch.setattr(latest, "write", lambda *, now: written.append(now - NOW))

    def waited(seconds: float) -> bool:
        clock[0] += 1
        if clock[0] == 20:
            looked(tmp_path, NOW + 20)
        return clock[0] > 25

    monkeypatch.setattr(latest._stop, "wait", waited)
    latest._run()
    assert written == [1, 6, 11, 16, 20, 21, 22, 23, 24, 25]


def test_a_picture_is_taken_now_and_then(tmp_path, latest):
    taken = []
    looked(tmp_path, NOW)
    for step in range(9):
        latest.look("a-one", live(100))
        latest.write(now=NOW + step)
        taken.append(read_streams(tmp_path)[1][0]["picture_at"])
    assert sorted(set(taken)) == [NOW, NOW + PICTURE_S, NOW + 2 * PICTURE_S]


def test_streams_that_are_gone_leave_nothing_after_a_while_and_words_change(tmp_path, latest):
    latest.tell(score("a-one", NOW))
    latest.look("a-one", live(50))
    latest.write(now=NOW)
    settings = WatchSettings(categories=("dog",), events=EventSettings(threshold=0.7))
    latest.follow({name: type(each)(each.address, settings) for name, each in planned("http://a/two").items()})
    latest.write(now=NOW + 1)
    told = {each["name"]: each for each in read_streams(tmp_path)[1]}
    assert (told["a-one"]["gone"], told["a-two"]["gone"]) == (True, False)
    assert (told["a-two"]["words"], told["a-two"]["threshold"]) == (["dog"], 0.7)
    assert read_picture(tmp_path, "a-one") is not None  # regions can be drawn on it
    latest.write(now=NOW + KEPT_S + 2)
    assert [each["name"] for each in read_streams(tmp_path)[1]] == ["a-two"]
    assert read_picture(tmp_path, "a-one") is None
    assert read_scores(tmp_path, after=0)[1] == []


def test_an_end_is_told_and_the_next_start_goes_on(tmp_path, latest):
    latest.tell(score("a-one", time.time()))
    latest.close()
    assert read_streams(tmp_path)[0] is None
    last, rows = read_scores(tmp_path, after=0)
    assert len(rows) == 1
    again = Latest(tmp_path)
    again.follow(planned("http://a/one"))
    again.tell(score("a-one", time.time()))
    again.write(now=time.time())
    assert len(read_scores(tmp_path, after=0)[1]) == 2
    assert len(read_scores(tmp_path, after=last)[1]) == 1
    again.close()


def test_a_disk_that_is_full_costs_the_scores_alone(tmp_path, latest, monkeypatch, caplog):
    latest.write(now=NOW)
    latest._database.execute("PRAGMA max_page_count = 12")  # SQLite then says that the disk is full
    for _ in range(3000):
        latest.tell(score("a-one", NOW))
    latest.tell(health("a-one", message="told while it was full"))
    latest.write(now=NOW + 1)
    latest.write(now=NOW + 2)
    assert [record.message for record in caplog.records if "full" in record.message] != []
    _, (one, _) = read_streams(tmp_path)
    assert one["health"]["message"] == "told while it was full"  # the newest state comes later
    assert read_scores(tmp_path, after=0)[1] == []


def test_a_broken_database_is_made_anew(tmp_path, latest):
    (tmp_path / LATEST).write_bytes(b"no database" * 1000)
    latest.tell(health("a-one"))
    latest.write(now=NOW)
    latest.write(now=NOW + 1)
    assert [each["name"] for each in read_streams(tmp_path)[1]] == ["a-one", "a-two"]
    assert read_streams(tmp_path)[1][0]["health"]["state"] == "running"


def test_a_database_of_another_version_is_made_anew(tmp_path, latest):
    with closing(sqlite3.connect(tmp_path / LATEST)) as other:
        other.execute("CREATE TABLE streams (name TEXT)")
        other.commit()
    latest.tell(health("a-one"))
    latest.write(now=NOW)
    assert read_streams(tmp_path)[1][0]["health"]["state"] == "running"


def test_a_disk_that_hangs_holds_nobody_up(tmp_path, monkeypatch):
    latest, hangs, goes_on = Latest(tmp_path, every_s=0.01), threading.Event(), threading.Event()

    def hang(*told, **when) -> None:
        hangs.set()
        assert goes_on.wait(60)

    monkeypatch.setattr(latest, "_write", hang)
    latest.start(planned("http://a/one"))
    assert hangs.wait(60)
    for step in range(MOST_WAITING + 10):  # and takes no more memory than so many scores
        latest.tell(score("a-one", NOW + step))
        latest.look("a-one", live(1))
    assert len(latest._scores) == MOST_WAITING
    goes_on.set()
    latest.close()


def test_a_watch_tells_it(tmp_path):
    latest = Latest(tmp_path, every_s=0.05)
    street = clip(tmp_path / "street.mp4", [100] * 40)
    plan = planned(str(street))
    latest.start(plan)
    with Watching(plan=plan, look=latest.look) as watching:
        watching.until(is_state("ended"), within=30)
    for told in watching.records:
        latest.tell(told)
    latest.close()
    scored = [told for told in watching.records if told["type"] == "score"]
    assert [row[2] for row in read_scores(tmp_path, after=0)[1]] == [told["score"] for told in scored]
    assert read_streams(tmp_path)[1][0]["health"]["state"] == "ended"
    assert read_picture(tmp_path, "street")[:2] == b"\xff\xd8"
