import io
import json

import pytest

from lavida.errors import InputError
from lavida.evaluation.benchmarks import BENCHMARKS
from lavida.evaluation.protocols import STANDARD
from lavida.evaluation.tables import print_comparison
from lavida.paper import PUBLISHED


def _result(**changes) -> dict:
    settings = {"scorer": "baseline", "official_videos": 12, "notes": []}
    result = {
        "benchmark": "ucsd-ped2", "protocol": "standard", "model": "motion-baseline", "videos": 12,
        "frames": 2010, "frame_auc_micro": 0.8765, "frame_auc_macro": 0.7, "frame_ap": 0.6,
        "pixel_auc": 0.91239, "pixel_ap": None, "rbdc": None, "tbdc": None, "settings": settings,
    }  # fmt: skip
    return result | changes


def _printed(result, **options) -> list[str]:
    stream = io.StringIO()
    print_comparison(result, file=stream, **options)
    return stream.getvalue().splitlines()


def _row(lines: list[str], method: str) -> list[str]:
    (line,) = (line for line in lines if line.strip().startswith(method))
    return line.split()


def test_result_stands_beside_the_papers_rows_in_percent():
    lines = _printed(_result())
    assert _row(lines, "AdaCLIP")[1:5] == ["finetune", "paper", "-", "53.06"]
    assert _row(lines, "LAVIDA (paper)")[2:6] == ["zero-shot", "paper", "-", "87.68"]
    assert _row(lines, "motion-baseline")[1:6] == ["none", "standard", "12/12", "91.24", "87.65"]


@pytest.mark.parametrize("benchmark", PUBLISHED)
def test_published_rows_are_in_the_metric_that_counts_and_name_their_training(benchmark):
    assert benchmark in BENCHMARKS
    regimes = {"unsupervised", "weakly-supervised", "few-shot", "zero-shot", "supervised", "finetune"}
    for row in PUBLISHED[benchmark]:
        assert list(row.metrics) == [STANDARD.on(benchmark).headline]
        assert row.training in regimes and "LAVIDA paper" in row.source


def test_a_metric_that_nobody_has_gets_no_column():
    assert "RBDC" not in "".join(_printed(_result()))
    assert "RBDC" in "".join(_printed(_result(rbdc=0.5)))


def test_part_of_a_benchmark_is_said_to_be_not_comparable():
    assert "not comparable" in " ".join(_printed(_result(videos=3)))
    assert "not comparable" not in " ".join(_printed(_result()))


def test_siblings_of_the_same_benchmark_are_shown(tmp_path):
    for name, benchmark in (("background-baseline", "ucsd-ped2"), ("elsewhere", "avenue")):
        (tmp_path / name).write_text(json.dumps(_result(model=name, benchmark=benchmark)))
    lines = _printed(_result(), siblings=[tmp_path / "background-baseline", tmp_path / "elsewhere"])
    assert _row(lines, "background-baseline")
    assert "elsewhere" not in "".join(lines)


def test_baselines_come_before_other_models_and_this_result_is_last(tmp_path):
    detector = {"scorer": "detector", "official_videos": 12, "notes": []}
    for name, settings in (("a-model", detector), ("motion", _result()["settings"])):
        (tmp_path / name).write_text(json.dumps(_result(model=name, settings=settings)))
    lines = _printed(_result(model="mine"), siblings=[tmp_path / "a-model", tmp_path / "motion"])
    places = [
        next(i for i, line in enumerate(lines) if line.strip().startswith(m))
        for m in ("TAO", "motion", "a-model", "mine")
    ]
    assert places == sorted(places)


def test_what_counts_is_marked_and_comes_first():
    settings = {**_result()["settings"], "headline": "frame_ap"}
    xd = _result(benchmark="xd-violence", protocol="standard", settings=settings)
    lines = _printed(xd)
    assert _row(lines, "motion-baseline")[3:6] == ["12/12", "60.00", "91.24"]
    assert any("AP*" in line for line in lines) and "what counts" in " ".join(lines)


def test_each_choice_of_the_protocol_is_printed():
    protocol = {"name": "standard", **STANDARD.on("ucsd-ped2").settings()}
    text = " ".join(_printed(_result(settings={**_result()["settings"], "protocol": protocol})))
    assert "Protocol standard:" in text and "pixel_size=158x238" in text and "smoothing=off" in text
    assert all(f"{key}=" in text for key in protocol if key != "name")


def test_a_long_name_of_a_custom_protocol_hides_no_number():
    lines = _printed(_result(protocol="custom (standard, smoothing=2, stride=4, pixel_size=native)"))
    assert "91.24" in "".join(lines) and "pixel_size=native)" in "".join(lines)


def test_a_sibling_that_is_no_result_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text("[]")
    with pytest.raises(InputError, match="not a result.*metrics.json"):
        _printed(_result(), siblings=[tmp_path / "metrics.json"])


def test_a_narrow_terminal_hides_no_number(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert _row(_printed(_result()), "motion-baseline")[4:6] == ["91.24", "87.65"]


def test_brackets_in_a_model_path_are_shown_as_they_are():
    assert _row(_printed(_result(model="runs/[bold]")), "runs/[bold]")


def test_a_handicapped_model_is_named_so():
    settings = {"scorer": "detector", "official_videos": 12, "notes": []}
    still = _result(model="nano", settings={**settings, "motion": False})
    assert any("nano, without motion" in line for line in _printed(still))
    words = _result(model="nano", settings={**settings, "categories": ["florp"], "own_categories": False})
    assert any("nano, asked for" in line for line in _printed(words))
    assert "without" not in " ".join(_printed(_result(model="nano", settings={**settings, "motion": True})))
