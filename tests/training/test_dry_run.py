from pathlib import Path

import pytest
import toy_run
from data_trees import write_paper_tree
from toy_run import toy_recipe

from lavida.cli import run
from lavida.errors import InputError
from lavida.training import dry_run as module
from lavida.training.dry_run import dry_run, memory_needs, mixture_rows, model_parts
from lavida.training.recipe import SetRecipe, load_recipe

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PUBLISHED = {  # share of the mixture
    "youtube_vos": 0.05,
    "ref_youtube_vos": 0.2,
    "mevis": 0.25,
    "ref_davis": 0.2,
    "cityscapes": 0.05,
    **dict.fromkeys(("refclef", "refcoco", "refcoco_plus", "refcocog"), 0.025),
    "ade20k": 0.1,
    "mapillary": 0.05,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_paper_tree(root)
    return root


@pytest.fixture(scope="module")
def paper(tree):
    return dry_run(load_recipe(CONFIGS / "paper.yaml", [f"data.root={tree}"]))


@pytest.mark.slow
def test_the_published_mixture(paper):
    assert {row.name: row.share for row in paper.mixture} == pytest.approx(PUBLISHED)
    assert {row.name for row in paper.mixture if row.clips} == {"youtube_vos", "ref_youtube_vos", "mevis", "ref_davis"}


def test_what_is_found_stands_beside_what_there_should_be(paper):
    found = {row.name: (row.samples, row.found) for row in paper.mixture}
    assert found["mevis"] == (3, "1 of 1,662 videos") and found["ade20k"] == (1, "1 of 20,210 images")
    paper.check()


def test_the_parts_of_the_paper_and_what_is_trained_of_them(paper):
    parts = {part.name: part for part in paper.parts}
    adapters = 28 * (8 * (3584 + 3584) + 8 * (3584 + 512))  # rank 8 on q_proj and v_proj of every layer
    vocabulary = 2 * 152_064 * 3584  # embed_tokens and lm_head
    mllm = parts["MLLM: language model"], parts["MLLM: vision tower"]
    assert sum(part.parameters for part in mllm) == 8_291_375_616 + adapters
    assert mllm[0].trained == adapters + vocabulary
    for name in ("MLLM: vision tower", "vision encoder", "text encoder"):
        assert parts[name].trained == 0 and parts[name].parameters > 0
    for name in ("mask decoder", "prompt encoder", "projector", "frame semantics"):
        assert parts[name].trained == parts[name].parameters > 0
    assert "alignment" not in parts and "other" not in parts


def test_memory_by_precision(paper):
    half = 2 * (8_291_375_616 - 2 * 152_064 * 3584)  # what is frozen of the MLLM, in bf16
    plain = paper.needs["one GPU, or each of DDP"]
    trained = sum(part.trained for part in paper.parts)
    assert plain.gradients == 4 * trained and plain.optimiser == 8 * trained
    assert half + 4 * trained < plain.weights < half + 4 * trained + 4e8  # and the encoders
    assert plain.total == plain.weights + plain.gradients + plain.optimiser
    assert all(need.total < plain.total for name, need in paper.needs.items() if name != "one GPU, or each of DDP")


def test_parts_are_counted_once_and_all_of_them():
    model = toy_run.toy_model(toy_recipe("nowhere"))
    parts = model_parts(model)
    weights = list(model.parameters())
    assert sum(part.parameters for part in parts) == sum(weight.numel() for weight in weights)
    assert sum(part.trained for part in parts) == sum(weight.numel() for weight in weights if weight.requires_grad)
    assert next(part for part in parts if part.name == "alignment").parameters > 0
    assert memory_needs(parts, half=False)["one GPU, or each of DDP"].weights == 4 * sum(w.numel() for w in weights)


def test_missing_data_are_listed_and_then_refused(tmp_path):
    recipe = load_recipe(CONFIGS / "paper.yaml", [f"data.root={tmp_path}"])
    recipe.data.sets = [SetRecipe("mevis", "mevis", weight=3.0), SetRecipe("ade20k", "ade20k", weight=1.0)]
    rows = list(mixture_rows(recipe.data))
    assert [row.samples for row in rows] == [None, None] and [row.share for row in rows] == [0.75, 0.25]
    with pytest.raises(InputError, match="2 of 2 data sets .*meta_expressions.json.*data check mevis"):
        module.TrainingPlan([], {}, rows).check()


@pytest.mark.slow
def test_the_command_prints_the_report_and_stops(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(CONFIGS / "paper.yaml"), f"data.root={tree}", "--dry-run"]) == 0
    printed = capsys.readouterr()
    for text in ("MLLM: vision tower", "675,759,104", "ZeRO-2", "ref_youtube_vos", "20.0 %"):
        assert text in printed.out
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_ends_with_one_line_where_data_are_missing(tmp_path, capsys):
    assert run(["train", str(CONFIGS / "small.yaml"), f"data.root={tmp_path}", "--dry-run"]) == 2
    printed = capsys.readouterr()
    assert "MLLM: language model" in printed.out and "8 of 8 data sets" in printed.err
    assert printed.err.count("\n") == 1
