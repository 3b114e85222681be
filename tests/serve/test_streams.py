"""Events of a watch that writes to the same folder: there as they come, and left as they are."""

import pytest
from live.test_store import moment, record

from lavida.live.store import Store
from serve.conftest import Served


@pytest.fixture
def watched(served: Served):
    """The store of a watch that runs."""
    store = Store(served.settings.data)
    yield store
    store.close()


def test_without_a_watch_there_are_no_streams(served: Served):
    assert served.get("/api/streams") == {"streams": {}, "going_on": 0, "events": []}
    assert not (served.settings.data / "lavida.sqlite").exists()


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


@pytest.mark.parametrize("name", ["a1.png", "..%2Flavida.sqlite", "no.jpg", "%2e%2e", "link.jpg"])
def test_no_other_file_is_given_as_a_picture(served: Served, watched: Store, tmp_path, name):
    (served.settings.data / "snapshots" / "link.jpg").symlink_to(served.clip)
    assert served.client.get(f"/api/streams/pictures/{name}").status_code in (404, 422)


def test_a_damaged_database_is_one_line(served: Served):
    (served.settings.data / "lavida.sqlite").write_bytes(b"no database" * 100)
    answer = served.client.get("/api/streams")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["message"].startswith("the events of lavida watch cannot be read")
