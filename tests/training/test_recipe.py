from pathlib import Path

import pytest

from lavida.errors import InputError
from lavida.training.recipe import load_recipe

RECIPE = """
data:
  root: somewhere
  sets:
    - {name: camvid, folder: camvid, weight: 0.5}
    - {name: davis, folder: davis2016, clips: true}
train:
  steps: 30
loss:
  text: 0.25
"""


@pytest.fixture
def recipe(tmp_path) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(path, overrides)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_the_file_changes_what_it_names_and_keeps_the_rest(recipe):
    loaded = load_recipe(recipe)
    assert loaded.train.steps == 30 and loaded.train.precision == "bf16"
    assert loaded.loss.text == 0.25 and loaded.loss.mask == 20.0
    assert [each.folder for each in loaded.data.sets] == ["camvid", "davis2016"]
    assert [each.clips for each in loaded.data.sets] == [False, True]
    assert loaded.model == {"preset": "nano"}


def test_overrides_win_over_the_file(recipe):
    loaded = load_recipe(recipe, ["train.steps=7", "data.size=[64,96]", "model.projector=mlp", "out=elsewhere"])
    assert loaded.train.steps == 7 and tuple(loaded.data.size) == (64, 96)
    assert loaded.model == {"preset": "nano", "projector": "mlp"} and loaded.out == "elsewhere"


def test_lora_is_off_unless_something_of_it_is_set(recipe):
    assert load_recipe(recipe).train.lora is None
    lora = load_recipe(recipe, ["train.lora.rank=4"]).train.lora
    assert (lora.rank, lora.alpha, lora.dropout, lora.targets) == (4, 16.0, 0.05, ["q_proj", "v_proj"])
    assert load_recipe(recipe, ["train.lora={rank: 2}", "train.freeze=[text]"]).train.freeze == ["text"]


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("train.stepz=3", "train.stepz"),  # unknown key
        ("trian.steps=3", "trian"),
        ("train.steps=many", "train.steps"),  # wrong type
        ("train.steps=2.5", "train.steps"),
        ("train.steps", "train.steps"),  # no value
        ("out=null", "out"),
        ("data.root=${nowhere}", "data.root"),
        ("data.sets.0.weight=2", "list"),
        ("data.size=[64", "YAML"),
        ("train.precision=no", "bf16, float32"),  # in YAML that is false
        ("train.precision=fp8", "bf16, float32"),
        ("train.steps=0", "train.steps"),
        ("train.batch_size=-4", "train.batch_size"),
        ("train.checkpoint_every=0", "train.checkpoint_every"),
        ("data.clip_length=0", "data.clip_length"),
        ("train.accumulate=0", "train.accumulate"),
        ("train.schedule=constant", "cosine, linear"),
        ("train.embeddings=half", "full, seg_row, null"),
        ("train.lora.rank=0", "train.lora.rank"),
        ("train.lora.ranks=4", "train.lora.ranks"),
        ("train.freeze=vision", "train.freeze"),
        ("train.evaluate_every=-1", "train.evaluate_every"),
    ],
)
def test_what_does_not_fit_is_named(recipe, override, named):
    assert named in refusal(recipe, override)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (RECIPE.replace("steps", "stepz"), "train.stepz"),
        (RECIPE.replace("root: somewhere", ""), "data.root"),
        (RECIPE.replace("weight: 0.5", "weight: heavy"), "weight"),
        (RECIPE.replace("steps: 30", "warmup: 3"), "train.steps"),
        ("data: [1, 2", "YAML"),
        ("- a list", "mapping"),
        ("", "data.root"),
    ],
)
def test_what_does_not_fit_in_the_file_is_named(recipe, content, named):
    recipe.write_text(content)
    assert named in refusal(recipe)


def test_a_file_that_is_no_text(recipe):
    recipe.write_bytes(b"\x80\x81\xff\x00")
    assert "not valid YAML" in refusal(recipe)


def test_no_such_file(tmp_path):
    assert "no such recipe" in refusal(tmp_path / "none.yaml")
    assert "no such recipe" in refusal(tmp_path)


def test_the_shipped_recipes_are_valid():
    configs = Path(__file__).resolve().parents[2] / "configs"
    recipes = [load_recipe(path, ["data.root=anywhere"]) for path in sorted(configs.glob("*.yaml"))]
    assert recipes and all(recipe.train.steps > 0 and recipe.data.sets for recipe in recipes)


@pytest.mark.parametrize("size", ["[240,320]", "[0,320]", "[256,-32]"])
def test_frames_that_no_backbone_takes_are_refused(recipe, size):
    assert "data.size" in refusal(recipe, f"data.size={size}")
