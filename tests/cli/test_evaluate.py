"""`lavida eval` below the command line: protocols, baselines, workers, and one line for what does not fit."""

import json

import pytest

from lavida.cli import run
from lavida.cli.evaluate import evaluate
from lavida.errors import InputError


@pytest.fixture
def ped2(tmp_path):
    from evaluation.benchmark_trees import ped1

    return ped1(tmp_path / "data")


def _run(root, out, **changes) -> dict:
    options = {
        "model": "nano", "protocol": "standard", "baseline": "random", "videos": None, "anomalies": [], "motion": True,
        "device": "cpu",
    }  # fmt: skip
    evaluate("ucsd-ped1", root=root, out=out, **(options | changes))
    return json.loads((out / "metrics.json").read_text())


@pytest.mark.slow
def test_a_protocol_is_chosen_changed_and_printed_with_the_table(ped2, tmp_path, capsys):
    result = _run(ped2, tmp_path / "r" / "random", protocol="lavida-upstream", settings=["fill=linear", "stride=8"])
    assert result["protocol"] == "custom (lavida-upstream, fill=linear, stride=8)"
    assert result["settings"]["analysed_frames"] == 48  # of two videos of 200 frames, less their tails
    text = capsys.readouterr().out
    assert "random-baseline" in text and "fill=linear" in text
    _run(ped2, tmp_path / "r" / "again", videos="Test036")
    text = capsys.readouterr().out
    assert text.count("random-baseline") == 2  # the result beside it is found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "standart"}, "unknown protocol standart.*lavida-upstream"),
        ({"settings": ["smothing=2"]}, "--set smothing=2: no such choice"),
        ({"settings": ["smoothing=high"]}, "smoothing: high; choose a number above 0, at most 10000, or off"),
        ({"baseline": "chance"}, "unknown baseline chance.*random"),
        ({"anomalies": ["dog"]}, "-a: --baseline random knows no words"),
        ({"model": "x", "motion": False}, "--model, --no-motion: --baseline random .* leave them out"),
        ({"workers": 0}, "--workers 0"),
        ({"baseline": None, "model": "no/such/model"}, "no such model"),
    ],
)
def test_what_does_not_fit_is_one_line(ped2, tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as error:
        _run(ped2, tmp_path / "out", **changes)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize(
    "option",
    [
        {"protocol": "lavida-upstream"},
        {"settings": ["stride=2"]},
        {"workers": 2},
        {"ray": "local"},
        {"save_maps": True},
    ],
)
def test_the_exposure_test_refuses_what_concerns_videos(tmp_path, option):
    options = {
        "model": "nano", "protocol": "standard", "baseline": None, "videos": None, "anomalies": [], "motion": True,
        "device": "cpu",
    }  # fmt: skip
    with pytest.raises(InputError, match="leave (it|them) out"):
        evaluate("exposure", root=tmp_path, out=tmp_path, **options | option)


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "x"], ["--baseline", "random"], ["--set", "stride=2"], ["--report"], ["--root", "."],
        ["--videos", "a*"], ["-a", "dog"], ["--no-motion"], ["--save-maps", "--protocol", "lavida-upstream"],
        ["--device", "cuda"], ["--runtime", "onnx"], ["--workers", "2"], ["--ray", "local"],
    ],
)  # fmt: skip
def test_one_s_own_labels_have_none_of_the_options_of_benchmarks(tmp_path, capsys, options):
    assert run(["eval", "own", "--labels", str(tmp_path), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(each in line for each in options if each.startswith("-")) and line.endswith("out")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--benchmark-root", "."], "--benchmark-root"),
        (["--model", "x", "--protocol", "x", "--set", "x=1"], "--model, --protocol, --set"),
        (["--videos", "a*", "--device", "cpu"], "--videos, --device"),
        (["--benchmark", "ucsd-ped2", "--root", "."], "--root"),
        (["--benchmark", "ucsd-ped2", "train.steps=3", "--recipe", "x.yaml"], "train.steps=3, --recipe"),
        (
            ["--benchmark", "ucsd-ped2", "--rows", "a", "--seeds", "7", "--row-seeds", "7"],
            "--rows, --seeds, --row-seeds",
        ),
        (["--benchmark", "ucsd-ped2", "--pictures", "3", "--ped2", "."], "--ped2, --pictures"),
    ],
)
def test_an_ablation_refuses_what_the_other_kind_takes(tmp_path, capsys, arguments, named):
    assert run(["ablate", "components", "--out", str(tmp_path / "out"), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lavida: {named}: ") and "leave" in line


def test_a_page_without_pictures_asks_no_model(ped2, tmp_path, capsys):
    _run(ped2, tmp_path / "out", settings=["stride=50"])
    capsys.readouterr()
    assert run(["report", str(tmp_path / "out"), "--model", "x"]) == 2
    assert capsys.readouterr().err.startswith("lavida: --model: without --root")


@pytest.mark.slow
def test_a_model_is_measured(ped2, tmp_path, tiny_model_dir):
    result = _run(
        ped2, tmp_path / "out", baseline=None, model=str(tiny_model_dir), settings=["stride=50"], videos="*36"
    )
    assert result["model"] == str(tiny_model_dir) and result["settings"]["scorer"] == "detector"
    assert 0 < result["pixel_auc"] < 1


@pytest.mark.slow
def test_what_lies_beside_the_result_and_is_none_is_passed_over(ped2, tmp_path, capsys):
    for name, text in (("broken", "{"), ("foreign", '{"benchmark": "ucsd-ped1", "accuracy": 1}')):
        (tmp_path / "r" / name).mkdir(parents=True)
        (tmp_path / "r" / name / "metrics.json").write_text(text)
    _run(ped2, tmp_path / "r" / "random", settings=["stride=50"])
    assert "random" in capsys.readouterr().out
