"""The losses of a run do not depend on how a step is divided: over processes, over accumulated parts."""

import socket
from collections.abc import Callable
from functools import partial

import pytest
from own_process import started
from toy_run import diverge_in_one_process, log, toy_recipe, train, train_in_turn

from lavida.errors import InputError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_accelerator")]
# five pictures, or two clips of two frames: no part is like another; drop 0: parts are dropped from independently
SETTINGS = {"model": {"drop": 0}, "batch_size": 5, "steps": 3, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def whole(made_once) -> list[dict]:
    """The losses of one process that takes every step at once."""
    return log(made_once("whole-training", lambda out: train(toy_recipe(out, **SETTINGS))))


def assert_same(losses: list[dict], whole: list[dict]) -> None:
    assert [line["step"] for line in losses] == [1, 2, 3]
    for line, expected in zip(losses, whole, strict=True):
        assert line == pytest.approx(expected, rel=1e-4, abs=1e-4)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def two_processes(*runs: dict) -> None:
    """Trainings one after the other in two processes."""
    in_two_processes(partial(train_in_turn, *runs, ports=tuple(free_port() for _ in runs)))


def in_two_processes(work: Callable[[], None]) -> None:
    """Started as a launcher does it, on the CPU."""
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}
    processes = [started(work, environment=together | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    for process in processes:
        process.join(180)
    assert [process.exitcode for process in processes] == [0, 0]


def test_two_processes_follow_one(whole, tmp_path):
    plain = {"out": str(tmp_path / "plain"), **SETTINGS}
    measured = {"evaluate_every": 3, "evaluate_pictures": 2, "show_pictures": 1}
    accumulating = {"out": str(tmp_path / "accumulating"), **SETTINGS, "batch_size": 8, "accumulate": 2, **measured}
    two_processes(plain, accumulating)
    assert_same(log(tmp_path / "plain"), whole)
    train(toy_recipe(tmp_path / "one", **SETTINGS | {"batch_size": 8}))
    assert_same(log(tmp_path / "accumulating"), log(tmp_path / "one"))
    assert [line["step"] for line in log(tmp_path / "accumulating", "evaluations.jsonl")] == [3]


def test_where_one_process_diverges_all_stop(tmp_path):
    in_two_processes(partial(diverge_in_one_process, str(tmp_path), port=free_port(), step=4))
    told = [(tmp_path / f"told-{rank}").read_text() for rank in "01"]
    assert told[0] == told[1] and "step 4 are not finite" in told[0]
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-2"}


def test_accumulation_changes_nothing(whole, tmp_path):
    train(toy_recipe(tmp_path, **SETTINGS, accumulate=2, gradient_checkpointing=True))
    assert_same(log(tmp_path), whole)


def test_a_step_that_is_too_small_for_all_parts(tmp_path):
    with pytest.raises(InputError, match=r"batch_size 5 .* 1 processes with train.accumulate 3: .* 2 frames; choose 6"):
        train(toy_recipe(tmp_path, **SETTINGS, accumulate=3))
