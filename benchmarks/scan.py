"""`lavida scan` over many clips: how fast, and whether it survives being killed.

    python benchmarks/scan.py ../shared/data/videos [--clips 60] [--seconds 2] [--anomaly person] [--out DIR]

Clips are cut from the videos of a folder, and three broken files are put among them. They are scanned in one process,
by one and by two Ray actors on this machine, and on a Ray cluster of two nodes, which are processes here. Every worker
is limited to one thread. Each of these scans is run once undisturbed, and once with a worker and then the driver killed
(`kill -9`) and the command given again. The rate is that of the second half of the videos: by then every worker has
loaded its model, so that neither this nor the start of Ray is in it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from made_videos import RATE, encode, frames_for_ever
from results import add_out, publish

BROKEN = {
    "broken/empty.mp4": b"",
    "broken/text.mp4": b"not a video\n" * 99,
    "broken/header.avi": b"RIFF\0\0\0\0AVI LIST",
}
ACTOR = "ray::_Actor"  # as Ray names the workers of lavida.parallel in the list of processes
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Setting:
    """One way to run a scan."""

    name: str
    options: list[str] = field(default_factory=list)

    @property
    def on_ray(self) -> bool:
        return "--ray" in self.options


def cut(root: Path, folder: Path, *, clips: int, seconds: float) -> None:
    """Write so many clips, in turn from each video of `root`, wherever they begin."""
    videos = sorted(path for path in root.iterdir() if path.suffix in (".mp4", ".avi"))
    for number, path in enumerate(videos):
        count = clips // len(videos) + (number < clips % len(videos))
        frames = frames_for_ever(path)
        for clip in range(count):
            encode(frames, folder / path.stem / f"{clip:03d}.mp4", count=round(seconds * RATE))
    for name, content in BROKEN.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def command(clips: Path, out: Path, setting: Setting, options: argparse.Namespace) -> list[str]:
    base = [sys.executable, "-m", "lavida", "scan", str(clips), "-a", options.anomaly, "--out", str(out)]
    return [*base, "--settle", "0", "--model", options.model, "--device", "cpu", *setting.options]


def finished(out: Path) -> list[Path]:
    return list((out / "frames").glob("*/part-0.parquet"))


def undisturbed(arguments: list[str], out: Path) -> dict:
    started = time.perf_counter()
    run = subprocess.run(arguments, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {"seconds": time.perf_counter() - started, "rate": rate(out), "named": named(run.stderr)}


def rate(out: Path) -> float:
    times = sorted(path.stat().st_mtime for path in finished(out))
    times = times[len(times) // 2 :]
    return (len(times) - 1) / max(times[-1] - times[0], 1e-9)


def named(stderr: str) -> int:
    return sum(f"failed: {name}: " in stderr for name in BROKEN)


def killed(arguments: list[str], out: Path, setting: Setting, *, clips: int) -> dict:
    """Kill a worker after a quarter, the driver at half, and give the same command again."""
    with subprocess.Popen(arguments, env=os.environ | ONE_THREAD, stderr=subprocess.PIPE, text=True) as driver:
        if setting.on_ray:
            wait_for(lambda: len(finished(out)) >= clips // 4, driver)
            actors()[0].kill()
        wait_for(lambda: len(finished(out)) >= clips // 2, driver)
        driver.kill()
    before = {path: path.read_bytes() for path in finished(out)}
    wait_for(lambda: not actors(), None)  # of a cluster, which takes a moment to see that its driver is gone
    resumed = undisturbed(arguments, out)
    kept = all(path.read_bytes() == content for path, content in before.items())
    return {"at_the_kill": len(before), "kept": kept, "named": resumed["named"]}


def actors() -> list[psutil.Process]:
    """The workers: below the driver, or, of a cluster, below this process itself."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if ACTOR in " ".join(_command_line(process))]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def wait_for(ready: Callable[[], bool], process: subprocess.Popen | None) -> None:
    while not ready():
        if process is not None and process.poll() is not None:
            raise SystemExit(f"the scan ended before it was killed: give more --clips\n{process.stderr.read()}")
        time.sleep(0.01)


def difference(one: Path, other: Path) -> str:
    """What two data sets differ in; "none" or the largest difference between scores."""
    columns = ["video", "frame", "score", "category"]
    tables = [
        ds.dataset(out / "frames", partitioning="hive")
        .to_table(columns=columns)
        .sort_by([("video", "ascending"), ("frame", "ascending")])
        for out in (one, other)
    ]
    failures = [pq.read_table(out / "failures.parquet")["video"].to_pylist() for out in (one, other)]
    if sorted(failures[0]) != sorted(failures[1]) or tables[0].select(["video", "frame"]) != tables[1].select(
        ["video", "frame"]
    ):
        return "OTHER VIDEOS OR FRAMES"
    if tables[0].equals(tables[1]):
        return "none"
    return f"{np.abs(np.subtract(*(table['score'].to_numpy() for table in tables))).max():.1e} in scores"


@contextmanager
def cluster() -> Iterator[str]:
    """The address of two nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    os.environ.update(ONE_THREAD)
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    nodes.add_node(**node)
    yield nodes.address
    nodes.shutdown()


def measure(setting: Setting, clips: Path, place: Path, options: argparse.Namespace, reference: Path | None) -> dict:
    whole, broken_off = place / f"{setting.name} whole", place / f"{setting.name} killed"
    row = undisturbed(command(clips, whole, setting, options), whole)
    again = killed(command(clips, broken_off, setting, options), broken_off, setting, clips=options.clips)
    assert row["named"] == again["named"] == len(BROKEN), "a broken file was not named"
    assert again["kept"], "a finished video was written again"
    assert len(finished(whole)) == len(finished(broken_off)) == options.clips
    return (
        row
        | again
        | {
            "setting": setting.name,
            "after_kill": difference(whole, broken_off),
            "to_one_process": difference(reference or whole, whole),
            "out": whole,
        }
    )


def row(measured: dict, first: dict) -> dict:
    """A row of the table; `first`: what was measured in one process."""
    return {
        "scan": measured["setting"],
        "clips a second": round(measured["rate"], 2),
        "speed-up": round(measured["rate"] / first["rate"], 2),
        "whole command, s": round(measured["seconds"]),
        "killed after": measured["at_the_kill"],
        "changed by the kill": measured["after_kill"],
        "changed by the setting": measured["to_one_process"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--anomaly", default="person")
    parser.add_argument("--model", default="nano")
    add_out(parser, "scan")
    options = parser.parse_args()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        cut(options.root, clips, clips=options.clips, seconds=options.seconds)
        settings = [
            Setting("one process"),
            Setting("one Ray actor", ["--ray", "local", "--workers", "1"]),
            Setting("two Ray actors", ["--ray", "local", "--workers", "2"]),
        ]
        for setting in settings:
            reference = rows[0]["out"] if rows else None
            rows.append(measure(setting, clips, Path(folder), options, reference))
            print(rows[-1], file=sys.stderr)
        with cluster() as address:
            setting = Setting("two Ray nodes", ["--ray", address, "--workers", "2"])
            rows.append(measure(setting, clips, Path(folder), options, rows[0]["out"]))
    about = {"clips": f"{options.clips} of {options.seconds:g} s", "broken files": len(BROKEN), "model": options.model}
    publish("scan", [row(each, rows[0]) for each in rows], out=options.out, about=about)


if __name__ == "__main__":
    main()
