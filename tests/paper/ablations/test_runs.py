"""Folders of finished runs: which recipe may go on with them."""

import json
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
