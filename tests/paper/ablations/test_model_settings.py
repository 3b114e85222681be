"""What a model has in the fields that its recipe leaves out, known without building it."""

import json
from dataclasses import fields

import pytest

from lavida.checkpoints import presets
from lavida.checkpoints.presets import NANO
from lavida.errors import InputError
from lavida.model.config import LavidaConfig
from lavida.paper.ablations.studies import STUDIES, VARIED, changed, completed
from lavida.training.recipe import Recipe
from lavida.training.start import check_model, model_settings

# said by the parts' own files, and what a model remembers of itself
NOT_ASKED = {"mllm_config", "sam2_config", "text_config", "text_pooling", "frame_side", "image_mean", "image_std"}
NOT_ASKED |= {"frozen_parts"}


class Asked(Exception):
    """Carries the configuration with which a model would have been built."""


def built_with(config, *parts):
    raise Asked(config)


def test_nanos_settings_are_those_it_is_built_with(monkeypatch):
    monkeypatch.setattr(presets, "LavidaModel", built_with)
    with pytest.raises(Asked) as caught:
        presets.build_nano(["car"])
    config, plain = caught.value.args[0], LavidaConfig()
    names = [field.name for field in fields(LavidaConfig) if field.name not in NOT_ASKED]
    differs = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(plain, name)}
    assert differs == NANO
    assert set(VARIED) <= set(names)
    assert model_settings({"preset": "nano"}, names) == {name: getattr(config, name) for name in names}


@pytest.mark.parametrize("preset", ["nano", "small", "paper"])
def test_what_the_recipe_says_comes_before_its_preset(preset):
    said = {"projector": "mlp", "projector_queries": 24, "alignment": True, "residual_evidence": False}
    assert model_settings({"preset": preset, **said}, said) == said
    assert model_settings({"preset": preset}, ["alignment"]) == {"alignment": preset != "paper"}


def test_other_sources_of_a_preset_need_not_be_there():
    model = {"preset": "small", "mllm": "nowhere/at-all", "text": "neither"}
    assert model_settings(model, ["residual_evidence", "motion"]) == {
        "residual_evidence": True,
        "motion": False,
    }


def test_nanos_backbone_is_not_a_field():
    recipe = Recipe(model={"preset": "nano", "backbone": "efficientnet-lite0"})
    assert model_settings(recipe.model, ["projector_queries"]) == {"projector_queries": 16}


def test_a_saved_model_has_what_its_configuration_says(tmp_path):
    said = {"projector": "q_former", "compression_ratio": 0.2, "alignment": True, "residual_evidence": True}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "lavida", **said}))  # motion came later
    recipe = completed(Recipe(model={"preset": "nano", "start": str(tmp_path)}))
    assert {name: recipe.model[name] for name in said} == said
    assert recipe.model["motion"] is False and recipe.model["use_f_a"] is True
    check_model(recipe.model)  # what the model is already may be said again
    levels = [row.level for row in STUDIES["compression"].rows(recipe) if row.name == "default"]
    assert levels == [0.2]
    for other in ({"model.projector": "mlp"}, {"model.motion": True}, {"model.use_f_a": False}):
        with pytest.raises(InputError, match="model.start takes a model as it is"):
            check_model(changed(recipe, other).model)


def test_a_damaged_configuration_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="damaged model .* cannot be read"):
        model_settings({"start": str(tmp_path)}, ["motion"])
