"""The torch path of `lavida.load` and `detect` against an exported model in ONNX Runtime and OpenVINO.

    python benchmarks/runtime.py CLIP [--exported DIR] [--pairs 5] [--seconds 10] [--out DIR]

A clip is brought to 640x360 at 25 frames a second and looped. Whole processes are measured, one of each kind in turn,
and medians given: wall clock and processor time of a process that only loads the model, of one that also looks at the
clip (no overlay), and the peak memory of the latter. Ratios are to the torch path of the same turn. bf16 is measured
where OpenVINO says that the processor multiplies it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made_videos import loop
from results import add_out, publish, run

from lavida.errors import InputError
from lavida.runtime.session import installed

# what a process of each kind does; it tells its own peak, since Linux counts the parent's into what a parent is told
PROGRAM = """
import resource, sys
import lavida
model, runtime, precision, video, out = sys.argv[1:]
if precision == "bf16":
    from lavida.detector import ExportedDetector
    from lavida.runtime.exported import ExportedModel
    detector = ExportedDetector(ExportedModel(model, runtime=runtime, precision=precision), name=model)
else:
    detector = lavida.load(model, runtime=runtime, device="cpu")
if video:
    found = detector.detect(video, ["bicycle", "car"])
    found.save(out, overlay=False)
try:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(int(peak) / 1024)
"""


def kinds(exported: Path) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """What is compared: its name, and model, runtime and precision."""
    yield "torch", ("nano", "torch", "float32")
    for runtime in installed():
        yield f"{runtime}, float32", (str(exported), runtime, "float32")
    if "openvino" in installed():
        import openvino

        if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            yield "openvino, bf16", (str(exported), "openvino", "bf16")


def measured(kind: tuple[str, str, str], video: str, out: Path) -> dict[str, float]:
    """One process. Raises InputError if it fails."""
    before, started = os.times(), time.perf_counter()
    command = [sys.executable, "-c", PROGRAM, *kind, video, str(out)]
    ran = subprocess.run(command, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, os.times()
    if ran.returncode:
        raise InputError(f"{' '.join(kind)} failed: {ran.stderr.strip().splitlines()[-1]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall s": wall, "processor s": cpu, "peak MB": float(ran.stdout)}


def rows(exported: Path, video: Path, *, pairs: int, out: Path) -> Iterator[dict[str, Any]]:
    """One a kind; every kind is run once before, which fills the disk's cache."""
    chosen = dict(kinds(exported))
    jobs = {"load": "", "detect": str(video)}
    found: dict[tuple[str, str], list[dict[str, float]]] = {(name, job): [] for name in chosen for job in jobs}
    for turn in range(pairs + 1):
        for name, kind in list(chosen.items())[:: 1 if turn % 2 else -1]:
            for job, source in jobs.items():
                if turn == 0 and source:
                    continue
                cost = measured(kind, source, out)
                print(turn, name, job, cost, file=sys.stderr)  # long runs: what is known is told
                if turn:
                    found[name, job].append(cost)
    for name in chosen:
        columns: dict[str, Any] = {"run": name}
        for job in jobs:
            for what in ("wall s", "processor s") if job == "load" else ("wall s", "processor s", "peak MB"):
                own, plain = ([cost[what] for cost in found[each, job]] for each in (name, "torch"))
                columns[f"{job}, {what}"] = round(statistics.median(own), 2)
                ratio = statistics.median(one / other for one, other in zip(own, plain, strict=True))
                columns[f"{job}, {what}, of torch"] = round(ratio, 2)
        yield columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="a real clip to be looped")
    parser.add_argument("--exported", type=Path, help="an export of nano; default: it is exported first")
    parser.add_argument("--pairs", type=int, default=5, help="processes of each kind")
    parser.add_argument("--seconds", type=int, default=10, help="length of the video")
    add_out(parser, "runtime")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exported = options.exported or Path(folder) / "exported"
        if options.exported is None:
            subprocess.run([sys.executable, "-m", "lavida", "models", "export", "nano", "--out", exported], check=True)
        video = Path(folder) / "loop.mp4"
        loop(options.clip, video, seconds=options.seconds)
        found = list(rows(exported, video, pairs=options.pairs, out=Path(folder) / "out"))
    about = {
        "video": f"{options.seconds} s of 640x360, 25 frames/s",
        "turns": options.pairs,
        "load": os.getloadavg()[0],
    }
    publish("runtime", found, out=options.out, about=about)


if __name__ == "__main__":
    run(main)
