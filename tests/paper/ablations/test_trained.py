"""Ablations of a trained model on a benchmark, with a tiny random model: what is varied, what is kept, what is said."""

import json
from pathlib import Path

import pytest
import torch
from bright_scenes import bright_ped2
from PIL import Image
from tiny import tiny_lavida

from lavida.cli.ablate import ablate_trained as command
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation import STANDARD, open_benchmark
from lavida.paper.ablations.trained import ablate_trained, changed_detector, trained_rows

SPARSE = STANDARD.changed(["stride=6"])
SWITCHES = {"model.compression_ratio", "model.keep_positions", "model.use_f_sem", "model.use_f_a", "model.motion"}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.of(tiny_lavida(motion=True, tokens_per_pair=24), name="tiny", device=torch.device("cpu"))


@pytest.fixture(scope="module")
def benchmark(made_once):
    return open_benchmark("ucsd-ped2", made_once("bright-ped2", bright_ped2) / "UCSDped2")


@pytest.fixture(scope="module")
def compression(detector, benchmark, made_once) -> Path:
    given = {"benchmark": benchmark, "detector": detector, "protocol": SPARSE}
    return made_once("compression", lambda out: ablate_trained("compression", out=out, **given)) / "compression.md"


def settings(detector: Detector) -> dict:
    semantics, config = detector.model.semantics, detector.model.config
    return {
        "model.compression_ratio": semantics.ratio,
        "model.keep_positions": semantics.keep_positions,
        "model.use_f_sem": config.use_f_sem,
        "model.use_f_a": config.use_f_a,
        "model.motion": detector.motion,
    }


def said(table: Path) -> dict:
    return json.loads(table.with_suffix(".json").read_text())


def test_only_what_needs_no_training_is_varied(detector):
    assert [row.level for row in trained_rows("compression", detector)] == [1.0, 0.5, 0.2, 0.1, 0.05]
    rows = trained_rows("components", detector)
    assert [row.name for row in rows] == ["default", "no-f_sem", "no-f_a", "no-positions", "no-motion"]
    assert {key for row in rows for key in row.changes} <= SWITCHES
    with pytest.raises(InputError, match="queries needs training; on a benchmark choose compression or components"):
        trained_rows("queries", detector)


def test_what_the_model_lacks_is_no_row(detector):
    with changed_detector(detector, {"model.motion": False, "model.compression_ratio": 0.3}):
        assert "no-motion" not in [row.name for row in trained_rows("components", detector)]
        levels = [row.level for row in trained_rows("compression", detector)]
        names = [row.name for row in trained_rows("compression", detector)]
    assert levels == [1.0, 0.5, 0.3, 0.2, 0.1, 0.05] and names[2] == "default"


def test_a_change_reaches_the_model_and_goes_away(detector):
    before = settings(detector)
    frames = torch.randint(0, 256, (1, 2, 3, 64, 96), dtype=torch.uint8)

    @torch.inference_mode()
    def answer() -> torch.Tensor:
        return detector.model(frames, [["dog"]]).frame_logits

    as_it_is = answer()
    for key, value in {"model.use_f_sem": False, "model.use_f_a": False, "model.compression_ratio": 0.1}.items():
        with changed_detector(detector, {key: value}):
            assert settings(detector) == before | {key: value}
            assert not torch.equal(answer(), as_it_is), key
    with pytest.raises(RuntimeError), changed_detector(detector, {"model.motion": False}):
        raise RuntimeError
    assert settings(detector) == before and torch.equal(answer(), as_it_is)


@pytest.mark.slow
def test_compression_shows_accuracy_and_what_it_costs(compression):
    content = said(compression)
    assert [row["level"] for row in content["rows"]] == [1.0, 0.5, 0.2, 0.1, 0.05] and content["not_run"] == []
    kept = [cost["kept_tokens"] for cost in content["costs"]]
    assert kept == sorted(kept, reverse=True) and kept[0] == content["costs"][0]["visual_tokens"] > kept[-1]
    for row in content["rows"]:
        own = json.loads((compression.parent / row["row"] / "metrics.json").read_text())
        assert row["metrics"]["pixel_auc"] == own["pixel_auc"] and row["metrics"]["frame_ap"] == own["frame_ap"]
    assert len({row["metrics"]["pixel_auc"] for row in content["rows"]}) > 1
    text = compression.read_text(encoding="utf-8")
    assert "| 0.5 (default) | " in text and f"kept of {kept[0]} visual tokens" in text
    assert "54.1 %" in text and "Protocol custom (standard, stride=6)" in text and "2 of 12 official videos" in text
    with Image.open(compression.with_suffix(".png")) as picture:
        assert picture.format == "PNG" and picture.width > 1000


@pytest.mark.slow
def test_finished_rows_are_kept_and_the_rest_is_measured(detector, benchmark, tmp_path, caplog):
    def stop_in_the_third_row(*told):
        if (tmp_path / "no-f_sem" / "metrics.json").exists():
            raise KeyboardInterrupt

    options = {"benchmark": benchmark, "detector": detector, "out": tmp_path, "protocol": SPARSE, "videos": "Test001"}
    with pytest.raises(KeyboardInterrupt):
        ablate_trained("components", **options, progress=stop_in_the_third_row)
    assert "Not run: without f_a, without positions, without motion." in (tmp_path / "components.md").read_text()
    with caplog.at_level("INFO", logger="lavida"):
        content = said(ablate_trained("components", **options))
    rows = ["without f_a", "without positions", "without motion"]
    logged = [record.getMessage() for record in caplog.records if record.getMessage().startswith("row")]
    assert logged == [f"row {number} of 3: {row}" for number, row in enumerate(rows, start=1)]
    assert len(content["rows"]) == 5
    assert content["costs"] is None and detector.motion


@pytest.mark.slow
def test_rows_of_another_question_are_refused(detector, benchmark, compression):
    options = {"benchmark": benchmark, "detector": detector, "out": compression.parent}
    with pytest.raises(
        InputError, match="compression.json is of another ablation: other protocol; choose another --out"
    ):
        ablate_trained("compression", **options)
    other = Detector.of(tiny_lavida(seed=1, motion=True), name="tiny", device=torch.device("cpu"))
    with pytest.raises(InputError, match="other weights"):
        ablate_trained("compression", **options | {"detector": other}, protocol=SPARSE)


@pytest.mark.slow
def test_rows_that_were_measured_on_other_labels_are_refused(detector, tmp_path):
    root = bright_ped2(tmp_path)
    mask = next(root.rglob("*_gt/*.bmp"))
    options = {"detector": detector, "out": tmp_path / "out", "protocol": SPARSE, "videos": "Test001"}
    ablate_trained("components", benchmark=open_benchmark("ucsd-ped2", root), **options)
    Image.new("L", Image.open(mask).size).save(mask)
    with pytest.raises(InputError, match="other files; choose another --out"):
        ablate_trained("components", benchmark=open_benchmark("ucsd-ped2", root), **options)


@pytest.mark.slow
def test_the_command_prints_the_table(detector, benchmark, compression, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lavida.loading.load", lambda name, **_: detector)
    root = benchmark.videos[0].source.parents[1]
    given = {"benchmark": "ucsd-ped2", "root": root, "model": "tiny", "videos": None, "device": "cpu"}
    command("compression", **given, out=compression.parent, protocol="standard", settings=["stride=6"])
    printed = capsys.readouterr()
    assert printed.out.startswith("# Share of the visual tokens") and str(compression) in printed.out
    with pytest.raises(InputError, match="unknown protocol strict"):
        command("compression", **given, out=tmp_path, protocol="strict", settings=[])
