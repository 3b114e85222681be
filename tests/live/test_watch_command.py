"""`lavida watch` as a command."""

import json
import os
import signal
import sqlite3
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lavida.cli.app import run
from lavida.errors import InputError
from lavida.live.profile import Profile, Word
from live.hook import Inbox
from live.street import records, street

pytestmark = pytest.mark.slow  # in real time

assert street  # a fixture


@pytest.mark.slow
def test_the_same_video_by_detect_and_by_watch_gives_the_same_events(street, tmp_path, capsys):
    asked = ["-a", "fire", "-a", "smoke"]
    assert run(["detect", str(street), *asked, "--json", "--no-overlay", "--out", str(tmp_path / "out")]) == 0
    (result,) = records(capsys)[0]["results"]
    assert run(["watch", str(street), *asked]) == 0
    told = records(capsys)
    ends = [record for record in told if record["type"] == "event" and record["phase"] == "end"]
    assert len(ends) == len(result["events"]) == 1
    assert {key: ends[0][key] for key in result["events"][0]} == result["events"][0]
    assert ends[0]["box"] is not None


def test_streams_words_and_settings_come_from_a_file(street, tmp_path, capsys):
    config = tmp_path / "watch.yaml"
    config.write_text(f"streams:\n  gate: {street}\nanomalies: [fire]\nmin_length_s: 5\n")
    assert run(["watch", "--config", str(config)]) == 0
    told = records(capsys)
    assert {record["stream"] for record in told} == {"gate"}
    assert not [record for record in told if record["type"] == "event"]  # too short
    assert {record["category"] for record in told if record["type"] == "score"} == {"fire"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rtmp://me:geheim@host/a", "-a", "fire"], "unknown scheme rtmp of rtmp://***@host/a"),
        (["no.mp4", "-a", "fire"], "no such file: no.mp4"),
        ([], "no stream: give an address"),
        (["{street}"], "no category"),
        (["{street}", "-a", "fire", "--threshold", "2"], "threshold 2.0 is out of range"),
        (["{street}", "-a", "fire", "--metrics", "9464"], "not HOST:PORT: 9464"),
        (["{street}", "-a", "fire", "--profile", "no.yaml"], "the profile cannot be read: no.yaml"),
        (["{street}", "-a", "fire", "--workers", "0"], "--workers 0 is out of range"),
        (["--config", "no.yaml"], "the configuration cannot be read: no.yaml"),
    ],
)
def test_what_no_retry_mends_is_one_line_at_the_start(arguments, said, street, capsys):
    assert run(["watch", *[each.format(street=street) for each in arguments]]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert "geheim" not in captured.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("streams: {a: x", "broken configuration"),
        ("stream: x", "unknown setting stream"),
        ("streams: 5", "streams: give name: address"),
        ("streams: {'a b': x}", "'a b' is no name"),
        ("update_s: -1", "update_s: -1; choose 0 or more"),
        ("anomalies: fire", "anomalies: give a list"),
        ("blur: person", "blur: give a list"),
        ("clips: {unblurred: 1}", "clips.unblurred: 1; choose true or false"),
        ("[1]", "broken configuration"),
        ("5", "give settings as key: value"),
        ("nonsense", "unknown setting nonsense"),
        ("thresold:", "unknown setting thresold"),
        ("rtsp://me:geheim@cam/1: gate", "unknown setting rtsp://***@cam/1"),
        ("streams: {'rtsp://me:geheim@cam/1': gate}", "'rtsp://***@cam/1' is no name"),
        ("streams: {'..': x}", "'..' is no name"),
        (f"streams: {{{90 * '门'}: x}}", "takes 270 bytes, too many for the name of a folder"),
        ("threshold: 0.5\nthreshold: 0.6", "line 2: found duplicate key threshold"),
        ("threshold: 0.5\n\tx: 1", "line 2: found a tab character that violates indentation"),
        ("mqtt: {url: !geheim x}", "line 1: could not determine a constructor for the tag ..."),
        ("mqtt: {url: *geheim}", "line 1: found undefined alias"),
        ("mqtt: {url: 'ge${heim geheim'}", "what stands behind a ${ means nothing"),
        ("clips: {megabytes: 1.0e+308}", "clips.megabytes: 1e+308; choose a number from 1 to 1000000"),
        ("{street}webhooks: [{url: 'http://x/y', phases: [[start]]}]", "phases of a webhook: [['start']]; choose of"),
        ("{street}webhooks: [{url: 'http://x/a b?key=geheim'}]", "letters that cannot be sent: http://x/a b?key=***"),
        ("{street}webhooks: [{url: 'http://x/ä'}]", "letters that cannot be sent"),
        ("{street}webhooks: [{url: 'http://x:0/'}]", "a webhook's url is not http or https: http://x:0/"),
        (
            "{street}webhooks: [{url: 'http://x/y'}, {url: 'http://x/y', phases: [clip]}]",
            "a receiver stands twice: http",
        ),
        ("{street}mqtt: {url: 'mqtt://x', prefix: null}", "prefix of mqtt: 'None' is no topic"),
        ("{street}mqtt: {url: 'mqtt://x', discovery: false}", "discovery of mqtt: 'False' is no topic"),
    ],
)
def test_a_broken_configuration_is_named(text, said, tmp_path, capsys):
    config, video = tmp_path / "watch.yaml", tmp_path / "a.mp4"
    video.touch()
    config.write_text(text.replace("{street}", f"streams: {{a: {video}}}\nanomalies: [fire]\n"), encoding="utf-8")
    for asked in ([], ["--check"]):
        assert run(["watch", "--config", str(config), "--data", str(tmp_path / "data"), *asked]) == 2
        captured = capsys.readouterr()
        assert said in captured.err
        assert (captured.out, captured.err.count("\n")) == ("", 1)
        assert "geheim" not in captured.err


