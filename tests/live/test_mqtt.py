"""A real broker: what Home Assistant would find there."""

import json
import shutil
import socket
import subprocess
import time

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("paho.mqtt.client")
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from lavida.errors import InputError
from lavida.live.courier import Courier
from lavida.live.mqtt import Broker, Publisher, Topics, slug
from lavida.live.store import Store
from live.test_store import moment, record, until
from live.watching import planned

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="Mosquitto: apt install mosquitto")

# Words of Home Assistant's documentation (home-assistant.io): binary_sensor.mqtt at 04987cb and image.mqtt at 045f4e6;
# device, origin and availability as homeassistant/components/mqtt/schemas.py at 0f5c1b5 of home-assistant/core checks
# them; sensor.mqtt at 035b814, with state_class, which came later.
EVERY = {"availability", "availability_mode", "device", "origin", "name", "unique_id", "json_attributes_topic", "qos",
         "icon", "enabled_by_default", "entity_category", "expire_after", "force_update", "value_template"}  # fmt: skip
WORDS = {
    "binary_sensor": EVERY | {"state_topic", "payload_on", "payload_off", "off_delay", "device_class"},
    "sensor": EVERY | {"state_topic", "state_class", "unit_of_measurement"},
    "image": EVERY - {"expire_after", "force_update"} | {"image_topic", "content_type", "image_encoding", "url_topic"},
}
NEEDED = {"binary_sensor": "state_topic", "sensor": "state_topic", "image": "image_topic"}
DEVICE_WORDS = {"identifiers", "name", "manufacturer", "model", "sw_version", "connections", "via_device"}


class Mosquitto:
    """A broker without a memory beyond its process."""

    def __init__(self, folder) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "users").write_text("")
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self.start()

    @property
    def url(self) -> str:
        return f"mqtt://me:geheim@127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


class Subscriber:
    """What a client that listens to everything has been told last, and all events."""

    def __init__(self, port: int) -> None:
        self.latest: dict[str, bytes] = {}
        self.events: list[dict] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._came
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _came(self, client, userdata, message) -> None:
        self.latest[message.topic] = message.payload
        if message.topic.endswith("/event") and message.topic.count("/") == 2:
            self.events.append(json.loads(message.payload))

    def until(self, topic: str, payload: bytes, *, within: float = 15.0) -> None:
        deadline = time.monotonic() + within
        while self.latest.get(topic) != payload:
            assert time.monotonic() < deadline, (topic, self.latest.get(topic), sorted(self.latest))
            time.sleep(0.02)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def street(tmp_path):
    path = tmp_path / "gate.mp4"
    path.touch()
    return planned(str(path), categories=("fire", "dog ran"))


@pytest.fixture
def publisher(broker, tmp_path, street):
    publisher = Publisher(Broker.of({"url": broker.url}), tmp_path)
    publisher.follow(street)
    publisher.start()
    yield publisher
    publisher.close()


HEALTH = {"type": "health", "stream": "gate", "state": "running"}


@needs_broker
def test_home_assistant_finds_each_camera_and_word_by_itself(broker, publisher):
    listener = Subscriber(broker.port)
    publisher.tell(HEALTH)
    listener.until("lavida/status", b"online")
    listener.until("lavida/gate/status", b"online")
    listener.close()
    found = {topic: json.loads(each) for topic, each in listener.latest.items() if topic.startswith("homeassistant/")}
    kinds = [topic.split("/")[1] for topic in found]
    assert sorted(kinds) == ["binary_sensor", "binary_sensor", "image", "sensor", "sensor"]
    assert len({config["unique_id"] for config in found.values()}) == len(found)
    for topic, config in found.items():
        prefix, kind, node, name, last = topic.split("/")
        assert (prefix, last) == ("homeassistant", "config")
        assert all(each.replace("_", "").replace("-", "").isalnum() for each in (node, name))
        assert set(config) <= WORDS[kind]
        assert NEEDED[kind] in config
        assert set(config["device"]) <= DEVICE_WORDS
        assert config["device"]["identifiers"] == ["lavida_gate"]
        topics = [each["topic"] for each in config["availability"]]
        assert {listener.latest[each] for each in topics} == {b"online"}
        if kind == "binary_sensor":
            assert listener.latest[config["state_topic"]] == b"OFF"
    assert {config["name"] for config in found.values()} == {
        "fire", "dog ran", "fire score", "dog ran score", "Last picture"}  # fmt: skip


