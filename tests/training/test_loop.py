import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from tiny import clips, tiny_lavida
from toys import draw

from lavida.errors import InputError
from lavida.model.lavida import LavidaModel
from lavida.training import loop
from lavida.training.loop import build_model, train
from lavida.training.recipe import DataRecipe, OptimiserRecipe, Recipe, SetRecipe

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
STEPS = 6


class Killed(Exception):
    """Stands for a power cut."""


class ToyStream:
    """Takes the place of `ExposureStream`; may die after some draws."""

    has_clips = True
    dies_after: int | None = None

    def __init__(self, recipe: Recipe):
        self._drawn = 0

    def __call__(self, length, rng):
        if self._drawn == ToyStream.dies_after:
            raise Killed
        self._drawn += 1
        return draw(length, rng)


def toy_model(recipe: Recipe) -> LavidaModel:
    model = tiny_lavida(projector_layers=1)
    model.sam2.vision_encoder.backbone.requires_grad_(False)  # as in nano; and its optimiser state would be large
    return model


@pytest.fixture(scope="module", autouse=True)
def toys():
    """Everything is real but the data, the model and the tracker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "ExposureStream", ToyStream)
        patch.setattr(loop, "build_model", toy_model)
        patch.setattr(loop, "_has_tensorboard", lambda: False)
        yield


def recipe(out: Path, **changes) -> Recipe:
    settings = {
        "steps": STEPS,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "warmup": 2,
        "precision": "float32",
        "workers": 0,
        "checkpoint_every": 2,
        "log_every": 1,
        "seed": 5,
    }
    data = DataRecipe(root="nowhere", sets=[SetRecipe("toy", "toy")], clip_length=2, clip_share=0.4)
    return Recipe(data=data, train=OptimiserRecipe(**(settings | changes)), calibrate=False, out=str(out))


def losses(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


@pytest.fixture(scope="module")
def uninterrupted(toys, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole" / "run"  # neither exists
    return train(recipe(out)).parent


def test_a_run_leaves_a_log_checkpoints_and_a_model(uninterrupted):
    assert names(uninterrupted) == {"recipe.yaml", "losses.jsonl", "checkpoint-4", "checkpoint-6", "model"}
    log = losses(uninterrupted)
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "mask", "dice", "iou", "object", "text", "evidence", "presence", "learning_rate"} < set(log[0])
    rates = [line["learning_rate"] for line in log]
    assert rates[1] == pytest.approx(1e-3) and rates[0] < rates[1] > rates[2] > rates[5] == pytest.approx(0, abs=1e-9)


@torch.no_grad()
def test_the_finished_model_loads_and_has_learnt(uninterrupted):
    model = LavidaModel.from_pretrained(uninterrupted / "model")
    assert not model.training
    before = toy_model(recipe(uninterrupted)).half().float().state_dict()  # as it is stored
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert any(key.startswith("projector.") for key in moved)
    assert not any(key.startswith(("text.", "sam2.vision_encoder.backbone.")) for key in moved)
    assert model(clips(1, 2), [["dog"]]).frame_logits.isfinite().all()


def dies_while_drawing(patch):
    patch.setattr(ToyStream, "dies_after", 9)  # in the sixth step, after checkpoint-4 and the loss of step 5


def dies_while_writing(patch):
    def half(self, folder):
        if folder.endswith("checkpoint-4"):
            Path(folder).mkdir()
            (Path(folder) / "model.safetensors").write_bytes(b"half")
            raise Killed
        return whole(self, folder)

    whole = Accelerator.save_state
    patch.setattr(Accelerator, "save_state", half)


@pytest.mark.parametrize(("death", "left"), [(dies_while_drawing, {2, 4}), (dies_while_writing, {2})])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(uninterrupted, tmp_path, monkeypatch, death, left):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        death(patch)
        train(recipe(tmp_path))
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {f"checkpoint-{step}" for step in left}
    assert losses(tmp_path)[-1]["step"] > max(left) or death is dies_while_writing
    train(recipe(tmp_path))
    assert losses(tmp_path) == losses(uninterrupted)
    assert names(tmp_path) == names(uninterrupted)
    resumed, whole = (LavidaModel.from_pretrained(out / "model").state_dict() for out in (tmp_path, uninterrupted))
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)


def test_a_finished_run_is_not_trained_again(uninterrupted, monkeypatch):
    monkeypatch.setattr(ToyStream, "dies_after", 0)
    before = losses(uninterrupted)
    assert train(recipe(uninterrupted)) == uninterrupted / "model"
    assert losses(uninterrupted) == before


def test_another_recipe_does_not_go_on_in_the_same_folder(uninterrupted):
    before = losses(uninterrupted)
    with pytest.raises(InputError, match=r"train.learning_rate 0.001, not 0.002: .*out=.*--no-resume"):
        train(recipe(uninterrupted, learning_rate=2e-3))
    other = recipe(uninterrupted)
    with pytest.raises(InputError, match="model.projector None, not mlp"):
        train(replace(other, model={**other.model, "projector": "mlp"}))
    assert losses(uninterrupted) == before


def test_what_does_not_change_the_outcome_may_change(uninterrupted):
    moved = recipe(uninterrupted, checkpoint_every=3, log_every=2)
    train(replace(moved, data=replace(moved.data, root="elsewhere")))


def test_starting_over_forgets_the_earlier_run(tmp_path):
    train(recipe(tmp_path, steps=4))
    other = recipe(tmp_path, steps=2, checkpoint_every=1, keep_checkpoints=1, learning_rate=2e-3)
    train(other, resume=False)
    assert {path.name for path in tmp_path.glob("*checkpoint*")} == {"checkpoint-2"}
    assert [line["step"] for line in losses(tmp_path)] == [1, 2]


class TestBuildModel:
    """The real `build_model` refuses before it builds anything."""

    def refuse(self, model: dict) -> str:
        with pytest.raises(InputError) as caught:
            build_model(Recipe(model=model))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_an_unknown_preset(self):
        assert "'huge'" in self.refuse({"preset": "huge"}) and "None" in self.refuse({})

    def test_an_unknown_key(self):
        assert "model.projektor" in self.refuse({"preset": "nano", "projektor": "mlp"})

    def test_an_unknown_backbone(self):
        assert "efficientnet-lite2" in self.refuse({"preset": "nano", "backbone": "resnet"})

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"projector": "three_way"}, "two_way, q_former or mlp"),
            ({"projector_dim": "wide"}, "projector_dim"),
            ({"text_pooling": "max"}, "mean or projection"),
            ({"alignment": False}, "alignment"),
        ],
    )
    def test_a_value_that_does_not_fit(self, settings, named):
        assert named in self.refuse({"preset": "nano", **settings})
