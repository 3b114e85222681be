"""The engine and a scan on a Ray cluster of two nodes, each a process of its own.

Skipped where Ray is not installed; it takes some 40 seconds, nearly all of it Ray's.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray_scan
from ray_scan_worker import HOLD, load_bright
from ray_work import BROKEN, DEADLY, FRAGILE, StartSquares, StartTelling
from scan_results import failures, finished, python_path, tree
from video import make

from lavida.parallel import Failure, run
from lavida.waiting import OURS, POLICY, SLEEPY

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow
TESTS = Path(__file__).resolve().parents[1]
PATIENCE_S = 300


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}.items():
            patch.setenv(name, value)
        for name in (*SLEEPY, OURS):  # a cluster knows nothing of who will use it
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPATH", python_path(TESTS, TESTS / "scan"))
        node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        nodes.add_node(**node)
        yield nodes.address
        nodes.shutdown()


def wait_for(ready: Callable[[], bool], process: subprocess.Popen) -> None:
    patience = time.monotonic() + PATIENCE_S
    while not ready():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_the_engine_on_two_nodes_survives_its_workers(cluster, tmp_path):
    answers = dict(run(range(12), StartSquares(str(tmp_path)), workers=2, ray=cluster))
    assert sorted(answers) == list(range(12))
    assert answers.pop(BROKEN) == Failure("seven is broken")
    assert "its worker died 3 times" in answers.pop(DEADLY).reason
    assert {number: square for number, (square, _) in answers.items()} == {n: n**2 for n in answers}
    assert len({node for _, node in answers.values()}) == 2
    tries = {number: len(list(tmp_path.glob(f"{number}-*"))) for number in range(12)}
    assert tries == dict.fromkeys(range(12), 1) | {FRAGILE: 2, DEADLY: 3}
    assert not ray.is_initialized()  # the session is left as it was found


def test_workers_wait_asleep_and_know_it_before_torch(cluster):
    assert dict(run([POLICY], StartTelling(), workers=1, ray=cluster)) == {POLICY: ("PASSIVE", False)}


def test_a_scan_whose_worker_and_driver_are_killed_ends_like_one_left_alone(cluster, scan_to, tmp_path, monkeypatch):
    monkeypatch.setattr("lavida.scan.worker.load", load_bright)
    videos, out, pids = tmp_path / "videos", tmp_path / "out", tmp_path / "pids"
    videos.mkdir()
    pids.mkdir()
    hold = pids / HOLD
    for i in range(10):
        make.video(videos / f"{i}.mp4", frames=8 + i, mark=i % 2 == 0)
    (videos / "3.mp4").write_bytes(b"")
    scan_to(videos, out=str(tmp_path / "whole"))

    arguments = [str(videos), str(out), cluster, str(pids)]
    with subprocess.Popen([sys.executable, ray_scan.__file__, *arguments], stderr=subprocess.PIPE) as driver:
        wait_for(lambda: len(finished(out)) >= 2, driver)
        hold.touch()  # whoever works stays in the middle of a video
        os.kill(int(min(p.name for p in pids.iterdir() if p != hold)), signal.SIGKILL)
        wait_for(lambda: len(list(pids.iterdir())) == 2 + 1 + 1, driver)  # another worker has taken its place
        hold.unlink()
        wait_for(lambda: len(finished(out)) >= 4, driver)
        hold.touch()
        driver.kill()
    at_the_kill = tree(out / "frames")
    assert 4 <= len(at_the_kill) < 9
    hold.unlink()

    report = ray_scan.bright_scan(*arguments)
    assert (report.videos, report.finished) == (10, 9) and report.scored <= 9 - len(at_the_kill)
    assert set(failures(out)) == {"3.mp4"}
    assert tree(out) == tree(tmp_path / "whole")
    assert at_the_kill.items() <= tree(out / "frames").items()
