"""What is kept of events, and how it reaches others."""

import hmac
import json
import sqlite3
import time

import cv2
import numpy as np
import pytest

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.live.records import clock_time
from lavida.live.stream import LiveFrame
from lavida.live.watched import Moment
from lavida.video.source import Frame
from live.hook import Inbox

pytest.importorskip("sqlalchemy")
from lavida.live.config import Keep
from lavida.live.courier import Courier
from lavida.live.retention import sweep
from lavida.live.store import Store
from lavida.live.webhook import Webhook, signature


def record(phase: str, event: str = "a1", **fields) -> dict:
    known = {"type": "event", "phase": phase, "id": event, "stream": "gate", "start_s": 1.0, "end_s": None}
    known |= {"peak_s": 1.2, "peak_score": 0.9, "category": "fire", "box": [1, 2, 3, 4]}
    known |= {"start_wall": "2026-01-01T00:00:00.000Z", "end_wall": None, "wall": "2026-01-01T00:00:01.000Z"}
    return known | fields


def moment(time_s: float = 1.2) -> Moment:
    pixels = np.zeros((48, 64), bool)
    pixels[:24, :32] = True
    frame = Frame(3, time_s, np.full((96, 128, 3), 100, np.uint8))
    masks = [Mask.from_pixels(pixels, frame=3, category="fire", score=0.9)]
    return Moment(LiveFrame(frame, (48, 64), (), 0.0, 0.0, False), masks)


@pytest.fixture
def inbox():
    box = Inbox(refuses=2)
    yield box
    box.close()


