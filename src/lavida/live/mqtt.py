"""Events, scores and pictures over MQTT, in topics that Home Assistant finds by itself.

Discovery as Home Assistant documents it: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, and the pages
of the platforms binary_sensor.mqtt, sensor.mqtt and image.mqtt.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lavida import __version__
from lavida.errors import InputError, needed, reason
from lavida.live.address import masked
from lavida.live.courier import USUAL_PHASES, NotDelivered, check_keys, checked_phases, name_of
from lavida.live.outbox import Letter
from lavida.live.plan import Plan
from lavida.live.records import Record

PORTS = {"mqtt": 1883, "mqtts": 8883}
ONLINE, OFFLINE, ON, OFF = "online", "offline", "ON", "OFF"
ANSWER_S = 10.0  # for the broker to confirm a message
SCORES_S = 1.0  # between two scores of a stream
KEEP_ALIVE_S = 30
LONGEST_WAIT_S = 5.0  # between two tries: the broker is near, and a sensor that is late is wrong


@dataclass(frozen=True)
class Broker:
    """Where messages go.

    Attributes:
        url: `mqtt://me:password@host:1883`, `mqtts://` with TLS; never to be shown.
        prefix: first part of all topics; two watches on one broker need two.
        discovery: Home Assistant's prefix; None: nothing is announced.
        phases: of events that are published below `prefix/STREAM/event`.
    """

    url: str = field(repr=False)
    prefix: str = "lavida"
    discovery: str | None = "homeassistant"
    phases: tuple[str, ...] = USUAL_PHASES

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Broker:
        """As it stands in `watch.yaml`. Raises InputError for anything that no retry mends."""
        check_keys(settings, "mqtt", ("url", "prefix", "discovery", "phases"))
        url, prefix = settings.get("url"), settings.get("prefix", "lavida")
        try:
            parts = urlsplit(url) if isinstance(url, str) else None
            usable = parts is not None and parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:  # its text may hold the password
            usable = False
        if not usable:
            raise InputError(f"the url of mqtt is no broker: {masked(url)}; give mqtt://host or mqtts://host")
        discovery = settings.get("discovery", "homeassistant")
        for name, value in (("prefix", prefix), ("discovery", discovery)):
            if name == "discovery" and value is None:
                continue
            if not isinstance(value, str) or not re.fullmatch(r"[\w-]+(/[\w-]+)*", value):
                none = ", or null for none" if name == "discovery" else ""
                raise InputError(f"{name} of mqtt: '{value}' is no topic; give letters, digits and slashes{none}")
        phases = checked_phases(settings.get("phases"), "mqtt")
        # sensors are switched by the start and the end of events, whatever else is wanted
        return cls(str(url), prefix, discovery, tuple(dict.fromkeys((*phases, "start", "end"))))


def slug(text: str) -> str:
    """A text as a part of a topic: letters, digits, `_` and `-`; different texts have different ones."""
    short = re.sub(r"[^a-z0-9-]+", "_", text.lower()).strip("_")[:60]
    return short if short == text else f"{short}_{hashlib.blake2s(text.encode(), digest_size=3).hexdigest()}"


class Topics:
    """The topics of one watch, and what is announced in them."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._prefix = broker, broker.prefix
        self.status = f"{broker.prefix}/status"

    def stream(self, stream: str, *parts: str) -> str:
        """A topic of a stream."""
        return "/".join((self._prefix, slug(stream), *parts))

    def word(self, stream: str, word: str, last: str) -> str:
        """A topic of a word of a stream."""
        return self.stream(stream, slug(word), last)

    def announced(self, stream: str, words: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Home Assistant's topics and configurations of a stream: two for each word, and a picture."""
        if self._broker.discovery is None:
            return
        node = f"{slug(self._prefix)}_{slug(stream)}"
        shared = {
            "availability": [{"topic": self.status}, {"topic": self.stream(stream, "status")}],
            "availability_mode": "all",
            "device": {
                "identifiers": [node],
                "name": stream,
                "manufacturer": "lavida",
                "model": "lavida watch",
                "sw_version": __version__,
            },
            "origin": {"name": "lavida", "sw_version": __version__},
        }

        def topic(platform: str, what: str) -> str:
            return f"{self._broker.discovery}/{platform}/{node}/{what}/config"

        for word in words:
            name = slug(word)
            yield (
                topic("binary_sensor", name),
                shared
                | {
                    "name": word,
                    "unique_id": f"{node}_{name}",
                    "state_topic": self.word(stream, word, "state"),
                    "json_attributes_topic": self.word(stream, word, "event"),
                },
            )
            yield (
                topic("sensor", f"{name}_score"),
                shared
                | {
                    "name": f"{word} score",
                    "unique_id": f"{node}_{name}_score",
                    "state_topic": self.word(stream, word, "score"),
                    "state_class": "measurement",
                },
            )
        yield (
            topic("image", "picture"),
            shared
            | {
                "name": "Last picture",
                "unique_id": f"{node}_picture",
                "image_topic": self.stream(stream, "picture"),
                "content_type": "image/jpeg",
            },
        )


class Publisher:
    """A connection to the broker that comes back by itself; a `lavida.live.courier.Receiver` of events.

    Args:
        broker: where to.
        folder: of `--data`, where pictures lie.

    Raises:
        InputError: paho-mqtt is not installed.
    """

    longest_wait_s = LONGEST_WAIT_S

    def __init__(self, broker: Broker, folder: Path) -> None:
        paho = needed("paho.mqtt.client")
        self._broker, self._folder, self._topics = broker, folder, Topics(broker)
        self.name, self.phases = name_of(f"mqtt {masked(broker.url)}", broker.url), broker.phases
        self._lock = threading.Lock()
        self._plan: dict[str, tuple[str, ...]] = {}  # words by stream
        self._retained: dict[str, str | bytes] = {}  # what a broker that has forgotten it is told again
        self._scores_at: dict[str, float] = {}
        parts = urlsplit(broker.url)
        who = f"{socket.gethostname()} {folder.resolve()}"
        client_id = f"lavida-{hashlib.blake2s(who.encode(), digest_size=6).hexdigest()}"
        client = self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id)
        if parts.username is not None:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set()
        client.will_set(self._topics.status, OFFLINE, qos=1, retain=True)
        client.reconnect_delay_set(1, round(LONGEST_WAIT_S))
        client.on_connect = self._connected
        client.connect_async(str(parts.hostname), parts.port or PORTS[parts.scheme], KEEP_ALIVE_S)

    def start(self) -> None:
        """Begin to connect, in a thread of its own."""
        self._client.loop_start()

    def follow(self, plan: Plan, open_events: Mapping[str, Record] | None = None) -> None:
        """Announce the streams and words of a plan, and take back those that are there no more.

        Args:
            plan: what is watched.
            open_events: by stream, of those that are going on at the start.
        """
        now = {name: planned.settings.categories for name, planned in plan.items()}
        with self._lock:
            before, self._plan = self._plan, now
        gone = {topic for name, words in before.items() for topic, _ in self._topics.announced(name, words)}
        gone -= {topic for name, words in now.items() for topic, _ in self._topics.announced(name, words)}
        for topic in gone:
            self._client.publish(topic, "", qos=1, retain=True)
        for stream, words in now.items():
            going_on = (open_events or {}).get(stream, {}).get("category")
            for word in words:
                topic = self._topics.word(stream, word, "state")
                with self._lock:
                    self._retained.setdefault(topic, ON if word == going_on else OFF)
        if self._client.is_connected():
            self._announce()

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            self._announce()

    def _announce(self) -> None:
        """All that a broker should hold; it may have been started anew and have forgotten it."""
        with self._lock:
            plan, retained = dict(self._plan), dict(self._retained)
        for stream, words in plan.items():
            for topic, config in self._topics.announced(stream, words):
                self._client.publish(topic, json.dumps(config), qos=1, retain=True)
        for topic, payload in retained.items():
            self._client.publish(topic, payload, qos=1, retain=True)
        self._client.publish(self._topics.status, ONLINE, qos=1, retain=True)

    def tell(self, record: Record) -> None:
        """Take a record of `watch`: scores, at most one a second for each stream, and whether a stream is there."""
        stream = record["stream"]
        if record["type"] == "health":
            topic = self._topics.stream(stream, "status")
            payload = ONLINE if record["state"] == "running" else OFFLINE
            with self._lock:
                known, self._retained[topic] = self._retained.get(topic), payload
            if known != payload and self._client.is_connected():
                self._client.publish(topic, payload, qos=1, retain=True)
        elif record["type"] == "score" and self._client.is_connected():
            now = time.monotonic()
            if now - self._scores_at.get(stream, -SCORES_S) >= SCORES_S:
                self._scores_at[stream] = now
                for word, score in record["scores"].items():
                    self._client.publish(self._topics.word(stream, word, "score"), f"{score:.3f}")

    def send(self, letter: Letter) -> None:
        """Publish an event, and what it changes. Raises NotDelivered unless the broker confirms all of it."""
        record: Record = json.loads(letter.body)
        stream, phase = record["stream"], record.get("phase", "digest")
        messages: dict[str, str | bytes] = {}
        if phase in ("start", "end"):
            word = record["category"]
            # an event may be told to be of another word at its end than at its start
            others = self._plan.get(stream, ()) if phase == "end" else ()
            messages |= {self._topics.word(stream, other, "state"): OFF for other in others}
            messages[self._topics.word(stream, word, "state")] = ON if phase == "start" else OFF
            messages[self._topics.word(stream, word, "event")] = letter.body
            picture = self._folder / (record.get("snapshot_mask") or "none")
            if picture.is_file():
                messages[self._topics.stream(stream, "picture")] = picture.read_bytes()
        with self._lock:
            self._retained |= messages
        told = json.dumps(record | {"key": letter.key})
        last = self._topics.stream(stream, "event" if phase != "digest" else "digest")
        try:
            if not self._client.is_connected():
                raise NotDelivered("not connected")
            sent = [self._client.publish(topic, payload, qos=1, retain=True) for topic, payload in messages.items()]
            sent.append(self._client.publish(last, told, qos=1))
            for each in sent:
                each.wait_for_publish(ANSWER_S)
        except (RuntimeError, ValueError) as error:
            raise NotDelivered(reason(error)) from error
        if not all(each.is_published() for each in sent):
            raise NotDelivered("the broker does not confirm")

    def close(self) -> None:
        """Say that nobody watches any more, and leave."""
        if self._client.is_connected():
            self._client.publish(self._topics.status, OFFLINE, qos=1, retain=True).wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()
