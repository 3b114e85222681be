import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_model
from tiny import clips
from toy_run import ToyStream, log, toy_model, toy_recipe, train

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.training import loop, steps

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


class Killed(Exception):
    """Stands for a power cut; `test_kill.py` has real ones."""


class Dies(ToyStream):
    """After some draws."""

    def __init__(self, after: int):
        self._left = after

    def __call__(self, length, rng):
        if self._left == 0:
            raise Killed
        self._left -= 1
        return super().__call__(length, rng)


@pytest.fixture(scope="module", autouse=True)
def no_tracker():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "has_tensorboard", lambda: False)
        yield


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


@pytest.fixture(scope="module")
def uninterrupted(no_tracker, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole" / "run"  # neither exists
    return train(toy_recipe(out)).parent


@pytest.mark.slow
def test_a_run_leaves_a_log_checkpoints_and_a_model(uninterrupted):
    assert names(uninterrupted) == {"recipe.yaml", "losses.jsonl", "checkpoint-4", "checkpoint-6", "model"}
    lines = log(uninterrupted)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "mask", "dice", "iou", "object", "text", "evidence", "presence", "learning_rate"} < set(lines[0])
    rates = [line["learning_rate"] for line in lines]
    assert rates[1] == pytest.approx(1e-3) and rates[0] < rates[1] > rates[2] > rates[5] == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@torch.no_grad()
def test_the_finished_model_loads_and_has_learnt(uninterrupted):
    model = LavidaModel.from_pretrained(uninterrupted / "model")
    assert not model.training
    before = toy_model(toy_recipe(uninterrupted)).half().float().state_dict()  # as it is stored
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert any(key.startswith("projector.") for key in moved)
    assert not any(key.startswith(("text.", "sam2.vision_encoder.backbone.")) for key in moved)
    assert model(clips(1, 2), [["dog"]]).frame_logits.isfinite().all()


@pytest.mark.slow
def test_a_run_that_dies_while_it_writes_goes_on_as_if_nothing_had_happened(uninterrupted, tmp_path, monkeypatch):
    """To the last bit; `test_kill.py` really kills one, there and in a step."""

    def half(self, folder):
        if folder.endswith("checkpoint-4"):
            Path(folder).mkdir()
            (Path(folder) / "model.safetensors").write_bytes(b"half")
            raise Killed
        return whole(self, folder)

    whole = Accelerator.save_state
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Accelerator, "save_state", half)
        train(toy_recipe(tmp_path))
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-2"}
    train(toy_recipe(tmp_path))
    assert log(tmp_path) == log(uninterrupted)
    assert names(tmp_path) == names(uninterrupted)
    resumed, whole = (LavidaModel.from_pretrained(out / "model").state_dict() for out in (tmp_path, uninterrupted))
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(uninterrupted):
    before = log(uninterrupted)
    assert train(toy_recipe(uninterrupted), data=Dies(after=0)) == uninterrupted / "model"
    assert log(uninterrupted) == before


@pytest.mark.slow
def test_another_recipe_does_not_go_on_in_the_same_folder(uninterrupted):
    before = log(uninterrupted)
    with pytest.raises(InputError, match=r"train.learning_rate 0.001, not 0.002: .*out=.*--no-resume"):
        train(toy_recipe(uninterrupted, learning_rate=2e-3))
    other = toy_recipe(uninterrupted)
    with pytest.raises(InputError, match="model.projector None, not mlp"):
        train(replace(other, model={**other.model, "projector": "mlp"}))
    assert log(uninterrupted) == before


@pytest.mark.slow
def test_what_does_not_change_the_outcome_may_change(uninterrupted):
    moved = toy_recipe(uninterrupted, checkpoint_every=3, log_every=2)
    train(replace(moved, data=replace(moved.data, root="elsewhere")))


@pytest.mark.slow
def test_starting_over_forgets_the_earlier_run(tmp_path):
    train(toy_recipe(tmp_path, steps=4))
    other = toy_recipe(tmp_path, steps=2, checkpoint_every=1, keep_checkpoints=1, learning_rate=2e-3)
    train(other, resume=False)
    assert {path.name for path in tmp_path.glob("*checkpoint*")} == {"checkpoint-2"}
    assert [line["step"] for line in log(tmp_path)] == [1, 2]


def test_a_checkpoint_holds_what_is_trained_and_nothing_else(uninterrupted):
    weights = load_file(uninterrupted / "checkpoint-6" / "trained.safetensors")
    trained = {name for name, weight in toy_model(toy_recipe("")).named_parameters() if weight.requires_grad}
    assert weights.keys() == trained and not any("backbone" in name for name in weights)
    assert not (uninterrupted / "checkpoint-6" / "model.safetensors").exists()


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on(uninterrupted, tmp_path):
    """Its checkpoints held every weight, its recipe lacked the keys that are new, and had earlier names of others."""
    shutil.copytree(uninterrupted, tmp_path / "run")
    recipe, checkpoint = tmp_path / "run" / "recipe.yaml", tmp_path / "run" / "checkpoint-4"
    shutil.rmtree(tmp_path / "run" / "checkpoint-6")
    settings = OmegaConf.load(recipe)
    for key in ("accumulate", "lora", "schedule", "embeddings", "freeze", "evaluate_every"):
        settings.train.pop(key)
    settings.data.without = settings.data.pop("drop_share")
    settings.sampler.further = settings.sampler.pop("negatives_only_share")
    settings.sampler.ask_left = settings.sampler.pop("ask_out_of_view")
    OmegaConf.save(settings, recipe)
    model = toy_model(toy_recipe(""))
    model.load_state_dict(load_file(checkpoint / "trained.safetensors"), strict=False)
    save_model(model, checkpoint / "model.safetensors")
    (checkpoint / "trained.safetensors").unlink()
    train(toy_recipe(tmp_path / "run"))
    assert log(tmp_path / "run") == log(uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["trained.safetensors", "optimizer.bin"])
