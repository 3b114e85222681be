"""The watch that the page starts: a process of the server, which ends with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.web import Web

from lavida.serve.watcher import Watcher
from serve.quick import waited
from serve.watching_server import bright_watcher

pytestmark = pytest.mark.slow


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_watch_is_started_changed_and_stopped(tmp_path, web, serving):
    config, data = tmp_path / "watch.yaml", tmp_path / "data"
    config.write_text(f"streams: {{cam: '{web.url('cam.mjpeg')}'}}\nanomalies: [fire]\nhealth_s: 0.5\n")
    served = serving(streams=config, watcher=bright_watcher(config, data))

    def cam() -> dict:
        return served.get("/api/streams")["now"][0]

    assert (cam()["state"], served.get("/api/streams")["watch"]["state"]) == ("not watched", "none")
    assert served.client.post("/api/watch").status_code == 200
    assert served.client.post("/api/watch").json()["watch"]["ours"]  # once is enough
    waited(lambda: cam()["state"] == "running", within=60)
    waited(lambda: len(served.get("/api/streams/scores")["streams"]["cam"]["times"]) > 5, within=60)
    waited(lambda: served.client.get("/api/streams/picture?stream=cam").status_code == 200, within=30)
    assert served.client.put("/api/streams/cam", json={"words": ["smoke", "fire"]}).status_code == 200
    waited(lambda: cam()["words"] == ["smoke", "fire"], within=30)
    web.level = 250
    waited(lambda: served.get("/api/streams")["going_on"] == 1, within=30)
    assert served.get("/api/streams")["events"][0]["category"] == "smoke"
    assert served.client.put("/api/streams/cam", json={"active": False}).status_code == 200
    waited(lambda: served.get("/api/streams")["watch"]["state"] == "none", within=30)  # nothing is left to watch
    assert (cam()["state"], served.get("/api/streams")["going_on"]) == ("stopped", 0)
    assert served.client.post("/api/watch").json() == {"message": "no stream is active: add one, or start one"}
    assert served.client.put("/api/streams/cam", json={"active": True}).status_code == 200
    assert served.client.post("/api/watch").status_code == 200
    waited(lambda: cam()["state"] == "running", within=60)
    assert served.client.delete("/api/watch").status_code == 204
    told = served.get("/api/streams")["watch"]
    assert (told["state"], told["ours"], told["message"]) == ("none", False, "")


def test_a_watch_of_another_is_left_alone(tmp_path, web, serving):
    config, data = tmp_path / "watch.yaml", tmp_path / "data"
    config.write_text(f"streams: {{cam: '{web.url('cam.mjpeg')}'}}\nanomalies: [fire]\n")
    served, other = serving(streams=config, watcher=bright_watcher(config, data)), bright_watcher(config, data)
    other.start()
    try:
        waited(lambda: served.get("/api/streams")["watch"]["state"] == "running", within=60)
        assert served.client.post("/api/watch").status_code == 409
        assert served.client.delete("/api/watch").status_code == 409
        assert not served.get("/api/streams")["watch"]["ours"]
    finally:
        other.stop()


def test_why_a_watch_ended_is_said(tmp_path, capsys):
    (tmp_path / "data").write_text("in the way")
    config = tmp_path / "watch.yaml"
    config.write_text("streams: {cam: 'http://127.0.0.1:9/'}\nanomalies: [fire]\n")
    watcher = bright_watcher(config, tmp_path / "data")
    watcher.start()
    waited(lambda: not watcher.runs, within=60)
    assert watcher.message.startswith(f"cannot write: {tmp_path / 'data'}")
    says = "import sys; sys.stderr.write('lavida: no such file: /a/geheim-17\\n'); sys.exit(2)"
    watcher = Watcher([sys.executable, "-c", says], hide=lambda said: said.replace("geheim-17", "***"))
    watcher.start()
    waited(lambda: not watcher.runs, within=60)
    assert watcher.message == "no such file: /a/***"
    assert "geheim" not in capsys.readouterr().err
    watcher = Watcher([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    watcher.start()
    waited(lambda: not watcher.runs, within=60)
    assert watcher.message == "the watch ended by signal 9; the server's log has more"
    watcher.stop()


def test_the_watch_ends_with_a_server_that_is_killed(tmp_path, web):
    config, data = tmp_path / "watch.yaml", tmp_path / "data"
    config.write_text(f"streams: {{cam: '{web.url('cam.mjpeg')}'}}\nanomalies: [fire]\n")
    command = bright_watcher(config, data)._command
    server = (
        "import sys, time\nfrom lavida.serve.watcher import Watcher\n"
        f"watcher = Watcher({command!r})\nwatcher.start()\nprint(watcher._process.pid, flush=True)\ntime.sleep(600)\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            pid = int(process.stdout.readline())
            waited(lambda: (data / "latest.sqlite").exists(), within=60)
            assert runs(pid)
        finally:
            process.send_signal(signal.SIGKILL)
        waited(lambda: not runs(pid), within=30)