def test_a_password_may_come_from_the_environment(tmp_path, monkeypatch):
    from lavida.live.config import read_config

    monkeypatch.setenv("CAMERA", "geheim")
    config = tmp_path / "watch.yaml"
    config.write_text("streams:\n  gate: rtsp://me:${oc.env:CAMERA}@cam/1\n")
    assert read_config(config).streams["gate"].url == "rtsp://me:geheim@cam/1"


def test_events_are_kept_and_sent_on(street, tmp_path, capsys):
    store = pytest.importorskip("sqlalchemy") and pytest.importorskip("lavida.live.store")
    inbox, config, data = Inbox(), tmp_path / "watch.yaml", tmp_path / "data"
    config.write_text(f"anomalies: [fire]\nwebhooks:\n  - url: {inbox.url}\n    phases: [end]\n")
    assert run(["watch", str(street), "--config", str(config), "--data", str(data)]) == 0
    inbox.close()
    (end,) = [each for each in records(capsys) if each["type"] == "event" and each["phase"] == "end"]
    kept = store.Store(data)
    assert kept.events() == [end | {"snapshot": f"snapshots/{end['id']}.jpg"} | _mask_picture(end) | {"clip": None}]
    assert kept.outbox.waiting() == 0
    assert [json.loads(each["body"])["id"] for each in inbox.got] == [end["id"]]


def _mask_picture(record: dict) -> dict:
    return {"snapshot_mask": f"snapshots/{record['id']}-mask.jpg"}


def test_each_stream_may_have_words_thresholds_and_regions_of_its_own(street, tmp_path, capsys):
    config = tmp_path / "watch.yaml"
    config.write_text(
        f"""
streams:
  inside: {street}
  outside:
    url: {street}
    anomalies: [smoke]
    threshold: 0.9
    ignore: [[[0, 0], [0.95, 0], [0.95, 1], [0, 1]]]
anomalies: [fire]
"""
    )
    assert run(["watch", "--config", str(config)]) == 0
    told = records(capsys)
    words = {record["stream"]: set(record["scores"]) for record in told if record["type"] == "score"}
    assert words == {"inside": {"fire"}, "outside": {"smoke"}}
    assert {record["stream"] for record in told if record["type"] == "event"} == {"inside"}
    assert (tmp_path / "lavida-live" / "lavida.sqlite").exists()  # the default of --data