def test_a_damaged_checkpoint_is_told_in_one_line(uninterrupted, tmp_path, file):
    shutil.copytree(uninterrupted, tmp_path / "run")
    broken = tmp_path / "run" / "checkpoint-6" / file
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(InputError, match="checkpoint-6 cannot be loaded .* remove that folder") as caught:
        train(toy_recipe(tmp_path / "run"))
    assert "\n" not in str(caught.value)
    shutil.rmtree(broken.parent)
    train(toy_recipe(tmp_path / "run"))
    assert log(tmp_path / "run") == log(uninterrupted)


@pytest.mark.slow
def test_the_learning_rate_falls_in_a_line(tmp_path):
    train(toy_recipe(tmp_path, schedule="linear", steps=4, checkpoint_every=4))
    rates = [line["learning_rate"] for line in log(tmp_path)]
    assert rates == pytest.approx([5e-4, 1e-3, 5e-4, 0])


@pytest.mark.slow
def test_checkpointed_activations_change_nothing(uninterrupted, tmp_path):
    train(toy_recipe(tmp_path, gradient_checkpointing=True, steps=2, warmup=2))
    first, expected = log(tmp_path)[0], log(uninterrupted)[0]
    assert first["loss"] == pytest.approx(expected["loss"])


@pytest.mark.slow
def test_a_copied_checkpoint_is_no_checkpoint(uninterrupted, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    shutil.copytree(out / "checkpoint-6", out / "checkpoint-6-backup")
    train(toy_recipe(out))
    assert log(out) == log(uninterrupted) and (out / "checkpoint-6-backup").is_dir()


@pytest.mark.parametrize("out", ["file", "file/run"])
def test_an_output_that_cannot_be_is_refused_before_the_work(tmp_path, out):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        loop.train(toy_recipe(tmp_path / out))  # which would look for its data first


def test_calibration_without_its_pictures_is_refused_before_the_work(tmp_path):
    with pytest.raises(InputError, match="camvid.*calibrate=false"):
        loop.train(replace(toy_recipe(tmp_path / "run"), calibrate=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_calibration_that_fails_does_not_lose_the_model(tmp_path, monkeypatch):
    def fails(*_):
        raise InputError("no pictures")

    monkeypatch.setattr("lavida.training.start.check_pictures", lambda root: None)
    monkeypatch.setattr("lavida.training.saving.calibrate", fails)
    with pytest.raises(InputError, match="no pictures"):
        train(replace(toy_recipe(tmp_path / "run", steps=1), calibrate=True))
    assert LavidaModel.from_pretrained(tmp_path / "run" / "model")


@pytest.mark.slow
def test_calibration_changes_two_numbers_of_a_saved_model_and_nothing_else(tmp_path, monkeypatch):
    def calibrate(detector, root):
        detector.model.config.calibration_temperature, detector.model.config.calibration_bias = 2.0, -1.0

    monkeypatch.setattr("lavida.training.start.check_pictures", lambda root: None)
    train(toy_recipe(tmp_path / "run", steps=1))
    before = {path.name: path.read_bytes() for path in (tmp_path / "run" / "model").iterdir() if path.is_file()}
    monkeypatch.setattr("lavida.training.saving.calibrate", calibrate)
    train(replace(toy_recipe(tmp_path / "run", steps=1), calibrate=True))
    after = {path.name: path.read_bytes() for path in (tmp_path / "run" / "model").iterdir() if path.is_file()}
    assert {name for name in before if before[name] != after[name]} == {"config.json"} and before.keys() == after.keys()
    config = LavidaModel.from_pretrained(tmp_path / "run" / "model").config
    assert (config.calibration_temperature, config.calibration_bias) == (2, -1)
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_a_full_disk_is_one_line(small_disk):
    with pytest.raises(InputError, match="No space left on device"):
        train(toy_recipe(small_disk / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("damaged", ["loss", "gradients"])
def test_a_training_that_diverges_stops_and_keeps_what_is_good(tmp_path, damaged, monkeypatch):
    calls, whole = count(1), steps.training_loss

    def loss(output, *given, **settings):
        value, terms = whole(output, *given, **settings)
        logits = output.frame_logits.sum()
        rise = (logits - logits.detach()).sqrt()  # 0, of infinite slope
        wrong = {"loss": value * torch.nan, "gradients": value + rise}
        return (wrong[damaged] if next(calls) == 4 else value), terms

    monkeypatch.setattr(steps, "training_loss", loss)
    with pytest.raises(InputError, match="step 4 are not finite; the last good checkpoint is .*checkpoint-2;"):
        train(toy_recipe(tmp_path))
    assert names(tmp_path) == {"recipe.yaml", "losses.jsonl", "checkpoint-2"}
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3]


@pytest.mark.slow
def test_a_learning_rate_that_is_far_too_high_is_one_line(tmp_path):
    with pytest.raises(InputError, match="step 2 are not finite; there is no checkpoint yet"):
        train(toy_recipe(tmp_path, learning_rate=1e30, warmup=0))


class WithoutAPicture(ToyStream):
    def __call__(self, length, rng):
        raise InputError("cannot read image: 7.jpg")


@pytest.mark.slow
def test_a_picture_that_cannot_be_read_is_one_line_from_a_worker_too(tmp_path):
    with pytest.raises(InputError, match="^cannot read image: 7.jpg$"):
        train(toy_recipe(tmp_path / "run", workers=1), data=WithoutAPicture())