def until(done, *, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_is_kept_with_its_newest_state_and_its_pictures(tmp_path):
    store = Store(tmp_path / "data")
    store.keep(record("start"), moment())
    store.keep(record("end", end_s=5.0), None)
    (kept,) = store.events()
    store.close()
    assert (kept["phase"], kept["end_s"], kept["category"]) == ("end", 5.0, "fire")
    plain, drawn = (cv2.imread(str(tmp_path / "data" / kept[name])) for name in ("snapshot", "snapshot_mask"))
    assert plain.shape == drawn.shape == (96, 128, 3)
    assert plain[20, 20].tolist() == pytest.approx([100] * 3, abs=3)
    assert drawn[20, 20][2] > 150 > drawn[80, 100][2]  # red where the mask is, and nowhere else


def test_the_picture_is_that_of_the_peak_once_it_is_known(tmp_path):
    store = Store(tmp_path)
    store.keep(record("start"), moment())
    first = (tmp_path / "snapshots" / "a1.jpg").stat().st_mtime_ns
    store.keep(record("update", peak_s=9.0), moment(8.0))
    assert (tmp_path / "snapshots" / "a1.jpg").stat().st_mtime_ns == first
    store.keep(record("update", peak_s=9.0), moment(9.0))
    assert (tmp_path / "snapshots" / "a1.jpg").stat().st_mtime_ns > first


def test_an_event_that_was_open_at_a_kill_is_closed_with_what_was_stored(tmp_path):
    Store(tmp_path, receivers={"x": ("start", "end")}).keep(record("start", latest_s=1.4), None)  # and nothing more
    again = Store(tmp_path, receivers={"x": ("start", "end")})
    assert again.left_open(["yard"], say=print) == {}
    (kept,) = again.events()
    assert (kept["phase"], kept["end_s"], kept["interrupted"]) == ("end", 1.4, True)
    assert kept["end_wall"] == "2026-01-01T00:00:00.400Z"
    assert again.outbox.waiting() == 2
    assert Store(tmp_path, receivers={"x": ("start", "end")}).left_open([], say=print) == {}
    assert again.outbox.waiting() == 2  # closed once


@pytest.mark.parametrize("broken", ["{", "{}", "5", "null", '{"peak_s": "x"}'])
def test_a_row_that_was_changed_by_hand_is_said_and_stops_nothing(broken, tmp_path):
    said, store = [], Store(tmp_path)
    for event in ("a1", "b2"):
        store.keep(record("start", event=event, latest_s=1.4), None)
    store.close()
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:
        database.execute("UPDATE events SET record = ? WHERE id = 'a1'", (broken,))
    again = Store(tmp_path)
    assert list(again.left_open(["gate"], say=said.append)) == ["gate"]
    assert [line.split(" cannot be read")[0] for line in said] == ["event a1 of gate"]


def test_where_an_open_event_cannot_be_closed_the_watch_begins_all_the_same(tmp_path, monkeypatch):
    said = []
    Store(tmp_path).keep(record("start", latest_s=1.4), None)
    again = Store(tmp_path)

    def full(*given):
        raise InputError("the disk is full")

    monkeypatch.setattr(again, "keep", full)
    assert again.left_open([], say=said.append) == {}
    assert said == ["event a1 of gate stays open: the disk is full"]


@pytest.mark.parametrize(
    "foreign",
    [
        "CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE songs (title TEXT)",
        "CREATE VIEW events AS SELECT 1 AS id",
    ],
)
def test_nothing_is_changed_in_a_database_of_another_program(foreign, tmp_path):
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:
        database.execute(foreign)
    with pytest.raises(InputError, match=r"a database of another program: .*lavida.sqlite; choose another --data"):
        Store(tmp_path)
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:
        assert database.execute("SELECT sql FROM sqlite_master").fetchall() == [(foreign,)]


def test_an_event_of_a_stream_that_is_watched_again_stays_open(tmp_path):
    Store(tmp_path).keep(record("update", latest_s=1.4), None)
    again = Store(tmp_path)
    assert again.left_open(["gate"], say=print)["gate"]["id"] == "a1"
    assert again.events()[0]["phase"] == "update"


def test_a_database_of_the_first_version_gets_the_columns_that_have_come_since(tmp_path):
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:
        database.execute(
            "CREATE TABLE events (id TEXT PRIMARY KEY, stream TEXT, phase TEXT, start_wall TEXT, "
            "record TEXT, snapshot TEXT, snapshot_mask TEXT)"
        )
    store = Store(tmp_path)
    store.keep(record("end", end_s=5.0), None)
    assert store.events()[0]["clip"] is None


def test_only_so_many_alerts_an_hour_are_sent_and_a_digest_tells_of_the_others(tmp_path, monkeypatch):
    clock = [1767225600.0]  # 2026-01-01T00:00:00Z
    monkeypatch.setattr(time, "time", lambda: clock[0])
    store = Store(tmp_path, receivers={"x": ("start", "end", "digest")}, alerts_per_hour=2)
    for number in range(5):
        name, clock[0] = f"e{number}", clock[0] + 60
        walls = {
            "start_wall": clock_time(clock[0]),
            "end_wall": clock_time(clock[0] + 5),
            "peak_score": 0.5 + number / 10,
        }
        store.keep(record("start", event=name, **walls | {"end_wall": None}), None)
        store.keep(record("end", event=name, **walls), None)
    assert _sent(store, clock[0]) == ["e0-start", "e0-end", "e1-start", "e1-end"]
    assert store.digest(now=clock[0]) == []  # no room yet
    (digest,) = store.digest(now=clock[0] + 3600)
    assert (digest["held_back"], digest["categories"], digest["ids"]) == (3, {"fire": 3}, ["e2", "e3", "e4"])
    assert (digest["first_wall"], digest["last_wall"]) == ("2026-01-01T00:03:00.000Z", "2026-01-01T00:05:05.000Z")
    assert digest["peak_score"] == 0.9
    assert store.digest(now=clock[0] + 3700) == []  # told once
    assert _sent(store, clock[0] + 3600) == ["digest-e2"]
    clock[0] += 7200
    store.keep(record("start", event="later", start_wall=clock_time(clock[0])), None)
    assert _sent(store, clock[0]) == ["later-start"]
    other = record("start", event="other", stream="yard", start_wall=clock_time(clock[0]))
    store.keep(other, None)  # another stream has a limit of its own
    assert _sent(store, clock[0]) == ["other-start"]


def _sent(store: Store, now: float) -> list[str]:
    keys = []
    while (letter := store.outbox.due("x", now=now)) is not None:
        keys.append(letter.key)
        store.outbox.delivered(letter, now=now)
    return keys


def test_what_is_sent_is_signed_and_tried_again_under_the_same_key(tmp_path, inbox, caplog):
    receiver = Webhook.of({"url": inbox.url, "secret": "s3cret"})
    store = Store(tmp_path, receivers={receiver.name: receiver.phases})
    courier = Courier(store.outbox, receiver, first_wait_s=0.05)
    courier.start()
    store.keep(record("start"), moment())
    store.keep(record("update"), None)
    store.keep(record("end", end_s=5.0), None)
    until(lambda: len(inbox.got) == 2 and store.outbox.waiting() == 0)
    courier.stop()
    assert inbox.tries == ["a1-start"] * 3 + ["a1-end"]  # in order, and nothing is sent twice
    assert store.outbox.waiting() == 0
    headers, body = inbox.got[0]["headers"], inbox.got[0]["body"]
    assert json.loads(body)["snapshot"] == "snapshots/a1.jpg"
    expected = hmac.new(b"s3cret", headers["X-Lavida-Timestamp"].encode() + b"." + body, "sha256").hexdigest()
    assert headers["X-Lavida-Signature"] == f"sha256={expected}" == f"sha256={signature('s3cret', *_signed(inbox))}"
    assert "geheim" not in caplog.text + receiver.name + repr(receiver)
    assert "s3cret" not in caplog.text + repr(receiver)


def _signed(inbox) -> tuple[str, bytes]:
    return inbox.got[0]["headers"]["X-Lavida-Timestamp"], inbox.got[0]["body"]


def test_a_clock_that_is_set_back_puts_off_no_letter(tmp_path):
    store = Store(tmp_path, receivers={"hook": ("start",)})
    store.keep(record("start"), None)
    now = time.time()
    letter = store.outbox.due("hook", now=now, longest_wait_s=60)
    store.outbox.failed(letter, "no network", again_at=now + 30)
    assert store.outbox.due("hook", now=now, longest_wait_s=60) is None
    store.outbox.failed(letter, "no network", again_at=now + 7200)  # noted while the clock was two hours ahead
    assert store.outbox.due("hook", now=now, longest_wait_s=60) is not None
    store.close()


def test_on_a_full_disk_the_oldest_files_go_although_the_database_cannot_be_written(tmp_path):
    store = Store(tmp_path, receivers={"hook": ("end",)})
    store.keep(record("start"), moment())
    store.keep(record("end", end_s=5.0), None)
    picture = tmp_path / "snapshots" / "a1.jpg"
    assert picture.is_file()
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:
        full = "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        for table in ("outbox", "events"):
            database.execute(f"CREATE TRIGGER full_{table} BEFORE DELETE ON {table} {full}")
    with pytest.raises(Exception, match="disk is full"):
        sweep(store, Keep(days=1), now=time.time())
    assert not picture.exists()
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:
        database.executescript("DROP TRIGGER full_outbox; DROP TRIGGER full_events")
    assert sweep(store, Keep(gigabytes=1), now=time.time()) == 1 and store.events() == []  # its files are gone
    store.close()


def test_what_could_not_be_sent_is_sent_after_the_next_start(tmp_path):
    receiver = Webhook.of({"url": "http://127.0.0.1:9/hook"})
    store = Store(tmp_path, receivers={receiver.name: receiver.phases})
    courier = Courier(store.outbox, receiver, first_wait_s=0.05)
    courier.start()
    begun = time.monotonic()
    for number in range(20):
        store.keep(record("end", event=f"e{number:02}", end_s=2.0), None)
    assert time.monotonic() - begun < 5  # a dead receiver holds nobody up
    courier.stop()
    store.close()
    inbox = Inbox(every=3)
    with sqlite3.connect(tmp_path / "lavida.sqlite") as database:  # the receiver has moved
        moved = Webhook.of({"url": inbox.url})
        database.execute("UPDATE outbox SET receiver = ?, due = 0", [moved.name])
    again = Store(tmp_path, receivers={moved.name: moved.phases})
    courier = Courier(again.outbox, moved, first_wait_s=0.01)
    courier.start()
    until(lambda: again.outbox.waiting() == 0)
    courier.stop()
    inbox.close()
    assert [each["headers"]["Idempotency-Key"] for each in inbox.got] == [f"e{number:02}-end" for number in range(20)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "url is not http or https: None"),
        ({"url": "ftp://x/y"}, "url is not http or https"),
        ({"url": "http://[::1"}, "url is not http or https: http://[::1"),
        ({"url": "http://me:geheim@[::1"}, "url is not http or https: http://***@[::1"),
        ({"url": "http://x:99999/y"}, "url is not http or https: http://x:99999/y"),
        ({"url": "http://x:port"}, "url is not http or https"),
        ({"url": "https://:80/y"}, "url is not http or https"),
        ({"url": "http://me:geheim@x/y"}, "a login in a webhook's url is not sent: http://***@x/y"),
        ({"url": "http://x", "secret": ""}, "secret is no text"),
        ({"url": "http://x", "phases": ["begin"]}, "choose of start, end, clip, digest"),
        ({"url": "http://x", "sekret": "a"}, "unknown setting of a webhook sekret"),
    ],
)
def test_a_receiver_that_means_nothing_is_refused(settings, said):
    with pytest.raises(InputError) as error:
        Webhook.of(settings)
    assert said in str(error.value)
    assert "geheim" not in str(error.value)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write: .*file"):
        Store(tmp_path / "file")
    (tmp_path / "lavida.sqlite").write_text("no database, but long enough to be looked at" * 100)
    with pytest.raises(InputError, match="cannot keep events: .*lavida.sqlite"):
        Store(tmp_path)
