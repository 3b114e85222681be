"""The page is parsed as a browser would; the numbers on it are compared with the result that it was made from."""

import base64
import io
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from bright import bright_detector
from bright_scenes import FRAMES, bright_ped2, square
from PIL import Image
from sklearn.metrics import roc_auc_score

from lavida.cli.evaluate import report as report_command
from lavida.errors import InputError
from lavida.evaluation import STANDARD, evaluate, open_benchmark
from lavida.evaluation.cases import choose_cases
from lavida.evaluation.report import read_result, write_report
from lavida.evaluation.scorers import BackgroundBaseline
from lavida.evaluation.tables import sibling_results
from lavida.export.drawing import TRUTH

VOID = {"meta", "img", "br", "link", "input", "rect", "line", "path"}
GLARE = 1  # a normal frame of Test001 in which something is nearly as bright


class Page(HTMLParser):
    """Elements with their attributes, the text below each heading, and the rows of each table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text, self.open, self.rows = "", [], []
        self.feed(text)
        assert self.open == [], "elements are not closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self) -> dict[str, np.ndarray]:
        """Alternative text -> picture."""
        found = {}
        for image in self.of("img"):
            kind, data = image["src"].split(",")
            assert kind == "data:image/jpeg;base64"
            found[image["alt"]] = np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)
        return found


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return bright_ped2(tmp_path_factory.mktemp("data"), glare=GLARE)


@pytest.fixture(scope="module")
def results(root, tmp_path_factory) -> Path:
    """`bright`, measured with every second frame, and `background` beside it."""
    folder, benchmark = tmp_path_factory.mktemp("results"), open_benchmark("ucsd-ped2", root)
    evaluate(benchmark, detector=bright_detector(), protocol=STANDARD.changed(["stride=2"]), out=folder / "bright")
    evaluate(benchmark, baseline=BackgroundBaseline(), out=folder / "background")
    return folder


@pytest.fixture
def page(results, root) -> Page:
    path = write_report(
        read_result(results / "bright"),
        benchmark=open_benchmark("ucsd-ped2", root),
        detector=bright_detector(),
        siblings=sibling_results(results / "bright"),
    )
    assert path == results / "bright" / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def copied(results: Path, target: Path, **changes) -> Path:
    """The result in another folder, with other entries in `metrics.json`."""
    metrics = json.loads((results / "bright" / "metrics.json").read_text())
    (target / "scores").mkdir(parents=True)
    for path in (results / "bright" / "scores").iterdir():
        (target / "scores" / path.name).write_bytes(path.read_bytes())
    settings = metrics["settings"] | changes.pop("settings", {})
    (target / "metrics.json").write_text(json.dumps(metrics | changes | {"settings": settings}))
    return target


def words(text: str) -> str:
    return " ".join(text.split())


def test_nothing_is_fetched_and_nothing_is_executed(page):
    assert not page.of("script") and not page.of("link") and not page.of("iframe")
    sources = [value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href")]
    assert sources and all(source.startswith("data:") for source in sources)
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)


def test_the_numbers_are_those_of_the_result(page, results):
    metrics = json.loads((results / "bright" / "metrics.json").read_text())
    for key in ("frame_auc_micro", "frame_ap", "pixel_auc"):
        assert f"{100 * metrics[key]:.2f}" in page.text
    assert "bright on ucsd-ped2" in page.text and "2 of 12 official videos" in page.text
    assert "custom (standard, stride=2)" in page.text
    for choice in metrics["settings"]["protocol"]:
        assert choice == "name" or choice.replace("_", " ") in page.text
    assert "frames a second" in page.text and "latency ms p95" in page.text
    tiles = page.text[page.text.index("Looked for") :]
    assert tiles.index("pixel AUC") < tiles.index("frame AUC, micro")  # what counts on Ped2 comes first


def test_the_table_shows_published_rows_baselines_and_last_this_result(page):
    head, *rows = page.rows
    assert head[:2] == ["method", "training"] and any("pixel AUC" in heading for heading in head)
    assert len({len(row) for row in page.rows}) == 1
    methods = [row[0] for row in rows]
    assert any("DDAD" in method for method in methods) and "background-baseline" in methods
    assert rows[-1][0].startswith("bright") and rows[-1][1] == "zero-shot"
    assert {"finetune", "supervised", "zero-shot", "none"} <= {row[1].lower().rstrip(".") for row in rows}


def test_each_video_has_its_curve_its_auc_and_its_truth(page, results):
    curves = page.of("svg")
    assert [curve["aria-label"] for curve in curves] == [
        "Score of Test001 over its frames",
        "Score of Test002 over its frames",
    ]
    lines = [attributes["d"] for tag, attributes in page.elements if tag == "path"]
    assert all(len(line.split("L")) == FRAMES for line in lines)
    shaded = [(float(a["x"]), float(a["width"])) for tag, a in page.elements if tag == "rect"]
    assert shaded == [
        (pytest.approx(640 * 4 / 12, abs=0.1), pytest.approx(640 * 5 / 12, abs=0.1)),
        (pytest.approx(320, abs=0.1), pytest.approx(320, abs=0.1)),
    ]
    with np.load(results / "bright" / "scores" / "Test001.npz") as video:
        auc = roc_auc_score(video["label"], video["score"])
    assert f"Test001 AUC {100 * auc:.2f}, 5 of 12 frames abnormal" in words(page.text)


def test_the_pictures_show_what_the_model_marks_and_what_is_true(page):
    pictures = page.pictures()
    lit = pictures["Test002, frame 6"]
    scale = lit.shape[0] / 48
    rows, columns = square("Test002")
    inside = lit[round(23 * scale), round(55 * scale)]
    assert inside[1] > inside[0] + 40  # tinted green
    ring = lit[round(rows.start * scale), round((columns.start + 4) * scale) : round((columns.stop - 4) * scale)]
    assert np.abs(ring - TRUTH).mean() < 60
    away = lit[round(40 * scale), round(8 * scale)]
    assert np.abs(away - 90).max() < 12
    assert "most like “wheelchair”" in page.text  # the last category is what is bright on the right


def test_the_unannotated_glare_is_the_false_alarm(results):
    sparse = read_result(results / "bright")
    groups = {group.title: group.cases for group in choose_cases(sparse)}
    assert set(groups) == {"False alarms", "Misses", "Hits"}
    assert all(case.frame % 2 == 0 or case.frame == FRAMES - 1 for cases in groups.values() for case in cases)
    dense = replace(sparse, metrics=sparse.metrics | {"settings": sparse.settings | {"protocol": {"stride": 1}}})
    dense.videos[0].scores[GLARE] = 0.99
    assert (choose_cases(dense)[0].cases[0].video, choose_cases(dense)[0].cases[0].frame) == ("Test001", GLARE)


def test_cases_of_one_video_lie_apart_and_other_videos_come_first(results):
    result = read_result(results / "bright")
    rng = np.random.default_rng(0)
    long = [
        replace(video, scores=rng.random(400).astype(np.float32), labels=np.tile([0, 0, 1, 1], 100).astype(np.uint8))
        for video in result.videos
    ]
    for group in choose_cases(replace(result, videos=long)):
        assert len(group.cases) == 4 and len({case.video for case in group.cases}) == 2
        for name in ("Test001", "Test002"):
            frames = sorted(case.frame for case in group.cases if case.video == name)
            assert all(b - a >= 80 for a, b in itertools.pairwise(frames))
        assert {long[0].labels[case.frame] for case in group.cases} == {0 if group.title == "False alarms" else 1}


def test_a_baseline_has_no_threshold_and_only_true_outlines(results, root):
    path = write_report(read_result(results / "background"), benchmark=open_benchmark("ucsd-ped2", root))
    page = Page(path.read_text(encoding="utf-8"))
    assert page.pictures() and "marked by the model" not in page.text and "annotated" in page.text
    assert not [a for tag, a in page.elements if tag == "line" and a["class"] == "threshold"]


def test_without_the_benchmark_the_page_has_no_pictures(results, tmp_path, capsys):
    folder = copied(results, tmp_path / "alone")
    report_command(folder, root=None, model=None, masks=True, device="cpu")
    assert capsys.readouterr().out == f"report written: {folder / 'report.html'}\n"
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not page.of("img") and "the benchmark's folder was not given" in page.text
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "report.html", "scores"]


def test_names_and_categories_are_text_and_nothing_else(results, tmp_path):
    evil = '<script>alert("1")</script>'
    folder = copied(
        results,
        tmp_path / "evil",
        model=f"{evil}[bold]",
        protocol=f"custom {evil}",
        settings={"categories": [evil, "a & b"], "own_categories": False, "notes": [f"5 < 6 {evil}"]},
    )
    page = Page(write_report(read_result(folder)).read_text(encoding="utf-8"))
    assert not page.of("script") and page.text.count(evil) >= 5
    assert f"{evil}[bold]" in page.rows[-1][0] and "a & b" in page.text


def test_scores_that_are_logits_have_their_own_axis(results, tmp_path):
    folder = copied(results, tmp_path / "logits", settings={"protocol": {"stride": 2, "scale": "logit"}})
    for path in (folder / "scores").iterdir():
        with np.load(path) as video:
            score, label = video["score"] * 8 - 4, video["label"]
        np.savez(path, score=score, label=label)
    result = read_result(folder)
    assert result.threshold == 0.0
    page = Page(write_report(result).read_text(encoding="utf-8"))
    heights = [float(y) for a in page.of("path") for y in re.findall(r"[ML][\d.]+ ([\d.]+)", a["d"])]
    assert min(heights) == 0 and max(heights) == 96
    assert all(0 < float(a["y1"]) < 96 for tag, a in page.elements if tag == "line" and a["class"] == "threshold")


def test_a_long_video_does_not_make_a_large_page(results, tmp_path):
    folder = copied(results, tmp_path / "long")
    for path in (folder / "scores").iterdir():
        label = np.zeros(50_000, dtype=np.uint8)
        np.savez(path, score=np.random.default_rng(0).random(50_000).astype(np.float32), label=label)
    assert write_report(read_result(folder)).stat().st_size < 60_000


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing; run lavida eval"),
        (lambda folder: (folder / "metrics.json").write_text("{"), "not the result of a benchmark"),
        (lambda folder: (folder / "metrics.json").write_text('{"benchmark": "exposure"}'), "not the result of a bench"),
        (lambda folder: (folder / "scores" / "Test002.npz").unlink(), "scores missing or damaged.*Test002.npz"),
        (lambda folder: (folder / "scores" / "Test001.npz").write_text("text"), "scores missing or damaged"),
    ],
)
def test_a_result_that_is_not_there_is_one_line(results, tmp_path, harm, said):
    folder = copied(results, tmp_path / "broken")
    harm(folder)
    with pytest.raises(InputError, match=said) as refused:
        report_command(folder, root=None, model=None, masks=True, device="cpu")
    assert "\n" not in str(refused.value) and not (folder / "report.html").exists()


def test_another_benchmark_and_other_videos_are_refused(results, root, tmp_path):
    benchmark = open_benchmark("ucsd-ped2", root)
    other = read_result(copied(results, tmp_path / "other", benchmark="avenue"))
    with pytest.raises(InputError, match="holds a result on avenue, not on ucsd-ped2"):
        write_report(other, benchmark=benchmark)
    benchmark.videos = benchmark.videos[:1]
    with pytest.raises(InputError, match="no video Test002"):
        write_report(read_result(results / "bright"), benchmark=benchmark)
