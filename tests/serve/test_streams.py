"""Events of a watch that writes to the same folder: there as they come, and left as they are."""

import time

import pytest
from live.test_latest import health, live, score
from live.test_store import moment, record
from live.watching import planned

from lavida.events import EventSettings
from lavida.live.latest import Latest
from lavida.live.plan import Planned, WatchSettings
from lavida.live.regions import Regions
from lavida.live.store import Store
from serve.conftest import Served


@pytest.fixture
def watched(served: Served):
    """The store of a watch that runs."""
    store = Store(served.settings.data)
    yield store
    store.close()


def test_without_a_watch_there_are_no_streams(served: Served):
    told = served.get("/api/streams")
    assert (told["now"], told["streams"], told["going_on"], told["events"]) == ([], {}, 0, [])
    assert (told["watch"]["file"], told["watch"]["state"], told["watch"]["ours"]) == (None, "none", False)
    assert served.get("/api/streams/scores") == {"next": 0, "streams": {}}
    assert list(served.settings.data.glob("*lavida.sqlite")) + list(served.settings.data.glob("latest*.sqlite")) == []


def test_events_come_and_go_on_and_end(served: Served, watched: Store):
    watched.keep(record("start"), moment())
    told = served.get("/api/streams")
    (event,) = told["events"]
    assert (told["streams"], told["going_on"]) == ({"gate": 1}, 1)
    assert (event["category"], event["peak_score"], event["going_on"], event["end_wall"]) == ("fire", 0.9, True, None)
    picture = served.client.get(f"/api/streams/pictures/{event['picture']}")
    assert (picture.headers["Content-Type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert watched.events()[0]["phase"] == "start"  # asking has not ended it
    later = {"start_wall": "2026-01-02T00:00:00.000Z", "stream": "yard"}
    watched.keep(record("start", "b2", **later), None)
    watched.keep(record("end", end_s=5.0, end_wall="2026-01-01T00:00:05.000Z"), None)
    told = served.get("/api/streams")
    assert [(each["id"], each["going_on"], each["picture"]) for each in told["events"]] == [
        ("b2", True, None),
        ("a1", False, "a1-mask.jpg"),
    ]
    assert (told["streams"], told["going_on"]) == ({"gate": 1, "yard": 1}, 1)


def test_the_newest_events_of_each_stream_are_told_however_many_another_has(served: Served, watched: Store):
    watched.keep(record("end", "old", stream="yard"), None)
    for number in range(60):
        watched.keep(record("end", f"e{number}", start_wall=f"2026-01-02T00:{number:02}:00.000Z"), None)
    told = served.get("/api/streams")
    assert [each["id"] for each in told["events"]] == [*(f"e{number}" for number in range(59, 39, -1)), "old"]
    assert told["streams"] == {"gate": 60, "yard": 1}


@pytest.fixture
def begun() -> float:
    """When the first score came; the server gives those of the last minutes."""
    return round(time.time()) - 5.0


@pytest.fixture
def latest(served: Served, begun: float):
    """What a watch of two streams tells."""
    latest = Latest(served.settings.data)
    latest.follow(planned("http://a/one", "http://a/two", regions=Regions.of([], [[[0, 0], [1, 0], [1, 1]]])))
    latest.tell(score("a-one", begun, 0.25))
    latest.tell(score("a-one", begun + 1, 0.75))
    latest.tell(health("a-one", rate=4.5, dropped=3, held_back=1, thinned=2, share=0.5, message="rtsp://me:pw@x/y"))
    latest.look("a-one", live(100))
    latest.write(now=time.time())
    yield latest
    latest.close()


def test_streams_tell_their_scores_health_words_and_regions(served: Served, latest: Latest):
    told = served.get("/api/streams")
    one, two = told["now"]
    assert (told["watch"]["state"], told["watch"]["ours"]) == ("running", False)
    assert (one["name"], one["words"], one["threshold"], one["ignore"]) == (
        "a-one",
        ["fire", "smoke"],
        0.5,
        [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]],
    )
    assert (one["state"], one["rate"], one["dropped"], one["thinned"], one["held_back"]) == ("running", 4.5, 3, 2, 1)
    assert one["message"] == "rtsp://***@x/y"
    assert (two["state"], two["picture_at"], two["entry"]) == ("starting", None, None)
    picture = served.client.get("/api/streams/picture", params={"stream": "a-one"})
    assert (picture.headers["Content-Type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert served.client.get("/api/streams/picture", params={"stream": "no"}).status_code == 404


def test_scores_come_bit_by_bit(served: Served, latest: Latest, begun: float):
    got = served.get("/api/streams/scores")
    assert got["streams"]["a-one"] == {
        "times": [begun, begun + 1],
        "scores": [0.25, 0.75],
        "category_scores": [[0.25, 0.125], [0.75, 0.375]],
    }
    assert got["streams"]["a-two"]["times"] == []
    assert served.get("/api/streams/scores", stream="a-one")["streams"] == {"a-one": got["streams"]["a-one"]}
    assert served.get("/api/streams/scores", stream="no")["streams"] == {}
    assert [each["score"] for each in served.get("/api/streams")["now"]] == [0.75, None]
    settings = WatchSettings(categories=("smoke", "dog"), events=EventSettings(threshold=0.5))
    plan = planned("http://a/one", "http://a/two")
    latest.follow({name: Planned(each.address, settings) for name, each in plan.items()})
    latest.tell(score("a-one", begun + 2))
    latest.write(now=time.time())
    more = served.get("/api/streams/scores", after=got["next"])
    assert more["streams"]["a-one"] == {"times": [begun + 2], "scores": [0.5], "category_scores": [[0.25, None]]}
    assert served.get("/api/streams/scores", after=more["next"])["streams"]["a-one"]["times"] == []


@pytest.mark.parametrize("ago_s", [60, -3600], ids=["silent", "killed before the clock was set back"])
def test_a_watch_that_is_silent_or_has_ended_is_not_said_to_run(served: Served, latest: Latest, ago_s):
    latest.write(now=time.time() - ago_s)
    (one, _) = served.get("/api/streams")["now"]
    assert (one["state"], one["rate"]) == ("not watched", None)
    assert served.get("/api/streams")["watch"]["state"] == "none"


@pytest.mark.parametrize("name", ["a1.png", "..%2Flavida.sqlite", "no.jpg", "%2e%2e", "link.jpg"])
def test_no_other_file_is_given_as_a_picture(served: Served, watched: Store, tmp_path, name):
    (served.settings.data / "snapshots" / "link.jpg").symlink_to(served.clip)
    assert served.client.get(f"/api/streams/pictures/{name}").status_code in (404, 422)


@pytest.mark.parametrize("name", ["lavida.sqlite", "latest.sqlite"])
def test_a_damaged_database_is_one_line(served: Served, name):
    (served.settings.data / name).write_bytes(b"no database" * 100)
    answer = served.client.get("/api/streams")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["message"].endswith("of lavida watch cannot be read (file is not a database)")
