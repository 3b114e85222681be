"""`lavida figure` with the stand-in model: what is bright is abnormal."""

from pathlib import Path

import pytest
from bright import bright_detector
from bright_scenes import bright_ped2
from PIL import Image
from tiny import tiny_lavida
from torch import device
from video import make

from lavida.cli.figure import figure
from lavida.detector import Detector
from lavida.errors import InputError


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return str(make.video(tmp_path / "clip.mp4", frames=30, fps=10, width=96, height=64, mark=True))


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Run the command; its model is the stand-in, or a tiny random one for tokens."""
    monkeypatch.setattr("lavida.loading.load", lambda name, **_: bright_detector())
    given = {"anomalies": ["bicycle"], "out": tmp_path / "figure.png", "device": "cpu"}
    return lambda kind, sources, **options: figure(kind, sources, **given | options)


@pytest.fixture
def tiny(monkeypatch) -> None:
    detector = Detector.of(tiny_lavida(), name="tiny", device=device("cpu"))
    monkeypatch.setattr("lavida.loading.load", lambda name, **_: detector)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scores", "masks"])
def test_a_figure_of_any_video(draw, clip, tmp_path, capsys, kind):
    draw(kind, [clip], end=1.0)
    assert min(size(tmp_path / "figure.png")) > 300
    assert capsys.readouterr().out == f"figure drawn in {tmp_path / 'figure.png'}\n"


def test_a_benchmark_gives_categories_and_truth(draw, tmp_path, monkeypatch):
    root, seen = bright_ped2(tmp_path), []
    monkeypatch.setattr(
        "lavida.paper.figures.findings.draw_scores", lambda cases, **_: seen.extend(cases) or figure_of_nothing()
    )
    chosen = {"benchmark": "ucsd-ped2", "root": root, "anomalies": [], "start": 0.08, "end": 0.3}
    draw("scores", [], **chosen, videos=["Test002", "Test001"])
    two, one = seen
    assert two.title == "ucsd-ped2 Test002" and two.detection.categories[0] == "bicycle" and two.first == 2
    assert two.labels().tolist() == [0] * 4 + [1] * 2 and one.labels().tolist() == [0, 0, 1, 1, 1, 1]


def figure_of_nothing():
    from lavida.paper.figures.sheet import Sheet

    return Sheet(width=1, height=1)


@pytest.mark.slow
def test_tokens_need_no_words(draw, tiny, clip, tmp_path):
    draw("tokens", [clip], anomalies=[], moments=2)
    two = size(tmp_path / "figure.png")
    draw("tokens", [clip], anomalies=[], at=[0.0, 1.5, 2.5])
    assert size(tmp_path / "figure.png")[1] > 1.2 * two[1]
    draw("tokens", [clip], anomalies=["dog"], moments=1, out=tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("kind", "options", "sources", "said"),
    [
        ("score", {}, ["clip"], "unknown figure score: choose scores, masks, tokens"),
        ("scores", {"out": Path("x.gif")}, ["clip"], r"--out x.gif is no name for a picture"),
        ("scores", {"moments": 0}, ["clip"], "--moments is 0"),
        ("masks", {"moments": 2}, ["clip"], "--moments: masks are shown"),
        ("scores", {"moments": 2, "at": [1.0]}, ["clip"], "--moments: --at says"),
        ("tokens", {"threshold": 0.4, "anomalies": []}, ["clip"], "--threshold: tokens are"),
        ("scores", {"anomalies": []}, ["clip"], "no category"),
        ("scores", {"end": 0.0}, ["clip"], "no time from 0 s to 0 s"),
        ("scores", {"at": [7.0]}, ["clip"], "--at 7: the video goes from 0.00 s to 2.90 s"),
        ("scores", {"at": [float("nan")]}, ["clip"], "--at nan: the video goes from 0.00 s to 2.90 s"),
        ("scores", {"start": float("nan")}, ["clip"], "no time from nan s to inf s"),
        ("tokens", {"at": [7.0], "anomalies": []}, ["clip"], "--at 7"),
        ("scores", {}, ["missing.mp4"], "no such file: missing.mp4"),
        ("scores", {}, [], "no video: give a video file"),
        ("scores", {"root": Path(".")}, ["clip"], "--root and --video need --benchmark"),
        ("scores", {"benchmark": "ucsd-ped2", "root": Path(".")}, [], "needs --root DIR and at least one --video"),
        ("scores", {"benchmark": "ucsd-ped2", "root": Path("."), "videos": ["a"]}, ["clip"], "leave it out"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(draw, clip, tmp_path, kind, options, sources, said):
    with pytest.raises(InputError, match=said) as refused:
        draw(kind, [clip if source == "clip" else source for source in sources], **options)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_video_that_the_benchmark_lacks_is_said(draw, tmp_path):
    root = bright_ped2(tmp_path)
    with pytest.raises(InputError, match="no video Test9 in ucsd-ped2; it has Test001, Test002"):
        draw("scores", [], benchmark="ucsd-ped2", root=root, videos=["Test9"])
