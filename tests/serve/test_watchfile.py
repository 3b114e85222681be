"""The page changes the configuration of a watch: what is checked, what is refused, and what stays as it was."""

import os
import stat

import cv2
import numpy as np
import pytest
from live.streams import clip

from lavida.cli.app import run
from lavida.errors import InputError
from lavida.live.config import read_config
from lavida.serve.watchfile import WatchConfig
from serve.conftest import Served

SECRET = "geheim-17"
FILE = """
# comments may go
streams:
  gate: rtsp://me:${oc.env:GATE_PASSWORD}@camera.local/1
  yard:
    url: http://other.local/stream.ts?token=abc
    anomalies: [car]
    threshold: 0.6
    ignore: [[[0.4, 0.5], [0.6, 0.5], [0.6, 0.7]]]
    schedule: ["mon-fri 18:00-06:00"]
  whole: ${oc.env:WHOLE}
anomalies: [fire, person lying on the ground]
alerts_per_hour: 6
webhooks:
  - {url: "https://example.org/hook", secret: "${oc.env:GATE_PASSWORD}"}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("GATE_PASSWORD", SECRET)
    monkeypatch.setenv("WHOLE", f"rtsp://camera.local/{SECRET}/whole")
    path = tmp_path / "watch.yaml"
    path.write_text(FILE)
    path.chmod(0o600)
    return path


@pytest.fixture
def changing(serving, config) -> Served:
    """A server that may change it."""
    return serving(streams=config, allow_streams=("allowed.local", "camera.local:8554"))


def put(served: Served, name: str, status: int = 200, **asked):
    answer = served.client.put(f"/api/streams/{name}", json=asked)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert set(answer.json()) == {"message"}
        assert "\n" not in answer.json()["message"]
        return answer.json()["message"]
    return {each["name"]: each for each in answer.json()["now"]}[name]


def test_the_streams_are_told_without_a_secret(changing: Served):
    told = changing.client.get("/api/streams").text
    assert SECRET not in told
    gate, yard, whole = changing.get("/api/streams")["now"]
    assert (gate["entry"]["url"], yard["entry"]["url"], whole["entry"]["url"]) == (
        "rtsp://***@camera.local/1",
        "http://other.local/stream.ts?token=***",
        "${oc.env:WHOLE}",
    )
    assert (gate["entry"]["words"], gate["entry"]["threshold"]) == (["fire", "person lying on the ground"], None)
    assert (yard["entry"]["words"], yard["entry"]["threshold"], yard["state"]) == (["car"], 0.6, "not watched")
    watch = changing.get("/api/streams")["watch"]
    assert (watch["file"], watch["allowed"]) == ("watch.yaml", ["allowed.local", "camera.local:8554"])


def test_words_threshold_and_regions_are_changed_and_all_else_stays(changing: Served, config):
    before = read_config(config)
    region = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]
    told = put(changing, "gate", words=["smoke", " a  dog "], threshold=0.7, regions=[region])
    assert told["entry"]["words"] == ["smoke", "a dog"]
    assert (told["entry"]["threshold"], told["entry"]["regions"]) == (0.7, [region])
    after = read_config(config)
    gate = after.streams.pop("gate")
    assert (gate.url, gate.anomalies, gate.threshold) == (
        f"rtsp://me:{SECRET}@camera.local/1",
        ["smoke", "a dog"],
        0.7,
    )
    assert gate.regions == [region]
    before.streams.pop("gate")
    assert after == before
    text = config.read_text()
    assert SECRET not in text
    assert text.count("${oc.env:GATE_PASSWORD}") == 2
    assert "${oc.env:WHOLE}" in text
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    put(changing, "gate", words=None, threshold=None, regions=[])
    assert read_config(config).streams["gate"].anomalies is None
    assert os.listdir(config.parent).count("watch.yaml") == 1
    assert [name for name in os.listdir(config.parent) if name.startswith(".lavida")] == []


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"url": "rtsp://***@camera.local/1"}, "rtsp://me:${oc.env:GATE_PASSWORD}@camera.local/1"),
        ({"url": "http://other.local/stream.ts?token=***"}, "http://other.local/stream.ts?token=abc"),
        ({"url": "${oc.env:WHOLE}"}, "${oc.env:WHOLE}"),
        ({"url": "http://allowed.local/x?a=1"}, "http://allowed.local/x?a=1"),
        ({"url": "rtsp://you:new@CAMERA.local:8554/2"}, "rtsp://you:new@CAMERA.local:8554/2"),
    ],
)
def test_addresses_that_the_file_names_and_those_of_allowed_hosts_are_taken(changing: Served, config, asked, kept):
    put(changing, "gate", **asked)
    put(changing, "new", **asked)
    assert config.read_text().count(kept) >= 2
    only_host = read_config(config).streams["new"].only_host
    assert only_host == ("allowed" in kept or "8554" in kept)  # what comes from the page is not led elsewhere


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "rtsp://camera.local/2",  # the file names another address of it
        "rtsp://camera.local:554/1",
        "http://allowed.local.evil.example/",
        "http://evil.example/@allowed.local/",
        "http://evil.example#@allowed.local/",
        "http://evil.example?@allowed.local/",
        "http://evil.example\\@allowed.local/",
        "http://allowed.local@evil.example/",
        "http://allowed.local:80@evil.example/",
        "http://[::1]/",
        "http://allowed.local:99999999/",
        "file:///etc/passwd",
        "/etc/passwd",
        "concat:/etc/passwd|x",
        "v4l2:/dev/video0",
        "/dev/video0",
        "udp://allowed.local:1",
        "http://allowed.local/${oc.env:GATE_PASSWORD}",
        "http://allowed.local/ x",
        "http://allowed.local/\n- x",
        "http://***@allowed.local/1",  # the password of the camera is not for another host
        "http://allowed.local/?token=***",
    ],
)
def test_other_addresses_are_refused_and_nothing_is_written(changing: Served, config, url):
    said = put(changing, "gate", status=422, url=url)
    assert said.startswith("url: ")
    assert SECRET not in said
    put(changing, "new", status=422, url=url)
    assert config.read_text() == FILE


def test_a_hidden_login_is_kept_for_another_path_of_the_same_host(serving, config):
    served = serving(streams=config, allow_streams=("camera.local", "allowed.local"))
    put(served, "gate", url="rtsp://***@camera.local/2")
    assert "rtsp://me:${oc.env:GATE_PASSWORD}@camera.local/2" in config.read_text()
    for url in ("rtsp://***@camera.local:99/2", "http://***@camera.local/2", "rtsp://***@allowed.local/2"):
        assert "give what is hidden as *** anew" in put(served, "gate", status=422, url=url)


def test_what_is_hidden_but_no_login_is_not_put_before_another_host(serving, config):
    config.write_text("streams: {odd: 'rtsp://inside.local/a@allowed.local/b'}\nanomalies: [fire]\n")
    served = serving(streams=config, allow_streams=("allowed.local",))
    assert served.get("/api/streams")["now"][0]["entry"]["url"] == "rtsp://***@allowed.local/b"
    assert "anew" in put(served, "odd", status=422, url="rtsp://***@allowed.local/c")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"words": []}, "words: List should have at least 1 item"),
        ({"words": [" "]}, "words.0: describe in words what counts as abnormal"),
        ({"words": ["${oc.env:GATE_PASSWORD}"]}, "words: ${ stands for"),
        ({"threshold": 1.5}, "threshold: Input should be less than 1"),
        ({"threshold": "NaN"}, "threshold: "),
        ({"regions": [[[0, 0], [1, 1]]]}, "regions.0: List should have at least 3 items"),
        ({"regions": [[[0, 0], [1, 1], [2, 0]]]}, "regions.0.2.0: Input should be less than or equal to 1"),
        ({"anomalies": ["x"]}, "anomalies: Extra inputs are not permitted"),
        ({"active": "maybe"}, "active: "),
    ],
)
def test_what_means_nothing_is_one_line(changing: Served, config, asked, said):
    assert put(changing, "gate", status=422, **asked).startswith(said)
    assert config.read_text() == FILE


@pytest.mark.parametrize("name", ["a b", "..%2Fx", "x" * 101, "%00"])
def test_names_are_names(changing: Served, config, name):
    assert changing.client.put(f"/api/streams/{name}", json={"url": "http://allowed.local/"}).status_code in (404, 422)
    assert config.read_text() == FILE


def test_streams_are_stopped_started_and_removed(changing: Served, config):
    assert put(changing, "gate", active=False)["state"] == "stopped"
    assert read_config(config).streams["gate"].active is False
    assert put(changing, "gate", active=True)["state"] == "not watched"
    assert "active" not in config.read_text()
    assert changing.client.delete("/api/streams/whole").status_code == 204
    assert changing.client.delete("/api/streams/whole").status_code == 404
    assert list(read_config(config).streams) == ["gate", "yard"]
    assert put(changing, "no", status=422, words=["x"]) == "no such stream: no; give the url of a new one"


def test_what_the_watch_would_refuse_is_refused_with_its_words_and_without_the_secret(changing: Served, config):
    config.write_text(
        FILE.replace("rtsp://me:${oc.env:GATE_PASSWORD}@camera.local/1", "rtmp://x/${oc.env:GATE_PASSWORD}")
    )
    said = put(changing, "yard", status=422, threshold=0.5)
    assert said.startswith("unknown scheme rtmp of rtmp://x/***: choose rtsp")
    config.write_text("streams: {a: x")
    assert put(changing, "yard", status=422, threshold=0.5).startswith("broken configuration: watch.yaml")
    watch = changing.get("/api/streams")["watch"]
    assert watch["fault"].startswith("broken configuration: watch.yaml")


def test_a_list_of_addresses_becomes_names(serving, config):
    config.write_text(
        "streams: ['rtsp://a.local/1', 'rtsp://me:${oc.env:GATE_PASSWORD}@b.local/1']\nanomalies: [fire]\n"
    )
    served = serving(streams=config)
    assert [each["name"] for each in served.get("/api/streams")["now"]] == ["a.local-1", "b.local-1"]
    put(served, "b.local-1", threshold=0.25)
    found = read_config(config).streams
    assert {name: (each.url, each.threshold) for name, each in found.items()} == {
        "a.local-1": ("rtsp://a.local/1", None),
        "b.local-1": (f"rtsp://me:{SECRET}@b.local/1", 0.25),
    }


def test_a_file_that_is_not_there_yet_is_made(serving, tmp_path):
    path = tmp_path / "new.yaml"
    served = serving(streams=path, allow_streams=("allowed.local",))
    assert served.get("/api/streams")["now"] == []
    assert "no category" in put(served, "gate", status=422, url="http://allowed.local/")
    assert not path.exists()
    put(served, "gate", url="http://allowed.local/", words=["fire"])
    assert read_config(path).streams["gate"].anomalies == ["fire"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_there_is_an_end_to_streams(config):
    from lavida.serve.schemas import StreamRequest

    few = WatchConfig(config, allowed=("allowed.local",), most=4)
    asked = StreamRequest(url="http://allowed.local/", words=["fire"])
    few.change("four", asked)
    with pytest.raises(InputError, match="4 streams are watched at most"):
        few.change("five", asked)
    few.change("four", asked)


def test_without_the_file_nothing_can_be_changed(served: Served):
    for method, path in (("put", "streams/x"), ("delete", "streams/x"), ("post", "watch"), ("delete", "watch")):
        more = {"json": {}} if method == "put" else {}
        answer = getattr(served.client, method)(f"/api/{path}", **more)
        assert (answer.status_code, "--streams" in answer.json()["message"]) == (409, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--allow-streams", "a"], "--allow-streams belongs to --streams"),
        (["--streams", "{place}/no/watch.yaml"], "no such folder"),
        (["--streams", "{place}/watch.yaml", "--allow-streams", "http://a/"], "not a host: http://a/"),
        (["--streams", "{place}/watch.yaml", "--allow-streams", "me@a"], "not a host: me@a"),
        (["--streams", "{place}/broken.yaml"], "broken configuration: broken.yaml"),
    ],
)
def test_what_no_start_mends_is_one_line(tmp_path, capsys, arguments, said):
    (tmp_path / "broken.yaml").write_text("streams: {a: x")
    given = [each.format(place=tmp_path) for each in arguments]
    assert run(["serve", "--data", str(tmp_path / "data"), "--port", "8765", *given]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_stream_that_is_stopped_in_the_file_is_not_watched(tmp_path, capsys):
    street = clip(tmp_path / "street.mp4", [20] * 5)
    config = tmp_path / "watch.yaml"
    config.write_text(f"streams: {{a: {{url: {street}, active: false}}}}\nanomalies: [fire]\n")
    assert run(["watch", "--config", str(config), "--data", str(tmp_path / "data")]) == 2
    assert "every stream of" in capsys.readouterr().err


def test_a_painted_region_is_not_drawn_and_stays_until_polygons_take_its_place(changing: Served, config):
    cv2.imwrite(str(config.parent / "yard.png"), np.full((4, 6), 255, np.uint8))
    config.write_text(FILE.replace("ignore: [[[0.4, 0.5], [0.6, 0.5], [0.6, 0.7]]]", "regions: yard.png"))
    yard = put(changing, "yard", words=["dog"], regions=[], ignore=[])
    assert yard["regions"] == []
    assert read_config(config).streams["yard"].regions == "yard.png"
    corner = [[[0, 0], [1, 0], [1, 1]]]
    assert put(changing, "yard", regions=corner)["regions"] == corner
    assert read_config(config).streams["yard"].regions == corner
