"""The script that computes the numbers of an evaluation again with scikit-learn alone."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lavida.evaluation import PROTOCOLS, evaluate, open_benchmark
from lavida.evaluation.scorers import BASELINES

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "check_metrics.py"
CHANGES = {
    "standard": ["pixel_size=60x80"],
    "lavida-upstream": ["short_videos=kept", "tails=kept", "stride=3", "pixel_size=native"],
    "trapezoid": [
        "average_precision=trapezoid",
        "macro_padding=none",
        "smoothing=1.5",
        "normalisation=min-max",
        "pixel_size=native",
    ],
}


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Run the script on some folders: its exit code and what it prints."""

    def checked(*folders: Path) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, folders)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, capsys.readouterr().out

    return checked


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[Path]:
    from evaluation.benchmark_trees import ubnormal

    root = tmp_path_factory.mktemp("results")
    benchmark = open_benchmark("ubnormal", ubnormal(root / "data"))
    for name, changes in CHANGES.items():
        protocol = PROTOCOLS.get(name, PROTOCOLS["standard"]).on(benchmark.name).changed(changes)
        for baseline in ("background", "random"):
            out = root / "out" / f"{name}-{baseline}"
            evaluate(benchmark, baseline=BASELINES[baseline](), protocol=protocol, out=out, save_maps=True)
    return sorted((root / "out").iterdir())


def test_frame_and_pixel_metrics_agree_with_scikit_learn(results, run):
    code, printed = run(*results)
    assert code == 0, printed
    assert len(printed.splitlines()) == 5 * len(results)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_frames_of_which_the_model_is_sure_agree(tmp_path, scale, run):
    from evaluation.toy_benchmark import Guesser, Toy

    random = np.random.default_rng(0)
    toy = Toy({"v": random.integers(2, size=200).tolist()}, has_pixel_labels=False)
    guesser = Guesser({"v": random.uniform(10, 30, size=200).tolist()})
    protocol = PROTOCOLS["standard"].changed([f"scale={scale}", "stride=3"])
    evaluate(toy, detector=guesser, protocol=protocol, out=tmp_path)
    code, printed = run(tmp_path)
    assert code == 0 and len(printed.splitlines()) == 3, printed


def test_a_number_that_differs_is_found(results, tmp_path, run):
    metrics = json.loads((results[0] / "metrics.json").read_text())
    metrics["frame_ap"] += 1e-5
    copy = tmp_path / "out"
    copy.mkdir()
    (copy / "metrics.json").write_text(json.dumps(metrics))
    (copy / "scores").symlink_to(results[0] / "scores")
    code, printed = run(copy)
    assert code == 1 and "frame_ap" in printed and printed.count("DIFFERS") == 1
