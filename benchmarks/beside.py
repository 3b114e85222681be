"""This build of `lavida detect` against an older one: alone, beside one busy core, and two at once.

    python benchmarks/beside.py CLIP [--against 430bc00] [--pairs 9] [--beside 3] [--out DIR]

A clip is brought to 640x360 at 25 frames a second and looped. Whole processes are measured, the two builds in turn and
each first in every other pair; what is given are medians, and those of this build as a share of the older one's. Wall
clock and peak memory of two at once are those of the slower and the larger. The older build is checked out of this
repository's history into a temporary folder; both run under this interpreter, on nothing but its packages.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from made_videos import loop
from results import add_out, publish, run

from lavida.errors import InputError

T = TypeVar("T", bound="Named")
ROOT = Path(__file__).resolve().parents[1]
# this process has imported lavida, and an older build must not inherit what that says
SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "LAVIDA_SET_OMP_WAIT_POLICY")
WARM_UP_S = 10  # of video: compiles Python's files and fills the disk's cache
ALONE, BUSY, TWO = "alone", "beside one busy core", "two at once"
AT_MOST = {  # as a share of the older build
    ALONE: {"wall s": 1.05, "user + system s": 1.03, "peak MB": 1.03},
    BUSY: {"wall s": round(1 / 1.6, 3)},
    TWO: {"wall s": round(1 / 3, 3)},
}
KILOBYTE = 1 if sys.platform == "darwin" else 1024  # unit in which the system tells the peak


@dataclass(frozen=True)
class Cost:
    """Of one or more processes that ran at once."""

    wall_s: float
    cpu_s: float
    peak_mb: float

    def value(self, what: str) -> float:
        return {"wall s": self.wall_s, "user + system s": self.cpu_s, "peak MB": self.peak_mb}[what]


@dataclass(frozen=True)
class Build:
    """A source tree, and how its command is run."""

    name: str
    root: Path

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in SAID}
        return kept | {"PYTHONPATH": str(self.root / "src")}

    def check(self) -> None:
        """Raises InputError where the interpreter takes another tree's package."""
        command = [sys.executable, "-c", "import lavida; print(lavida.__file__)"]
        told = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
        if not told.stdout.startswith(str(self.root)):
            raise InputError(f"{self.name} cannot be run from {self.root}: {told.stdout or told.stderr}")

    def detect(self, video: Path, out: Path, *, anomaly: str, stride: int | None, at_once: int = 1) -> Cost:
        chosen = [] if stride is None else ["--stride", str(stride)]
        command = [sys.executable, "-m", "lavida", "detect", str(video), "-a", anomaly, *chosen, "--out"]
        return measured([[*command, str(out / str(number))] for number in range(at_once)], self.environment())


def measured(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> Cost:
    """Run commands at once, until the last has ended. Raises InputError for one that fails.

    Linux counts what the process that starts a command holds into the command's peak, so the peak is at least that.
    """
    started, running, cpu_s, peak = time.perf_counter(), [], 0.0, 0
    for command in commands:
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    for process in running:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_s, peak = cpu_s + used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss)
    seconds = time.perf_counter() - started
    for process, command in zip(running, commands, strict=True):
        if process.returncode:
            raise InputError(f"{' '.join(command)} ended with {process.returncode}; run it alone to see why")
    return Cost(wall_s=seconds, cpu_s=cpu_s, peak_mb=peak * KILOBYTE / 2**20)


@contextmanager
def busy_core() -> Iterator[None]:
    """Other work that takes all of one core that it can get."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            yield
        finally:
            other.kill()


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """A work tree of the commit in `folder`. Raises InputError for one that this repository does not have."""
    git = ["git", "-C", str(ROOT), "worktree"]
    added = subprocess.run([*git, "add", "--detach", str(folder), commit], capture_output=True, text=True)
    if added.returncode:
        raise InputError(f"--against {commit}: {added.stderr.strip().splitlines()[-1]}; give a commit of {ROOT}")
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True, capture_output=True)


class Named(Protocol):
    """Something that is measured."""

    @property
    def name(self) -> str: ...


def in_turn(kinds: Sequence[T], cost: Callable[[T], Cost], *, turns: int, what: str) -> dict[str, list[Cost]]:
    """By name of a kind, one a turn, each first in its turn; what changes slowly on the machine meets all alike."""
    found: dict[str, list[Cost]] = {kind.name: [] for kind in kinds}
    for turn in range(turns):
        first = turn % len(kinds)
        for kind in (*kinds[first:], *kinds[:first]):
            found[kind.name].append(cost(kind))
            print(what, turn + 1, kind.name, found[kind.name][-1], file=sys.stderr)  # long runs: what is known is told
    return found


def rows(name: str, found: Mapping[str, Sequence[Cost]]) -> Iterator[dict[str, Any]]:
    """Of each thing that is measured the medians of both builds and their ratio, beside what is allowed."""
    for what in ("wall s", "user + system s", "peak MB"):
        medians = {build: statistics.median(cost.value(what) for cost in costs) for build, costs in found.items()}
        before, now = medians.values()
        pairs = len(next(iter(found.values())))
        line = {"run": name, "pairs": pairs, "median of": what}
        line |= {build: round(median, 2) for build, median in medians.items()}
        yield line | {"share": round(now / before, 3), "at most": AT_MOST[name].get(what)}


def table(older: Build, newer: Build, video: Path, out: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    def pairs(name: str, count: int, *, at_once: int = 1) -> Iterator[dict[str, Any]]:
        def cost(build: Build) -> Cost:
            return build.detect(video, out, anomaly=options.anomaly, stride=options.stride, at_once=at_once)

        return rows(name, in_turn((older, newer), cost, turns=count, what=name)) if count else iter(())

    yield from pairs(ALONE, options.pairs)
    with busy_core():
        yield from pairs(BUSY, options.beside)
    yield from pairs(TWO, options.beside, at_once=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="a real clip to be looped")
    parser.add_argument("--against", default="430bc00", help="the commit of the older build")
    parser.add_argument("--anomaly", default="car")
    parser.add_argument("--seconds", type=int, default=60, help="of the looped video")
    parser.add_argument("--stride", type=int, help="analyse every N-th frame; default: as detect does")
    parser.add_argument("--pairs", type=int, default=9, help="of runs alone")
    parser.add_argument("--beside", type=int, default=3, help="pairs of runs beside other work")
    add_out(parser, "beside")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        older = Build(options.against, stack.enter_context(checked_out(options.against, folder / "older")))
        newer = Build("now", ROOT)
        video, short = folder / "loop.mp4", folder / "short.mp4"
        loop(options.clip, video, seconds=options.seconds)
        loop(options.clip, short, seconds=WARM_UP_S)
        for build in (older, newer):
            build.check()
            build.detect(short, folder / "out", anomaly=options.anomaly, stride=options.stride)
        found = list(table(older, newer, video, folder / "out", options))
    publish("beside", found, out=options.out, about={"video": f"{options.seconds} s", "against": options.against})


if __name__ == "__main__":
    run(main)