def test_the_configuration_in_the_documentation_is_one(tmp_path, monkeypatch):
    from lavida.live.config import read_config
    from lavida.live.plan import WatchRequest

    page = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("GATE_PASSWORD", "HOOK_SECRET", "MQTT_PASSWORD", "MAIL_PASSWORD", "TELEGRAM"):
        monkeypatch.setenv(name, "geheim")
    config = tmp_path / "watch.yaml"
    config.write_text(page.split("## watch.yaml", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0])
    words = tuple(Word(text, 0.1, 0.6) for text in ("fire", "person lying on the ground", "car"))
    Profile(words, 60.0, 1.0, 1.0, 0.95, 4.0, "nano").save(tmp_path / "gate.yaml")
    given = read_config(config)
    plan = WatchRequest(config=config).plan(given)
    assert plan["gate"].settings.categories == ("fire", "person lying on the ground")
    assert plan["yard"].settings.categories == ("car",)
    assert plan["yard"].settings.events.threshold == 0.6
    assert len(plan["yard"].settings.regions.only) == len(plan["yard"].settings.regions.ignore) == 1
    assert len(plan["gate"].settings.schedule.lines) == 2
    assert (plan["gate"].settings.blur, plan["yard"].settings.blur) == ((), ("person",))
    assert given.clips is not None and (given.clips.longest_s, given.keep.days, given.alerts_per_hour) == (120, 30, 6)


def test_two_watches_do_not_share_a_folder(street, tmp_path, capsys):
    from lavida.live.config import WatchFile
    from lavida.live.keeping import Keeping

    keeping = Keeping(tmp_path / "lavida-live", WatchFile(), say=print)
    assert run(["watch", str(street), "-a", "fire"]) == 2
    assert "another lavida watch keeps its events there: lavida-live; choose another --data" in capsys.readouterr().err
    keeping.close()
    assert run(["watch", str(street), "-a", "fire"]) == 0


def test_without_sqlalchemy_events_are_printed_if_nothing_else_is_asked_for(street, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["watch", str(street), "-a", "fire"]) == 0
    captured = capsys.readouterr()
    assert "events are printed and not kept: SQLAlchemy is not installed" in captured.err
    assert '"phase": "end"' in captured.out


def test_a_full_disk_costs_what_would_be_kept_and_is_said_once(tmp_path, monkeypatch):
    from lavida.live import pictures
    from lavida.live.config import WatchFile
    from lavida.live.keeping import Keeping
    from live.test_store import moment, record, until

    said = []
    keeping = Keeping(tmp_path, WatchFile(), say=said.append)

    def full(*given):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pictures.cv2, "imencode", full)
        for number in range(3):
            keeping.seen(record("start", event=f"e{number}"), moment())
        until(lambda: len(keeping.store.events()) == 3 and said)
    assert len(said) == 1
    assert "not all of event e0 of gate is kept: the disk is full" in said[0]
    keeping.seen(record("start", event="e3"), moment())
    until(lambda: len(said) == 2)
    assert said[1:] == ["events are kept again"]
    assert [event["snapshot"] for event in keeping.store.events()] == [None, None, None, "snapshots/e3.jpg"]
    keeping.close()


