"""Folders of finished runs: which recipe may go on with them."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lavida.errors import InputError
from lavida.paper.ablations.runs import Run, Runs
from lavida.paper.ablations.studies import Row, completed
from lavida.training.recipe import Recipe, load_recipe

NANO = Path(__file__).resolve().parents[3] / "configs" / "nano.yaml"
RUN = Run(Row("default", "default"), 0)


@pytest.fixture
def recipe() -> Recipe:
    """Names nothing of the model but its preset."""
    return load_recipe(NANO, ["data.root=."])


def runs_of(recipe: Recipe, out: Path) -> Runs:
    return Runs(recipe, out=out, root=out, pictures=3, ped2=None)


def finished(out: Path, recipe: Recipe) -> None:
    """A run as it is left: its recipe as it was given, the model, the result."""
    folder = runs_of(recipe, out).folder(RUN)
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "result.json").write_text('{"pictures": 3, "metrics": {"auc": 0.5}}')
    OmegaConf.save(OmegaConf.create(json.loads(json.dumps(asdict(recipe)))), folder / "recipe.yaml")


@pytest.mark.slow
def test_a_run_whose_recipe_left_settings_to_the_preset_stays_valid(recipe, tmp_path):
    finished(tmp_path, recipe)
    assert runs_of(completed(recipe), tmp_path).result(RUN)["metrics"] == {"auc": 0.5}


@pytest.mark.slow
def test_a_run_with_another_effective_setting_is_refused(recipe, tmp_path):
    finished(tmp_path, replace(recipe, model={"preset": "small"}))
    with pytest.raises(InputError, match="holds a run with model.classifier_evidence False, not True"):
        runs_of(completed(recipe), tmp_path).result(RUN)


@pytest.mark.parametrize("row", [RUN.row, Row("no-clean-masks", "", changes={"model.clean_masks": False})])
def test_all_is_measured_anew_once_the_row_has_other_weights(recipe, tmp_path, monkeypatch, row):
    trained = 0

    def learn(recipe: Recipe) -> None:
        model = Path(recipe.out) / "model"
        model.mkdir(parents=True)
        (model / "config.json").write_text(f"training {trained}")

    def measure(benchmark, *, detector, out: Path, progress) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps({"pixel_auc": trained, "frame_auc_micro": trained}))

    for name, stand_in in {
        "load": lambda *_, **__: None,
        "changed_detector": lambda *_: nullcontext(),
        "held_out_sets": lambda *_, **__: {"toys": {"auc": trained}},
        "open_benchmark": lambda *_: None,
        "evaluate": measure,
    }.items():
        monkeypatch.setattr(f"lavida.paper.ablations.runs.{name}", stand_in)
    monkeypatch.setattr(Runs, "_check", lambda *_: None)
    runs = Runs(recipe, out=tmp_path, root=tmp_path, pictures=3, ped2=tmp_path, learn=learn)
    run = Run(row, 0)
    for trained in (1, 2):
        runs.finish(run)
        metrics = runs.result(run)["metrics"]
        assert metrics["auc"] == metrics["ped2.pixel_auc"] == trained
        runs.finish(run)  # nothing is left to do
        model = runs.folder(replace(run, row=row.trained_as)) / "model"
        shutil.rmtree(model)
    assert (runs.result(run) is None) == (row is not RUN.row)  # its own weights may go once they were measured
