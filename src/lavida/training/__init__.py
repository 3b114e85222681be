"""Training by anomaly exposure."""

from lavida.waiting import wait_as_usual

wait_as_usual()