def test_a_missing_package_is_one_line(street, tmp_path, capsys, monkeypatch):
    def refused(*option: str) -> str:
        assert run(["watch", str(street), "-a", "fire", *option]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    config = tmp_path / "watch.yaml"
    for package, extra, line in (
        ("apprise", "notify", "notify: ['json://x']"),
        ("paho.mqtt.client", "mqtt", "mqtt: {url: mqtt://x}"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        config.write_text(line)
        assert f"is not installed: pip install 'lavida[{extra}]'" in refused("--config", str(config))
    for package, option in (("sqlalchemy", ["--data", str(tmp_path)]), ("prometheus_client", ["--metrics", "a:1"])):
        monkeypatch.setitem(sys.modules, package, None)
        assert "is not installed: pip install 'lavida[live]'" in refused(*option)


def test_check_opens_each_stream_once(street, capsys):
    assert run(["watch", str(street), "--check"]) == 0
    assert [record["ok"] for record in records(capsys)] == [True]
    assert run(["watch", str(street), "rtsp://me:geheim@127.0.0.1:9/1", "--check"]) == 2
    captured = capsys.readouterr()
    assert [json.loads(line)["ok"] for line in captured.out.splitlines()] == [True, False]
    assert "geheim" not in captured.out + captured.err


def test_metrics_are_those_of_the_records():
    metrics = pytest.importorskip("prometheus_client") and pytest.importorskip("lavida.live.metrics")
    served = metrics.Metrics("127.0.0.1:0")
    counts = {"frames": 9, "analysed": 3, "thinned": 1, "dropped": 2, "sessions": 1, "rate": 5.0, "share": 0.5}
    served.tell({"type": "health", "stream": "gate", "state": "running", "held_back": 4, **counts})
    served.tell({"type": "score", "stream": "gate", "scores": {"fire": 0.25}, "delay_s": 0.5})
    served.tell({"type": "event", "phase": "start", "stream": "gate", "category": "fire"})
    served.tell({"type": "event", "phase": "end", "stream": "gate", "category": "fire"})
    with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    served.close()
    for line in (
        'lavida_stream_dropped{stream="gate"} 2.0',
        'lavida_stream_state{state="running",stream="gate"} 1.0',
        'lavida_stream_state{state="retrying",stream="gate"} 0.0',
        'lavida_score{category="fire",stream="gate"} 0.25',
        'lavida_events_total{category="fire",stream="gate"} 1.0',
    ):
        assert line in lines


def test_metrics_are_served_at_an_address_of_ipv6():
    metrics = pytest.importorskip("prometheus_client") and pytest.importorskip("lavida.live.metrics")
    try:
        served = metrics.Metrics("[::1]:0")
    except InputError as error:  # a machine without IPv6
        pytest.skip(str(error))
    served.close()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_while_the_model_is_loaded_ends_it(sent, code, street, tmp_path, monkeypatch):
    def load(*model, **place):
        os.kill(os.getpid(), sent)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("lavida.loading.load", load)
    assert run(["watch", str(street), "-a", "fire", "--data", str(tmp_path / "data")]) == code
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_end_that_is_asked_for_again_while_all_is_closed_loses_nothing(street, tmp_path, capsys, monkeypatch):
    from lavida.live.keeping import Keeping

    close = Keeping.close

    def closed(keeping):
        os.kill(os.getpid(), signal.SIGTERM)
        close(keeping)

    monkeypatch.setattr(Keeping, "close", closed)
    assert run(["watch", str(street), "-a", "fire", "--data", str(tmp_path / "data")]) == 0
    (end,) = [record for record in records(capsys) if record["type"] == "event" and record["phase"] == "end"]
    with sqlite3.connect(tmp_path / "data" / "lavida.sqlite") as database:
        assert database.execute("SELECT id, phase FROM events").fetchall() == [(end["id"], "end")]


def test_a_library_that_ctrl_c_breaks_while_it_is_imported_is_not_called_damaged(street, capsys, monkeypatch):
    def load(*model, **place):
        try:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        except ImportError as error:
            raise InputError("damaged export: model.onnx cannot be read") from error

    monkeypatch.setattr("lavida.loading.load", load)
    assert run(["watch", str(street), "-a", "fire"]) == 130
    assert "damaged" not in capsys.readouterr().err


def test_without_ray_nothing_is_made_of_a_wish_to_spread_streams(street, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lavida.errors.find_spec", lambda package: None)
    assert run(["watch", str(street), "-a", "fire", "--workers", "2", "--data", str(tmp_path / "data")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "lavida: streams are spread with it, and Ray is not installed: pip install 'lavida[scan]'"
    assert not (tmp_path / "data").exists()
