import json
from pathlib import Path

import pytest
from PIL import Image

from lavida.paper.ablations.report import draw, markdown
from lavida.paper.ablations.series import Measured, summary
from lavida.paper.ablations.studies import STUDIES, Row
from lavida.training.recipe import Recipe, load_recipe

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "ablation.yaml"
COST = {"visual_tokens": 180, "sequence": 100, "cache_bytes": 2000, "attention_macs": 3e6, "semantics_ms": 4.0}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(CONFIG)


def result(seed: int, auc: float, **more) -> dict:
    metrics = {"auc.camvid": auc - 0.1, "auc": auc, "mask_iou": 0.3, "category_accuracy": None, **more}
    return {"seed": seed, "pictures": 100, "sets": {"camvid": {"prompts": 7}}, "metrics": metrics}


def measured(recipe: Recipe, study: str, results: dict[str, list[dict]]) -> list[Measured]:
    return [Measured(row, results.get(row.name, [])) for row in STUDIES[study].rows(recipe)]


def content(recipe: Recipe, study: str, results: dict[str, list[dict]], costs: list[dict] | None = None) -> dict:
    return summary(STUDIES[study], measured(recipe, study, results), recipe=recipe, costs=costs)


def cells(text: str, label: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


DEFAULT = [result(0, 0.80), result(1, 0.82)]


def test_a_row_stands_beside_the_default_and_the_paper(recipe):
    text = markdown(content(recipe, "projector", {"default": DEFAULT, "projector-mlp": [result(0, 0.7)]}))
    head, mlp, own = (cells(text, label) for label in ("`model.projector`", "mlp", "two_way (default)"))
    assert head[2:6] == ["camvid AUC", "mean AUC", "less the default", "mask IoU"]
    assert mlp[1:6] == ["1", "0.600", "0.700", "-0.110", "0.300"]
    assert own[1:6] == ["2", "0.710 ± 0.014", "0.810 ± 0.014", "-", "0.300 ± 0.000"]
    assert mlp[-4:] == ["81.99", "79.90", "86.09", "77.09"] and head[-1] == "paper: Ped2 pixel AUC (%)"
    assert mlp[6] == "-"  # no category accuracy without alignment


def test_the_noise_is_known_from_two_seeds_on(recipe):
    noise = content(recipe, "queries", {"default": DEFAULT})["noise"]
    assert noise["seeds"] == [0, 1] and noise["std"] == pytest.approx(0.01414, abs=1e-5)
    assert content(recipe, "queries", {"default": DEFAULT[:1]})["noise"] is None


def test_rows_that_were_not_run_are_listed(recipe):
    listed = content(recipe, "projector", {"default": DEFAULT, "projector-mlp": [result(0, 0.7)]})
    assert listed["not_run"] == ["projector-q_former"]


def test_a_difference_within_the_noise_is_marked(recipe):
    # standard error of one run against the mean of two: 0.0141 * sqrt(1.5) = 0.0173
    rows = {"default": DEFAULT, "queries-24": [result(0, 0.843)], "queries-32": [result(0, 0.846)]}
    said = content(recipe, "queries", rows)
    assert [row["versus_default"] and row["versus_default"]["clear"] for row in said["rows"]] == [None, False, True]
    assert said["rows"][1]["versus_default"]["standard_error"] == pytest.approx(0.01732, abs=1e-5)
    assert cells(markdown(said), "24")[4] == "+0.033 ~" and cells(markdown(said), "32")[4] == "+0.036"
    alone = content(recipe, "queries", {"queries-24": [result(0, 0.843)]})
    assert alone["rows"][0]["versus_default"] is None  # nothing to compare with yet


def test_ped2_has_columns_only_where_it_was_measured(recipe):
    assert "Ped2" not in markdown(content(recipe, "queries", {"default": DEFAULT}))
    ped2 = {"ped2.pixel_auc": 0.9, "ped2.frame_auc": 0.6}
    text = markdown(content(recipe, "queries", {"default": [result(0, 0.8, **ped2)], "queries-24": [result(0, 0.8)]}))
    assert cells(text, "16 (default)")[7:9] == ["0.900", "0.600"] and cells(text, "24")[7:9] == ["-", "-"]


def test_what_compression_saves_is_a_table_of_its_own(recipe):
    costs = [{"ratio": 1.0, "kept_tokens": 180, **COST}, {"ratio": 0.5, "kept_tokens": 90, **COST}]
    text = markdown(content(recipe, "compression", {"default": DEFAULT}, costs))
    assert cells(text, "0.5") == ["0.5", "90", "100", "2.0", "3.00", "4.0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "costs"),
    [("components", None), ("compression", [{"ratio": r, "kept_tokens": 90, **COST} for r in (1.0, 0.5)])],
)
def test_the_summary_is_json_and_can_be_drawn(recipe, tmp_path, study, costs):
    rows = {"default": DEFAULT, "no-alignment": [result(0, 0.7)], "compression-0.1": [result(0, 0.7)]}
    said = json.loads(json.dumps(content(recipe, study, rows, costs), allow_nan=False))
    draw(said, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.format == "PNG" and picture.width > (1500 if costs else 1000)


def test_values_skip_what_a_run_did_not_measure():
    one = Measured(Row("a", "a"), [result(0, 0.8), result(1, 0.9, mask_iou=None)])
    assert one.values("mask_iou") == [0.3] and one.values("auc") == [0.8, 0.9]
