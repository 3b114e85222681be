"""A scan that is killed and started again gives what it would have given, each video once."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from own_process import started
from scan_results import failures, finished, tree
from slow_scan import slow_scan
from video import make

pytestmark = pytest.mark.slow


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Eight videos, the second of which is broken."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for i in range(8):
        make.video(folder / f"{i}.mp4", frames=8 + i, mark=i % 2 == 0)
    (folder / "1.mp4").write_bytes(b"")
    return folder


def stopped(source: Path, out: Path, *, ready: Callable[[], bool], by: signal.Signals, stops: bool = False) -> int:
    """Scan in a process of its own and send it a signal as soon as `ready`; its return code."""
    process = started(partial(slow_scan, source, out, stops=stops))
    patience = time.monotonic() + 120
    while not ready():
        assert process.is_alive(), process.exitcode
        assert time.monotonic() < patience
        time.sleep(0.005)
    os.kill(process.pid, by)
    process.join()
    return process.exitcode


@pytest.mark.parametrize(("by", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_stopped_half_way(videos, scan_to, looks, tmp_path, by, code):
    scan_to(videos, out=str(tmp_path / "whole"))
    out = tmp_path / "out"
    assert stopped(videos, out, ready=lambda: len(finished(out)) == 3, by=by) == code
    done = len(finished(out))
    assert 3 <= done < 7
    if by == signal.SIGINT:  # it could still say what failed
        assert set(failures(out)) == {"1.mp4"}
    looks.sources.clear()
    report = scan_to(videos)
    assert len(looks.sources) == 7 - done == report.scored
    assert report.finished == 7 and set(failures(out)) == {"1.mp4"}
    assert tree(out) == tree(tmp_path / "whole")
    assert {path.name for path in out.iterdir()} == {"frames", "events", "states", "failures.parquet", "run.json"}


def test_killed_between_the_two_files_of_a_video(videos, scan_to, looks, tmp_path):
    scan_to(videos, out=str(tmp_path / "whole"))
    out = tmp_path / "out"
    stopped(videos, out, ready=(out / ".stopped").exists, by=signal.SIGKILL, stops=True)
    assert len(finished(out)) == 2 and len(list((out / "events").iterdir())) == 3
    (out / ".stopped").unlink()
    looks.sources.clear()
    scan_to(videos)
    assert len(looks.sources) == 5 and tree(out) == tree(tmp_path / "whole")
