from pathlib import Path

import pytest

from lavida.cli import run
from lavida.errors import InputError
from lavida.training.recipe import DataRecipe, SamplerRecipe, load_recipe

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


def test_sets_can_be_left_out(recipe):
    data = load_recipe(recipe, ["data.leave_out=[camvid]"]).data
    assert [each.name for each in data.used] == ["davis"] and len(data.sets) == 2
    assert "unknown set in data.leave_out camvit: choose camvid, davis" in refusal(recipe, "data.leave_out=[camvit]")
    assert "data.leave_out leaves no set" in refusal(recipe, "data.leave_out=[camvid,davis]")


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
        ("train.learning_rate=-1", "train.learning_rate: -1"),
        ("train.learning_rate=.nan", "train.learning_rate: nan; choose a finite number"),
        ("train.weight_decay=-0.1", "train.weight_decay"),
        ("train.betas=[0.9,1.0]", "train.betas"),
        ("train.seed=-1", "train.seed"),
        ("train.seed=4294967296", "train.seed"),
        ("train.clip_norm=0", "train.clip_norm: 0.0; choose a number above 0"),
        ("train.lora.dropout=1", "train.lora.dropout"),
        ("data.zoom=[0,2]", "data.zoom"),
        ("data.zoom=[2,0.5]", "the smaller one first"),
        ("data.max_side=0", "data.max_side"),
        ("data.sets=[{name: camvid, folder: camvid, weight: 0}]", "data.sets.0.weight: 0.0; choose a number above 0"),
        ("qualifiers.learning_rate=.inf", "qualifiers.learning_rate"),
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
        ("3", "is no recipe"),
        ("", "data.root"),
    ],
)
def test_what_does_not_fit_in_the_file_is_named(recipe, content, named):
    recipe.write_text(content)
    assert named in refusal(recipe)


def test_a_file_that_is_no_text(recipe):
    recipe.write_bytes(b"\x80\x81\xff\x00")
    assert "not valid YAML" in refusal(recipe)


def test_no_such_file(tmp_path, monkeypatch):
    assert "no such recipe" in refusal(tmp_path / "none.yaml")
    assert "no such recipe" in refusal(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert refusal(tmp_path / "none.yaml").endswith("lavida's repository has configs/nano.yaml")


def test_the_shipped_recipes_are_valid():
    configs = Path(__file__).resolve().parents[2] / "configs"
    recipes = [load_recipe(path, ["data.root=anywhere"]) for path in sorted(configs.glob("*.yaml"))]
    assert recipes and all(recipe.train.steps > 0 and recipe.data.sets for recipe in recipes)


@pytest.mark.parametrize("size", ["[240,320]", "[0,320]", "[256,-32]"])
def test_frames_that_no_backbone_takes_are_refused(recipe, size):
    assert "data.size" in refusal(recipe, f"data.size={size}")


# --- earlier names

FORMER = """
sampler: {further: 0.2, ask_left: 0.25, labels: letter}
"""


def test_earlier_names_of_keys_and_values_work_and_are_told(recipe):
    recipe.write_text(RECIPE + FORMER)
    with pytest.warns(DeprecationWarning, match="is now called") as told:
        loaded = load_recipe(recipe, ["data.without=0.5", "sampler.ask_left=0.75"])
    assert loaded.data.drop_share == 0.5
    assert (loaded.sampler.negatives_only_share, loaded.sampler.ask_out_of_view) == (0.2, 0.75)
    assert loaded.sampler.labels == "literal"
    said = {str(each.message).split(" in a recipe is now called ")[0] for each in told}
    assert said == {"data.without", "sampler.further", "sampler.ask_left", "sampler.labels: letter"}


def test_the_command_line_says_which_names_are_earlier_ones(recipe, capsys):
    recipe.write_text(RECIPE + FORMER)
    assert run(["train", str(recipe), "data.without=0.5", f"data.root={recipe.parent}/nowhere"]) == 2
    *told, error = capsys.readouterr().err.splitlines()
    former = ["sampler.further", "sampler.ask_left", "sampler.labels: letter", "data.without"]
    assert [line.split(" in a recipe is now called ")[0] for line in told] == [f"lavida: {name}" for name in former]
    assert error.startswith("lavida: ") and "nowhere" in error


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_names_of_today_are_no_earlier_ones(recipe):
    loaded = load_recipe(recipe, ["data.drop_share=0.5", "sampler.labels=literal"])
    assert (loaded.data.drop_share, loaded.sampler.labels) == (0.5, "literal")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_wrong_under_an_earlier_name_is_named(recipe):
    assert "data.drop_share" in refusal(recipe, "data.without=2")
    recipe.write_text(RECIPE + FORMER)
    assert "sampler.negatives_only_share" in refusal(recipe, "sampler.further=lots")
    recipe.write_text(RECIPE + "sampler: {further: 0.2, negatives_only_share: 0.3}")
    assert "sampler.further is the earlier name of sampler.negatives_only_share" in refusal(recipe)


def test_sections_made_by_a_program_take_earlier_names_too():
    with pytest.warns(DeprecationWarning, match="without is now called drop_share"):
        assert DataRecipe(without=0.5).drop_share == 0.5
    with pytest.warns(DeprecationWarning, match="ask_left is now called ask_out_of_view"):
        assert SamplerRecipe(ask_left=0.5).ask_out_of_view == 0.5
    with pytest.raises(TypeError, match="ask_left is the earlier name of ask_out_of_view"):
        SamplerRecipe(ask_left=0.5, ask_out_of_view=0.2)