@needs_broker
def test_an_event_switches_its_sensor_and_brings_its_picture(broker, publisher, tmp_path):
    listener = Subscriber(broker.port)
    store = Store(tmp_path, receivers={publisher.name: publisher.phases})
    courier = Courier(store.outbox, publisher, first_wait_s=0.05)
    courier.start()
    store.keep(record("start"), moment())
    listener.until("lavida/gate/fire/state", b"ON")
    listener.until("lavida/gate/picture", (tmp_path / "snapshots" / "a1-mask.jpg").read_bytes())
    assert json.loads(listener.latest["lavida/gate/fire/event"])["id"] == "a1"
    store.keep(record("end", end_s=5.0), None)
    listener.until("lavida/gate/fire/state", b"OFF")
    publisher.tell({"type": "score", "stream": "gate", "scores": {"fire": 0.25, "dog ran": 0.5}})
    listener.until("lavida/gate/fire/score", b"0.250")
    courier.stop()
    listener.close()
    assert [event["key"] for event in listener.events] == ["a1-start", "a1-end"]


@needs_broker
def test_a_broker_that_starts_anew_is_told_everything_again_and_nothing_is_lost(broker, publisher, tmp_path):
    listener = Subscriber(broker.port)
    store = Store(tmp_path, receivers={publisher.name: publisher.phases})
    courier = Courier(store.outbox, publisher, first_wait_s=0.05)
    courier.start()
    publisher.tell(HEALTH)
    store.keep(record("start"), moment())
    listener.until("lavida/gate/fire/state", b"ON")
    until(lambda: store.outbox.waiting() == 0)  # it is noted that it has arrived
    broker.stop()
    for number in range(5):
        store.keep(record("end" if number == 0 else "start", event=f"a{number + 1}", end_s=5.0), None)
    time.sleep(0.5)
    assert store.outbox.waiting() == 5
    listener.latest.clear()
    broker.start()
    listener.until("lavida/status", b"online")
    listener.until("lavida/gate/status", b"online")
    listener.until("lavida/gate/fire/state", b"ON")
    deadline = time.monotonic() + 15
    while store.outbox.waiting() or len({event["key"] for event in listener.events}) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "homeassistant/image/lavida_gate/picture/config" in listener.latest
    assert listener.latest["lavida/gate/picture"]
    courier.stop()
    listener.close()
    keys = list(dict.fromkeys(event["key"] for event in listener.events))
    assert keys == ["a1-start", "a1-end", "a2-start", "a3-start", "a4-start", "a5-start"]


@needs_broker
def test_a_watch_that_is_gone_is_offline_and_a_word_that_is_gone_is_taken_back(broker, tmp_path, street):
    listener = Subscriber(broker.port)
    publisher = Publisher(Broker.of({"url": broker.url}), tmp_path)
    publisher.follow(street)
    publisher.start()
    listener.until("lavida/status", b"online")
    config = f"homeassistant/binary_sensor/lavida_gate/{slug('dog ran')}/config"
    assert listener.latest[config]
    ((name, stream),) = street.items()
    publisher.follow(planned(stream.address.url, categories=("fire",)))
    listener.until(config, b"")
    assert name == "gate"
    publisher._client._sock_close()  # as when the process is killed: no farewell
    publisher._client.loop_stop()
    listener.until("lavida/status", b"offline")
    listener.close()


def test_topics_of_different_texts_differ():
    assert slug("fire") == "fire"
    texts = ["Fire", "fire!", "a b", "a_b", "a/b", "火", "火災", "+", "#", "x" * 80, "x" * 81]
    assert len({slug(text) for text in texts}) == len(texts)
    assert all(set(slug(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") for text in texts)
    quiet = Topics(Broker.of({"url": "mqtt://host", "discovery": None}))
    assert list(quiet.announced("gate", ("fire",))) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no broker: None"),
        ({"url": "http://me:geheim@host"}, "no broker: http://***@host"),
        ({"url": "mqtt://me:geheim@host:x"}, "no broker: mqtt://***@host:x"),
        ({"url": "mqtt://host", "prefix": "a/#"}, "prefix of mqtt: 'a/#' is no topic"),
        ({"url": "mqtt://host", "topic": "a"}, "unknown setting of mqtt topic"),
        ({"url": "mqtt://host", "phases": ["begin"]}, "phases of mqtt"),
    ],
)
def test_a_broker_that_means_nothing_is_refused(settings, said):
    with pytest.raises(InputError) as error:
        Broker.of(settings)
    assert said in str(error.value)
    assert "geheim" not in str(error.value)
