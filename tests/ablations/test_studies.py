from dataclasses import fields
from pathlib import Path

import pytest

from lavida.ablations.studies import DEFAULT, STUDIES, changed, choose, setting, unique_rows
from lavida.config import LavidaConfig
from lavida.errors import InputError
from lavida.training.recipe import Recipe, load_recipe

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "ablation.yaml"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(CONFIG)


def labels(study: str, recipe: Recipe) -> list[str]:
    return [row.label for row in STUDIES[study].rows(recipe)]


def test_the_tables_have_the_rows_of_the_paper_and_the_default_at_its_place(recipe):
    assert labels("max-categories", recipe) == ["10", "12 (default)", "20", "30", "40"]
    assert labels("projector", recipe) == ["mlp", "q_former", "two_way (default)"]
    assert labels("queries", recipe) == ["16 (default)", "24", "32", "48", "64"]
    assert labels("compression", recipe) == ["1", "0.5 (default)", "0.2", "0.1", "0.05"]
    assert labels("components", recipe)[0] == "all parts"


def test_every_study_has_one_default_row_and_it_changes_nothing(recipe):
    for study in STUDIES.values():
        assert [dict(row.changes) for row in study.rows(recipe) if row.name == DEFAULT] == [{}]


def test_the_default_row_follows_the_recipe(recipe):
    other = changed(recipe, {"model.compression_ratio": 0.2, "sampler.max_categories": 25, "model.motion": False})
    assert labels("compression", other)[1:3] == ["0.5", "0.2 (default)"]
    assert labels("max-categories", other) == ["10", "20", "25 (default)", "30", "40"]
    assert "without motion" not in labels("components", other)  # it is the default then
    assert "without motion" in labels("components", recipe)


def test_every_change_is_a_setting_of_the_model_or_the_recipe(recipe):
    known = {field.name for field in fields(LavidaConfig)}
    for row in unique_rows(list(STUDIES.values()), recipe):
        for key, value in row.changes.items():
            if key.startswith("model."):
                assert key.removeprefix("model.") in known
            assert setting(changed(recipe, row.changes), key) == value != setting(recipe, key)


def test_a_change_leaves_the_recipe_and_its_other_settings_alone(recipe):
    other = changed(recipe, {"model.projector": "mlp", "sampler.max_categories": 40})
    assert other.model == {**recipe.model, "projector": "mlp"} and other.data == recipe.data
    assert setting(recipe, "model.projector") == "two_way" and setting(recipe, "sampler.max_categories") == 12


def test_what_all_studies_share_is_trained_once(recipe):
    rows = unique_rows(choose("all"), recipe)
    names = [row.name for row in rows]
    assert names[0] == DEFAULT and len(names) == len(set(names)) == 21
    assert [r.name for r in unique_rows(choose("all"), recipe, only=["queries-24", DEFAULT])] == [DEFAULT, "queries-24"]


def test_the_paper_s_numbers_belong_to_rows(recipe):
    for name in ("max-categories", "projector", "queries"):
        study = STUDIES[name]
        assert set(study.levels) == set(study.published.rows)
        assert {len(row) for row in study.published.rows.values()} == {len(study.published.columns)}


def test_unknown_names_say_which_there_are(recipe):
    with pytest.raises(InputError, match="unknown ablation: quries; choose one of max-categories, .*, all"):
        choose("quries")
    with pytest.raises(InputError, match="unknown row: mlp; choose from default, projector-mlp"):
        unique_rows(choose("projector"), recipe, only=["mlp"])
