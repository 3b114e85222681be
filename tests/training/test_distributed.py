"""The losses of a run do not depend on how a step is divided: over processes, over accumulated parts."""

import json
import os
import socket
import subprocess
import sys

import pytest
import toy_run
from toy_run import log, toy_recipe, train

from lavida.errors import InputError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_accelerator")]
# five pictures, or two clips of two frames: no part is like another; drop 0: parts are dropped from independently
SETTINGS = {"model": {"drop": 0}, "batch_size": 5, "steps": 4, "checkpoint_every": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[dict]:
    """The losses of one process that takes every step at once."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(toy_recipe(out, **SETTINGS))
    return log(out)


def assert_same(losses: list[dict], whole: list[dict]) -> None:
    assert [line["step"] for line in losses] == [1, 2, 3, 4]
    for line, expected in zip(losses, whole, strict=True):
        assert line == pytest.approx(expected, rel=1e-4, abs=1e-4)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def two_processes(*runs: dict) -> None:
    """Trainings one after the other in two processes, started as a launcher does it, on the CPU."""
    together = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "TOY_PORTS": " ".join(free_port() for _ in runs),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, toy_run.__file__, json.dumps(runs)],
            env=os.environ | together | {"RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=180)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said


def test_two_processes_follow_one(whole, tmp_path):
    plain = {"out": str(tmp_path / "plain"), **SETTINGS}
    measured = {"evaluate_every": 2, "evaluate_pictures": 2, "show_pictures": 1}
    accumulating = {"out": str(tmp_path / "accumulating"), **SETTINGS, "batch_size": 8, "accumulate": 2, **measured}
    two_processes(plain, accumulating)
    assert_same(log(tmp_path / "plain"), whole)
    train(toy_recipe(tmp_path / "one", **SETTINGS | {"batch_size": 8}))
    assert_same(log(tmp_path / "accumulating"), log(tmp_path / "one"))
    assert [line["step"] for line in log(tmp_path / "accumulating", "evaluations.jsonl")] == [2, 4]


def test_accumulation_changes_nothing(whole, tmp_path):
    train(toy_recipe(tmp_path, **SETTINGS, accumulate=2, gradient_checkpointing=True))
    assert_same(log(tmp_path), whole)


def test_a_step_that_is_too_small_for_all_parts(tmp_path):
    with pytest.raises(InputError, match=r"batch_size 5 .* 1 processes with train.accumulate 3: .* 2 frames; choose 6"):
        train(toy_recipe(tmp_path, **SETTINGS, accumulate=3))
