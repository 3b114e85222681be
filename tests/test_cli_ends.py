"""How the command line ends, as a process of its own: stopped, killed, unread, on a full disk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from own_process import started
from video import make

from lavida.cli import run

FILES = {"frames.parquet", "events.json", "masks.json", "timeline.png", "overlay.mp4", "run.json"}
FILES |= {"analysis.npz", "candidates.json.gz"}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def process(arguments: list[object], **options) -> subprocess.Popen:
    path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TERM": "xterm"}
    return subprocess.Popen([sys.executable, "-m", "lavida", *map(str, arguments)], env=environment, **options)


def forked(arguments: list[object], **streams: int) -> BaseProcess:
    """As `process`, without the seconds of its imports."""
    return started(partial(run, list(map(str, arguments))), environment={"TERM": "xterm"}, **streams)


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    return make.video(tmp_path / "long.mp4", frames=1000)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def read_until(terminal: int, words: bytes, *, seconds: float = 60) -> bytes:
    text, end = b"", time.monotonic() + seconds
    while words not in text and time.monotonic() < end:
        try:
            text += os.read(terminal, 4096)
        except OSError:  # the other side is closed
            break
    return text


@pytest.mark.slow
def test_ctrl_c_ends_at_once_with_one_line_and_no_result(long_video, tmp_path, tiny_model_dir, terminal):
    ours, theirs = terminal
    arguments = ["detect", long_video, "-a", "x", "--model", tiny_model_dir, "--out", tmp_path / "out", "--stride", 1]
    with open(tmp_path / "stdout", "w") as stdout:
        running = forked(arguments, stdout=stdout.fileno(), stderr=theirs)
    os.close(theirs)
    assert b"long.mp4: looking" in read_until(ours, b"/1000")
    os.kill(running.pid, signal.SIGINT)
    rest = read_until(ours, b"no such words")
    running.join()
    assert running.exitcode == 130 and (tmp_path / "stdout").read_bytes() == b""
    assert rest.rstrip().endswith(b"lavida: stopped") and b"Traceback" not in rest
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == set()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_one_succeeds(
    long_video, tmp_path, tiny_model_dir
):
    arguments = ["detect", long_video, "-a", "x", "--model", tiny_model_dir, "--out", tmp_path / "out", "--stride"]
    running = forked([*arguments, 1000])
    end = time.monotonic() + 60
    while not any((tmp_path / "out").glob(".*/overlay.mp4")) and time.monotonic() < end and running.is_alive():
        time.sleep(0.01)
    running.kill()
    running.join()
    assert running.exitcode == -signal.SIGKILL
    leftovers = list((tmp_path / "out").iterdir())  # what was half written, and its lock
    assert all(leftover.name.startswith(".") and not (leftover / "run.json").exists() for leftover in leftovers)

    make.video(long_video, frames=5)
    assert run(list(map(str, [*arguments, 1]))) == 0
    assert names(tmp_path / "out") == {"long"} and names(tmp_path / "out" / "long") == FILES


def test_a_reader_that_leaves_early_is_no_reason_for_a_traceback():
    with process(["detect", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["detect"], 2)])
def test_what_a_program_has_to_do_at_its_end_is_done(arguments, code):
    program = f"""
import atexit, sys, threading, time
from lavida.cli import main

threading.Thread(target=lambda: (time.sleep(0.5), print("waited for"))).start()
atexit.register(print, "last")
sys.argv[1:] = {arguments}
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    *before, last = done.stdout.splitlines()
    assert (done.returncode, last) == (code, "last") and "waited for" in before
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["detect", "--help"]])
def test_a_full_disk_behind_stdout_is_one_line(arguments):
    with open("/dev/full", "w") as full, process(arguments, stdout=full, stderr=subprocess.PIPE) as running:
        (line,) = running.stderr.read().splitlines()
    assert running.returncode == 2 and b"No space left" in line


def test_results_go_on_when_nobody_reads_them(tmp_path, tiny_model_dir, monkeypatch, loads_once):
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.mp4"):
        make.video(tmp_path / name, frames=2)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert run(["detect", "a.mp4", "b.mp4", "-a", "x", "--model", str(tiny_model_dir), "--no-overlay"]) == 0
    assert names(tmp_path / "lavida-out") == {"a", "b"}


@pytest.mark.slow
def test_the_work_goes_on_when_nobody_reads_its_complaints(tmp_path, tiny_model_dir):
    make.video(tmp_path / "good.mp4", frames=2)
    reader, writer = os.pipe()
    os.close(reader)
    sources = [tmp_path / "none.mp4", tmp_path / "good.mp4", tmp_path / "neither.mp4"]
    arguments = ["detect", *sources, "-a", "x", "--model", tiny_model_dir, "--out", tmp_path / "out", "--no-overlay"]
    running = forked(arguments, stderr=writer)
    os.close(writer)
    running.join()
    assert running.exitcode == 2 and names(tmp_path / "out") == {"good"}
