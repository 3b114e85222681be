"""`lavida calibrate` as a command, and its profile in the others."""

import av
import numpy as np
import pytest

from lavida.cli.app import run
from lavida.live.profile import Profile
from live.streams import clip
from live.street import records, street

assert street  # a fixture


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{street}", "{street}", "--out", "p.yaml"], "the footage stands twice"),
        (["{street}", "./street.mp4", "--out", "p.yaml"], "the footage stands twice: ./street.mp4"),
        (["{street}", "--out", "./street.mp4"], "the profile would replace the footage: street.mp4"),
        (["rtsp://me:geheim@cam/1", "--out", "p.yaml"], "not a video: rtsp://***@cam/1; record the camera first"),
        (["{street}", "--out", "."], "cannot write: . (Is a directory)"),
        (["{street}", "--out", "street.mp4/p.yaml"], "cannot write: street.mp4/p.yaml (Not a directory)"),
    ],
)
def test_what_no_footage_mends_is_said_before_it_is_looked_at(arguments, said, street, capsys, monkeypatch):
    monkeypatch.setattr("lavida.loading.load", lambda *model, **place: pytest.fail("looks at the footage"))
    before = street.read_bytes()
    asked = [each.format(street=street) for each in arguments]
    assert run(["calibrate", *asked, "-a", "fire", "--false-alarms-per-hour", "5000"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert (captured.err.count("\n"), street.read_bytes() == before) == (1, True)
    assert "geheim" not in captured.err


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
