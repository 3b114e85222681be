from dataclasses import fields
from pathlib import Path

import pytest

from lavida.errors import InputError
from lavida.model.config import LavidaConfig
from lavida.paper.ablations import ablate
from lavida.paper.ablations.studies import (
    DEFAULT,
    STUDIES,
    VARIED,
    Study,
    changed,
    choose,
    completed,
    setting,
    unique_rows,
)
from lavida.training import start
from lavida.training.recipe import Recipe, load_recipe

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
CONFIG = CONFIGS / "ablation.yaml"
FIRST = ("camvid", "idd_lite", "coco128", "humans", "davis")
PARTS = {  # of the model that `components` takes out, by the switch that says whether it is there
    "f_sem": "use_f_sem",
    "f_a": "use_f_a",
    "positions": "keep_positions",
    "motion": "motion",
    "alignment": "alignment",
    "classifier": "classifier_evidence",
}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(CONFIG)


@pytest.fixture(params=["ablation", "nano", "small", "paper"])
def shipped(request) -> Recipe:
    """Each recipe, as `lavida ablate` sees it."""
    return completed(load_recipe(CONFIGS / f"{request.param}.yaml", ["data.root=."]))


def effective(recipe: Recipe) -> tuple:
    """All that studies vary, as a model of this recipe has it."""
    others = sorted({key for study in STUDIES.values() for key in study.keys if not key.startswith("model.")})
    return (*start.model_settings(recipe.model, VARIED).items(), *(str(setting(recipe, key)) for key in others))


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


def test_the_ingredients_of_the_embedded_model_are_a_study_of_their_own():
    [study] = choose("ingredients")
    assert study not in choose("all")
    recipe = load_recipe(CONFIGS / study.recipe.name, ["data.root=."])
    rows = {row.name: row for row in study.rows(completed(recipe))}
    assert list(rows) == [DEFAULT, "no-qualifiers", "no-crowds", "no-later-sets", "no-clean-masks"]
    for name in ("no-qualifiers", "no-crowds", "no-later-sets", DEFAULT):
        assert rows[name].trained_as == rows[name]  # weights of its own
    assert rows["no-clean-masks"].trained_as.name == DEFAULT
    without = changed(recipe, rows["no-later-sets"].changes).data
    assert {each.name for each in without.used} == set(FIRST)
    assert without.burning == 0 and len(without.sets) == 21


def test_later_sets_are_left_out_beside_those_that_a_recipe_leaves_out():
    [study] = choose("ingredients")
    recipe = load_recipe(CONFIGS / study.recipe.name, ["data.root=.", "data.leave_out=[davis,ppe]"])
    without = {row.name: row for row in study.rows(completed(recipe))}["no-later-sets"]
    assert {each.name for each in changed(recipe, without.changes).data.used} == set(FIRST) - {"davis"}
    alone = load_recipe(CONFIGS / study.recipe.name, ["data.root=.", "data.burning=0", f"data.leave_out={[*FIRST]}"])
    assert "no-later-sets" not in [row.name for row in study.rows(completed(alone))]  # nothing would be left


def test_the_ingredients_have_the_embedded_models_sets():
    study, nano = load_recipe(CONFIGS / "ingredients.yaml"), load_recipe(CONFIGS / "nano.yaml")
    assert study.data.sets == nano.data.sets and study.data.removed == nano.data.removed
    for name in ("moving", "zoom", "drop_share", "clip_length", "clip_share", "max_side"):
        assert getattr(study.data, name) == getattr(nano.data, name)


def test_the_paper_s_numbers_belong_to_rows(recipe):
    for name in ("max-categories", "projector", "queries"):
        study = STUDIES[name]
        assert set(study.levels) == set(study.published.rows)
        assert {len(row) for row in study.published.rows.values()} == {len(study.published.columns)}


def test_unknown_names_say_which_there_are(recipe):
    with pytest.raises(InputError, match="unknown ablation quries: choose max-categories, .*, all"):
        choose("quries")
    with pytest.raises(InputError, match="unknown row mlp: choose default, projector-mlp"):
        unique_rows(choose("projector"), recipe, only=["mlp"])


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())
def test_whatever_the_recipe_one_row_is_the_default_and_no_two_are_the_same(shipped, study: Study):
    rows = study.rows(shipped)
    [default] = [row for row in rows if row.name == DEFAULT]
    if study.key.startswith("model."):
        name = study.key.removeprefix("model.")
        assert default.level is not None
        assert default.level == start.model_settings(shipped.model, [name])[name]
        assert {row.level for row in rows} == {default.level, *study.levels}
    elif study.key:
        assert default.level == shipped.sampler.max_categories
    settings = [effective(changed(shipped, row.changes)) for row in rows]
    assert settings[rows.index(default)] == effective(shipped)
    assert len(set(settings)) == len(rows) > 1


def test_only_parts_that_are_on_are_taken_out(shipped):
    has = start.model_settings(shipped.model, PARTS.values())
    there = {f"no-{part}" for part, switch in PARTS.items() if has[switch]}
    assert {row.name for row in STUDIES["components"].rows(shipped)} == {DEFAULT, *there}


@pytest.mark.slow
def test_the_parts_of_the_presets():
    def parts(config: str) -> list[str]:
        base = completed(load_recipe(CONFIGS / f"{config}.yaml", ["data.root=."]))
        return [row.name.removeprefix("no-") for row in STUDIES["components"].rows(base)][1:]

    assert parts("nano") == list(PARTS)
    assert parts("small") == ["f_sem", "f_a", "positions", "alignment"]
    assert parts("paper") == ["f_sem", "f_a", "positions"]


def test_the_presets_own_levels_stand_beside_the_papers_numbers():
    base = completed(load_recipe(CONFIGS / "paper.yaml", ["data.root=."]))
    for name in ("max-categories", "projector", "queries"):
        study = STUDIES[name]
        [default] = [row for row in study.rows(base) if row.name == DEFAULT]
        assert default.level in study.published.rows and len(study.rows(base)) == len(study.levels)


def test_a_completed_recipe_keeps_what_it_says(recipe):
    """Else finished runs of configs/ablation.yaml would be refused as those of another recipe."""
    assert completed(recipe) is recipe and recipe.model.keys() == {"preset", *VARIED}
    other = completed(Recipe(model={"preset": "nano", "motion": False, "projector_queries": 20}))
    assert other.model["motion"] is False and other.model["projector_queries"] == 20
    assert list(other.model)[:3] == ["preset", "motion", "projector_queries"]


def test_settings_that_do_not_fit_are_refused_before_there_are_rows():
    for model, said in (
        ({"preset": "huge"}, "unknown model.preset 'huge'"),
        ({"preset": "nano", "projektor": "mlp"}, "unknown key model.projektor"),
        ({"preset": "paper", "motion": None}, "motion"),
        ({"preset": "nano", "alignment": False}, "classifier_evidence needs alignment"),
        ({"start": "nowhere"}, "no such model: nowhere"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            completed(Recipe(model=model))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "recipe"), [("components", "ablation"), ("ingredients", "ingredients")])
def test_outside_the_repository_the_recipe_is_to_be_given(tmp_path, monkeypatch, name, recipe):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"no configs.{recipe}\.yaml in this folder: .*repository.* or give --recipe"):
        ablate(name, root=tmp_path, out=tmp_path / "out")
