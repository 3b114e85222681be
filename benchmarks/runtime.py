"""`lavida detect` without PyTorch against an older build with it, and against this build's other runtimes.

    python benchmarks/runtime.py CLIP [--against 430bc00] [--seconds 10 60] [--pairs 3] [--beside 3] [--out DIR]
    python benchmarks/runtime.py CLIP --runtimes auto --seconds 600 --pairs 1 --beside 0
    python benchmarks/runtime.py CLIP --sizes                    # what an installation takes; makes environments

A clip is brought to 640x360 at 25 frames a second and looped. Whole processes are measured, one of each kind in turn,
the first of them another one each turn; what is given are medians of wall clock, processor time and peak memory, and
the median over the turns of how many times as fast a kind was as the older build, and beside other work of how many
times as long as the run of its own just before. The older build is checked out of
this repository's history and runs on the same packages.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beside import ROOT, WARM_UP_S, Build, Cost, busy_core, checked_out, in_turn, measured
from made_videos import loop
from results import add_out, publish, run

from lavida.errors import InputError
from lavida.runtime.session import installed

BESIDE_S = 10  # of video, in the runs beside other work
IMPORT, LOAD = "import lavida", "import lavida; lavida.load('nano')"


@dataclass(frozen=True)
class Kind:
    """A build and the runtime that it uses; the older one has no choice."""

    name: str
    build: Build
    runtime: str | None = None

    def command(self, job: str, video: Path, out: Path) -> list[str]:
        """Of one of `jobs`."""
        python = [sys.executable]
        if job == "--help":
            return [*python, "-m", "lavida", "--help"]
        if job == IMPORT:
            return [*python, "-c", job]
        if job == LOAD:
            chosen = "" if self.runtime is None else f", runtime={self.runtime!r}"
            return [*python, "-c", f"import lavida; lavida.load('nano'{chosen})"]
        chosen = [] if self.runtime is None else ["--runtime", self.runtime]
        overlay = [] if "with overlay" in job else ["--no-overlay"]
        return [*python, "-m", "lavida", "detect", str(video), "-a", "car", *chosen, *overlay, "--out", str(out)]

    def cost(self, job: str, video: Path, out: Path, *, caches: Path, at_once: int = 1) -> Cost:
        """`caches`: where OpenVINO's compiled graphs are looked for and kept."""
        commands = [self.command(job, video, out / str(number)) for number in range(at_once)]
        return measured(commands, self.build.environment() | {"XDG_CACHE_HOME": str(caches)})


def rows(what: str, found: Mapping[str, Sequence[Cost]]) -> Iterator[dict[str, Any]]:
    """One a kind, the older build's first."""
    older = next(iter(found.values()))
    for name, costs in found.items():
        row: dict[str, Any] = {"run": what, "build": name}
        for measure, digits in (("wall s", 2), ("user + system s", 2), ("peak MB", 0)):
            row[measure] = round(statistics.median(cost.value(measure) for cost in costs), digits or None)
        pairs = list(zip(older, costs, strict=True))
        row["times as fast"] = round(statistics.median(one.wall_s / other.wall_s for one, other in pairs), 2)
        row["share of peak"] = round(statistics.median(other.peak_mb / one.peak_mb for one, other in pairs), 2)
        yield row


