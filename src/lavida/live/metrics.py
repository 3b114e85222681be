"""What a watch tells of itself to Prometheus, counted from the records that it prints."""

from __future__ import annotations

from lavida.errors import InputError, needed, reason
from lavida.live.records import Record

STATES = ("starting", "running", "stalled", "retrying", "ended", "failed")


class Metrics:
    """An HTTP server with `/metrics`, in a thread of its own.

    Args:
        address: HOST:PORT.

    Raises:
        InputError: prometheus-client is not installed, or the address cannot be used.
    """

    def __init__(self, address: str) -> None:
        prometheus = needed("prometheus_client")
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")  # IPv6
        if not host or not port.isdigit() or int(port) > 65535:
            raise InputError(f"not HOST:PORT: {address}; give for example 127.0.0.1:9464")
        registry, by_stream = prometheus.CollectorRegistry(), ["stream"]
        self._up = prometheus.Gauge(
            "lavida_stream_state", "1 for the state it is in.", [*by_stream, "state"], registry=registry
        )
        self._gauges = {
            name: prometheus.Gauge(f"lavida_stream_{name}", told, by_stream, registry=registry)
            for name, told in {
                "rate": "Frames analysed a second.",
                "share": "Share of the due frames that is analysed.",
                "frames": "Frames that came.",
                "analysed": "Frames that were analysed.",
                "thinned": "Due frames left out since the machine cannot keep up.",
                "dropped": "Frames pushed out by newer ones.",
                "sessions": "Times that it was opened, or went on in another size.",
                "held_back": "Events left out by the cool-down.",
            }.items()
        }
        self._score = prometheus.Gauge("lavida_score", "The latest score.", [*by_stream, "category"], registry=registry)
        self._delay = prometheus.Gauge(
            "lavida_delay_seconds", "From a frame's arrival to its score.", by_stream, registry=registry
        )
        self._events = prometheus.Counter("lavida_events", "Events begun.", [*by_stream, "category"], registry=registry)
        try:
            self._server, self._thread = prometheus.start_http_server(int(port), addr=host, registry=registry)
        except OSError as error:
            raise InputError(f"cannot serve metrics at {address}: {reason(error)}; choose another port") from error

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def tell(self, record: Record) -> None:
        """Take a record of `watch`."""
        stream = record["stream"]
        if record["type"] == "score":
            self._delay.labels(stream).set(record["delay_s"])
            for category, score in record["scores"].items():
                self._score.labels(stream, category).set(score)
        elif record["type"] == "health":
            for name, gauge in self._gauges.items():
                gauge.labels(stream).set(record[name])
            for state in STATES:
                self._up.labels(stream, state).set(state == record["state"])
        elif record["phase"] == "start":
            self._events.labels(stream, record["category"]).inc()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
