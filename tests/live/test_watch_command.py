"""`lavida watch` and `lavida calibrate` as commands."""

import json
import sys
import urllib.request
from pathlib import Path

import av
import numpy as np
import pytest
from bright import bright_detector

from lavida.cli.app import run
from lavida.live.profile import Profile, Word
from live.hook import Inbox
from live.streams import clip

LEVELS = [20] * 25 + [250] * 25 + [20] * 25


@pytest.fixture
def street(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where lavida-live is made
    monkeypatch.setattr("lavida.loading.load", lambda *model, **place: bright_detector())
    return clip(tmp_path / "street.mp4", LEVELS)


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


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
    ],
)
def test_a_broken_configuration_is_named(text, said, tmp_path, capsys):
    config = tmp_path / "watch.yaml"
    config.write_text(text)
    assert run(["watch", "--config", str(config)]) == 2
    assert said in capsys.readouterr().err


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
    from lavida.live.plan import Asked

    page = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("GATE_PASSWORD", "HOOK_SECRET", "MQTT_PASSWORD", "MAIL_PASSWORD", "TELEGRAM"):
        monkeypatch.setenv(name, "geheim")
    config = tmp_path / "watch.yaml"
    config.write_text(page.split("## watch.yaml", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0])
    words = tuple(Word(text, 0.1, 0.6) for text in ("fire", "person lying on the ground", "car"))
    Profile(words, 60.0, 1.0, 1.0, 0.95, 4.0, "nano").save(tmp_path / "gate.yaml")
    given = read_config(config)
    plan = Asked(config=config).plan(given)
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


def test_footage_that_is_too_short_for_the_wish_is_refused_with_what_it_takes(street, tmp_path, capsys):
    out = tmp_path / "profile.yaml"
    arguments = ["calibrate", str(street), "-a", "fire", "--out", str(out), "--false-alarms-per-hour"]
    assert run([*arguments, "1"]) == 2
    assert "0.1 minutes of it" in (said := capsys.readouterr().err)
    assert "takes 3.7 hours" in said
    assert not out.exists()


@pytest.mark.slow
def test_a_profile_raises_the_threshold_above_what_is_normal(street, tmp_path, capsys):
    normal, out = clip(tmp_path / "normal.mp4", [20, 222] * 40), tmp_path / "profile.yaml"  # 222: scores about 0.43
    asked = ["calibrate", str(normal), "-a", "fire", "--out", str(out), "--false-alarms-per-hour", "5000"]
    assert run(asked) == 0
    assert "with 95% confidence" in capsys.readouterr().out
    (word,) = Profile.load(out).words
    assert 0 < word.zero < word.threshold < 1
    assert run(["watch", str(normal), "--profile", str(out)]) == 0
    assert not [record for record in records(capsys) if record["type"] == "event"]
    assert run(["watch", str(street), "--profile", str(out)]) == 0
    found = [record for record in records(capsys) if record["type"] == "event" and record["phase"] == "end"]
    assert len(found) == 1
    folder = ["--out", str(tmp_path / "out"), "--json", "--no-overlay", "--profile", str(out)]
    assert run(["detect", str(street), "-a", "fire", *folder]) == 0
    (result,) = records(capsys)[0]["results"]
    assert {key: found[0][key] for key in result["events"][0]} == result["events"][0]
    assert run(["detect", str(street), "-a", "smoke", *folder]) == 2
    assert "the profile does not know 'smoke'" in capsys.readouterr().err


def half(path, levels):
    """A bright quarter that is always there, and the right edge of these levels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for level in levels:
            picture = np.full((96, 128, 3), 20, np.uint8)
            picture[:48, :48] = 250
            picture[:, 96:] = level
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
def test_what_always_stands_there_gives_no_event_once_it_has_been_learnt(street, tmp_path, capsys):
    """The mask of the stand-in covers what is bright: a bright half that stays, and one that comes."""
    normal, test = (
        half(tmp_path / "normal.mp4", [20] * 80),
        half(tmp_path / "test.mp4", [20] * 25 + [250] * 25 + [20] * 25),
    )
    out = tmp_path / "profile.yaml"
    asked = ["calibrate", str(normal), "-a", "fire", "--out", str(out), "--false-alarms-per-hour", "5000"]
    assert run([*asked, "--background"]) == 0
    assert "leaves out where it always is" in capsys.readouterr().out
    assert Profile.load(out).words[0].background is not None
    for video, count in ((normal, 0), (test, 1)):
        assert run(["watch", str(video), "--profile", str(out)]) == 0
        found = [each for each in records(capsys) if each["type"] == "event" and each["phase"] == "end"]
        assert len(found) == count
        folder = ["--out", str(tmp_path / "out"), "--json", "--no-overlay", "--profile", str(out)]
        assert run(["detect", str(video), "-a", "fire", *folder]) == 0
        assert len(records(capsys)[0]["results"][0]["events"]) == count