def table(kinds: Sequence[Kind], folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All rows; every kind loads and looks at a short clip once before, which fills the disk's cache."""
    out, caches = folder / "out", folder / "caches"
    videos = {seconds: folder / f"{seconds}.mp4" for seconds in {*options.seconds, WARM_UP_S, BESIDE_S}}
    for seconds, video in videos.items():
        loop(options.clip, video, seconds=seconds)
    for kind in kinds:
        kind.cost("warm up", videos[WARM_UP_S], out, caches=caches)

    def measure(
        job: str, seconds: int, *, turns: int, at_once: int = 1, said: str = "", first: bool = False
    ) -> Iterator[dict[str, Any]]:
        def cost(kind: Kind) -> Cost:
            kept = Path(tempfile.mkdtemp(dir=folder)) if first else caches
            return kind.cost(job, videos[seconds], out, caches=kept, at_once=at_once)

        return rows(said or job, in_turn(kinds, cost, turns=turns, what=said or job)) if turns else iter(())

    for job in ("--help", IMPORT, LOAD):
        yield from measure(job, BESIDE_S, turns=options.starts)
    for seconds in options.seconds:
        for job in (f"{seconds} s", f"{seconds} s with overlay"):
            yield from measure(job, seconds, turns=options.pairs)
            if seconds == min(options.seconds) and options.firsts:
                yield from measure(job, seconds, turns=options.firsts, said=f"{job}, nothing compiled yet", first=True)

    def measure_beside(
        said: str, work: Callable[[], AbstractContextManager], *, at_once: int = 1
    ) -> Iterator[dict[str, Any]]:
        """Each run directly after one of its own alone: what a machine gives changes from minute to minute."""
        shares: dict[str, list[float]] = {kind.name: [] for kind in kinds}

        def cost(kind: Kind) -> Cost:
            alone = kind.cost("", videos[BESIDE_S], out, caches=caches)
            with work():
                beside = kind.cost("", videos[BESIDE_S], out, caches=caches, at_once=at_once)
            shares[kind.name].append(beside.wall_s / alone.wall_s)
            return beside

        if options.beside:
            for row in rows(said, in_turn(kinds, cost, turns=options.beside, what=said)):
                yield row | {"times its own alone": round(statistics.median(shares[row["build"]]), 2)}

    yield from measure_beside(f"{BESIDE_S} s beside one busy core", busy_core)
    yield from measure_beside(f"{BESIDE_S} s, two at once", nullcontext, at_once=2)


def sizes(older: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """What fresh environments take on the disk, without pip, setuptools and the interpreter's own files."""
    asked = {
        "older build, all it needs": (older, ["torch==2.13.0"], "."),
        "now, core": (ROOT, [], "."),
        "now, with PyTorch (torch)": (ROOT, ["torch==2.13.0"], ".[torch]"),
    }
    first = None
    for name, (root, before, what) in asked.items():
        place = folder / name.replace(" ", "-").replace(",", "")
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        python = place / "bin" / "python"
        empty = _bytes(place)
        for wanted in (before, [f"{root}{what.removeprefix('.')}"]):
            if wanted:
                command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
                installing = subprocess.run(command, stderr=subprocess.PIPE, text=True)
                if installing.returncode:
                    raise InputError(f"{name} cannot be installed: {installing.stderr.strip().splitlines()[-1]}")
        taken = _bytes(place) - empty
        first = first or taken
        yield {"environment": name, "MB": round(taken / 2**20), "share": round(taken / first, 3)}


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() and path.suffix != ".pyc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="a real clip to be looped")
    parser.add_argument("--against", default="430bc00", help="the commit of the older build")
    parser.add_argument("--runtimes", nargs="+", default=["torch", *installed()], help="of this build")
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60], help="lengths of the looped video")
    parser.add_argument("--starts", type=int, default=5, help="turns of --help, import and load")
    parser.add_argument("--pairs", type=int, default=3, help="turns of runs alone")
    parser.add_argument("--firsts", type=int, default=3, help="turns of first runs, with nothing compiled yet")
    parser.add_argument("--beside", type=int, default=3, help="turns beside other work")
    parser.add_argument("--sizes", action="store_true", help="measure environments instead, made by pip")
    add_out(parser, "runtime")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        older = Build(options.against, stack.enter_context(checked_out(options.against, folder / "older")))
        if options.sizes:
            publish("runtime-sizes", list(sizes(older.root, folder)), out=options.out, about={"against": older.name})
            return
        now = Build("now", ROOT)
        for build in (older, now):
            build.check()
        kinds = [Kind(older.name, older), *(Kind(f"now, {runtime}", now, runtime) for runtime in options.runtimes)]
        found = list(table(kinds, folder, options))
    about = {"turns": options.pairs, "against": options.against, "load": round(os.getloadavg()[0], 1)}
    publish("runtime", found, out=options.out, about=about)


if __name__ == "__main__":
    run(main)
