"""People told through Apprise."""

import base64
import json
import time

import pytest

from lavida.errors import InputError
from live.hook import Inbox
from live.test_store import moment, record, until

pytest.importorskip("sqlalchemy")
pytest.importorskip("apprise")
from lavida.live.courier import Courier
from lavida.live.notify import Notified, in_words
from lavida.live.store import Store


def test_a_service_gets_a_text_and_the_picture_and_is_tried_again(tmp_path, caplog):
    inbox = Inbox(refuses=1)
    receiver = Notified.of(inbox.url.replace("http://", "json://"), tmp_path)
    store = Store(tmp_path, receivers={receiver.name: receiver.phases})
    courier = Courier(store.outbox, receiver, first_wait_s=0.05)
    courier.start()
    store.keep(record("start"), moment())
    until(lambda: inbox.got)
    store.keep(record("end", end_s=2.0), None)
    time.sleep(0.3)
    courier.stop()
    inbox.close()
    (got,) = inbox.got  # people hear of the start only
    body = json.loads(got["body"])
    assert body["title"] == "gate: fire"
    assert body["message"] == "Since 2026-01-01T00:00:00.000Z, surest with 0.90."
    picture = base64.b64decode(body["attachments"][0]["base64"])
    assert picture == (tmp_path / "snapshots" / "a1-mask.jpg").read_bytes()
    assert len(inbox.tries) == 2
    assert "geheim" not in caplog.text + receiver.name + repr(receiver)


def test_what_was_held_back_is_told_in_one_sentence():
    walls = {"first_wall": "2026-01-01T00:00:00.000Z", "last_wall": "2026-01-01T01:00:00.000Z"}
    title, text = in_words(
        {"type": "digest", "stream": "gate", "held_back": 5, "categories": {"fire": 3, "dog": 2}} | walls
    )
    assert title == "gate: 5 more events"
    assert "3 x fire, 2 x dog" in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nosuch://me:geheim@x", "Apprise does not know what nosuch://*** means"),
        ({"url": "json://x", "topic": "a"}, "unknown setting of notify topic"),
        ({"phases": ["start"]}, "give an address of Apprise"),
        ({"url": "json://x", "phases": []}, "phases of notify"),
    ],
)
def test_an_address_that_means_nothing_is_refused(given, said, tmp_path):
    with pytest.raises(InputError) as error:
        Notified.of(given, tmp_path)
    assert said in str(error.value)
    assert "geheim" not in str(error.value)
