"""The benchmark of two builds beside other work: its turns, its table, and what it measures, without the long runs."""

import os
import subprocess
import sys
from argparse import Namespace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from lavida.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import beside
from beside import Build, Cost

# by its path: tests/runtime is a package of this name
_spec = spec_from_file_location("benchmark_of_runtimes", Path(beside.__file__).with_name("runtime.py"))
runtime = module_from_spec(_spec)
sys.modules[_spec.name] = runtime
_spec.loader.exec_module(runtime)

OLDER, NEWER = Build("older", Path("older")), Build("now", Path("now"))


@pytest.fixture
def turns(monkeypatch) -> list[str]:
    """Runs that take as long as they say, the one of the two builds twice as long as the other; who ran."""
    ran: list[str] = []

    def detect(build, video, out, *, anomaly, stride, at_once=1):
        ran.append(f"{build.name} {at_once}")
        seconds = (20 if build is OLDER else 10) * at_once + len(ran) / 1000
        return Cost(wall_s=seconds, cpu_s=2 * seconds, peak_mb=900)

    monkeypatch.setattr(Build, "detect", detect)
    return ran


def test_the_builds_take_turns_and_medians_are_compared(turns):
    options = Namespace(pairs=3, beside=1, anomaly="car", stride=None)
    rows = list(beside.table(OLDER, NEWER, Path("video.mp4"), Path("out"), options))
    assert turns[:6] == ["older 1", "now 1", "now 1", "older 1", "older 1", "now 1"]
    assert turns[6:] == ["older 1", "now 1", "older 2", "now 2"]
    alone = [row for row in rows if row["run"] == beside.ALONE]
    assert [row["median of"] for row in alone] == ["wall s", "user + system s", "peak MB"]
    assert [row["share"] for row in alone] == pytest.approx([0.5, 0.5, 1], abs=0.01)
    assert [row["at most"] for row in alone] == [1.05, 1.03, 1.03]
    assert {(row["run"], row["pairs"]) for row in rows} == {(beside.ALONE, 3), (beside.BUSY, 1), (beside.TWO, 1)}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell what a process used")
def test_processes_at_once_are_measured_together():
    work = "import time\nwhile time.process_time() < 0.2: pass"
    cost = beside.measured([[sys.executable, "-c", work]] * 2, os.environ)
    assert cost.cpu_s >= 0.4 and cost.wall_s >= 0.2
    # in a process of its own: Linux counts what this one holds into the peak of those that it starts
    call = "beside.measured([[sys.executable, '-c', 'bytearray(300 << 20)']], os.environ).peak_mb"
    code = f"import os, sys; sys.path.insert(0, {str(beside.ROOT / 'benchmarks')!r}); import beside; print({call})"
    peak = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 300 < float(peak) < 450
    with pytest.raises(InputError, match="ended with 3"):
        beside.measured([[sys.executable, "-c", "raise SystemExit(3)"]], os.environ)


def test_builds_inherit_no_word_on_waiting_and_are_the_ones_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    here = Build("now", beside.ROOT)
    assert "OMP_WAIT_POLICY" not in here.environment()
    here.check()
    with pytest.raises(InputError, match="older cannot be run from"):
        Build("older", tmp_path).check()


def test_an_unknown_commit_is_told(tmp_path):
    with pytest.raises(InputError, match="--against 0000000"), beside.checked_out("0000000", tmp_path / "older"):
        pass


def test_kinds_take_turns_and_are_compared_with_the_first():
    kinds = [runtime.Kind(name, NEWER, name) for name in ("old", "torch", "onnx")]
    asked = []

    def cost(kind):
        asked.append(kind.name)
        seconds = {"old": 12, "torch": 6, "onnx": 3}[kind.name] * (1 + len(asked) // 3)
        return Cost(wall_s=seconds, cpu_s=2 * seconds, peak_mb={"old": 800}.get(kind.name, 400))

    found = runtime.in_turn(kinds, cost, turns=3, what="10 s")
    assert asked == ["old", "torch", "onnx", "torch", "onnx", "old", "onnx", "old", "torch"]
    rows = {row["build"]: row for row in runtime.rows("10 s", found)}
    assert rows["old"]["times as fast"] == rows["old"]["share of peak"] == 1
    assert rows["onnx"]["share of peak"] == 0.5 and rows["onnx"]["times as fast"] > rows["torch"]["times as fast"] > 1
    assert rows["torch"]["user + system s"] == 2 * rows["torch"]["wall s"]


@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        ("--help", ["-m", "lavida", "--help"]),
        (runtime.LOAD, ["-c", "import lavida; lavida.load('nano', runtime='onnx')"]),
        ("10 s", ["-m", "lavida", "detect", "v.mp4", "-a", "car", "--runtime", "onnx", "--no-overlay", "--out", "out"]),
        ("10 s with overlay", ["-m", "lavida", "detect", "v.mp4", "-a", "car", "--runtime", "onnx", "--out", "out"]),
    ],
)
def test_what_a_kind_runs(job, wanted):
    assert runtime.Kind("now", NEWER, "onnx").command(job, Path("v.mp4"), Path("out"))[1:] == wanted
