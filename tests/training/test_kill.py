"""A run that is killed with `kill -9` and goes on is the run that was never killed."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from own_process import started
from toy_run import log, toy_recipe, train, train_in_turn

from lavida.checkpoints.pretrained import LavidaModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_accelerator")]
EVERYTHING = {  # on, that a run could lose track of
    "steps": 4,
    "batch_size": 4,
    "accumulate": 2,
    "lora": {"rank": 2, "targets": ["q_proj", "v_proj"]},
    "evaluate_every": 2,
    "evaluate_pictures": 3,
    "show_pictures": 1,
}


def kill_when(ready: Callable[[], bool], out: Path, *, stalls_at: int | None = None) -> None:
    """Start the run in a process of its own and kill it as soon as `ready`."""
    process = started(partial(train_in_turn, {"out": str(out), **EVERYTHING}, stalls_at=stalls_at))
    patience = time.monotonic() + 120
    while not ready():
        assert process.is_alive(), process.exitcode
        assert time.monotonic() < patience
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -9


def undisturbed_and_killed(folder: Path) -> None:
    whole, killed = folder / "whole", folder / "killed"
    losses, half = killed / "losses.jsonl", killed / ".checkpoint-4" / "half"
    train(toy_recipe(whole, **EVERYTHING))
    kill_when(lambda: losses.exists() and '"step": 3' in losses.read_text(), killed)
    kill_when(half.exists, killed, stalls_at=4)
    train(toy_recipe(killed, **EVERYTHING))


@pytest.fixture(scope="module")
def runs(made_once) -> tuple[Path, Path]:
    """The folders of a run that nothing disturbed, and of one that was killed in a step and while it wrote."""
    folder = made_once("killed-training", undisturbed_and_killed)
    return folder / "whole", folder / "killed"


def test_the_losses_are_the_same(runs):
    whole, killed = map(log, runs)
    assert [line["step"] for line in killed] == [1, 2, 3, 4]
    for one, other in zip(whole, killed, strict=True):
        assert other == pytest.approx(one, rel=1e-5)


def test_the_evaluations_are_the_same(runs):
    whole, killed = (log(out, "evaluations.jsonl") for out in runs)
    assert [line["step"] for line in killed] == [2, 4] and killed == whole


@pytest.mark.parametrize("name", ["model", "best"])
def test_the_models_are_the_same(runs, name):
    whole, killed = (LavidaModel.from_pretrained(out / name).state_dict() for out in runs)
    assert whole.keys() == killed.keys()
    for key, weight in whole.items():
        torch.testing.assert_close(killed[key], weight, atol=1e-4, rtol=1e-3, msg=key)


def test_tensorboard_shows_every_step_once(runs):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(runs[1] / "log")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("held-out/auc")] == [2, 4]
    assert [event.step for event in events.Images("held-out/picture-0")] == [2, 4]


def test_nothing_half_written_is_left(runs):
    left = {path.name for path in runs[1].iterdir()}
    whole = {path.name for path in runs[0].iterdir()}
    assert left == whole and {"checkpoint-2", "checkpoint-4", "model", "best"} < left
